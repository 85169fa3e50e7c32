"""A Pillow image is an image, in any mode."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

import vqttt
from tests.support.images import scene
from vqttt.errors import InputError
from vqttt.images.files import as_image, load_image
from vqttt.images.quality import measure
from vqttt.methods import find_method

MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_taken(mode: str) -> None:
    image = PILImage.new(mode, (30, 20))
    assert as_image(image).shape == (20, 30, 3) and as_image(image).dtype == np.uint8
    assert vqttt.degrade(image, "fog", 3, 0).shape == (20, 30, 3)
    assert vqttt.restore(image, "median").shape == (20, 30, 3)
    assert measure(image, image).psnr == 100


def test_it_is_read_as_its_file_is(tmp_path: Path) -> None:
    deep = PILImage.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 109)
    clear = PILImage.new("RGBA", (30, 20), (200, 0, 0, 0))
    for image in (deep, clear, PILImage.fromarray(scene(20, 30)).convert("P")):
        image.save(tmp_path / "image.png")
        np.testing.assert_array_equal(as_image(image), load_image(tmp_path / "image.png"))
    assert as_image(deep)[-1, -1, 0] > 250 and as_image(deep)[0, 0, 0] == 0, "16 bits are scaled and not clipped"
    assert (as_image(clear) == 255).all(), "what is transparent is white"


def test_an_array_is_taken_as_it_is() -> None:
    image = scene(20, 30)
    assert as_image(image) is image
    as_pillow = PILImage.fromarray(image)
    np.testing.assert_array_equal(vqttt.degrade(as_pillow, "snow", 3, 0), vqttt.degrade(image, "snow", 3, 0))
    np.testing.assert_array_equal(vqttt.degrade(as_pillow, "clean", 0, 0), image)


WRONG = [None, "image.png", [1], scene(20, 30)[..., 0], scene(20, 30) / 255, np.zeros((0, 4, 3), np.uint8)]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: type(wrong).__name__)
def test_anything_else_is_refused(wrong: object) -> None:
    for call in (
        lambda: vqttt.degrade(wrong, "fog", 3, 0),
        lambda: vqttt.restore(wrong, "median"),
        lambda: measure(wrong),
        lambda: measure(scene(20, 30), wrong) if wrong is not None else as_image(wrong),
        lambda: vqttt.load_model("fake").ask([wrong], ["what?"], 4),
    ):
        with pytest.raises(InputError, match="an image must be a uint8 array"):
            call()


def test_a_cut_file_that_pillow_opened_is_one_line() -> None:
    buffer = io.BytesIO()
    PILImage.fromarray(scene(200, 200)).save(buffer, format="JPEG")
    cut = PILImage.open(io.BytesIO(buffer.getvalue()[:900]))
    with pytest.raises(InputError, match="the Pillow image cannot be read"):
        vqttt.degrade(cut, "fog", 3, 0)


@pytest.mark.parametrize("name", ["fake", "fake-plain", "embedded"])
def test_models_take_it(name: str) -> None:
    model, image = vqttt.load_model(name), scene(64, 80)
    shown = [PILImage.fromarray(image), PILImage.fromarray(image).convert("RGBA"), image]
    inputs, said = model.ask(shown, ["what color is the circle?"] * 3, 8)
    assert len(set(said.texts)) == 1
    assert all(isinstance(one, np.ndarray) for one in inputs.images)
    for method in ("none", "vq-select")[: 1 if name == "fake-plain" else 2]:
        answers = find_method(method).build(model).ask(shown[:1], ["what color is the circle?"])
        assert answers[0].base_answer == said.texts[0]
