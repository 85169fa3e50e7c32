"""Content is never taken for padding, whatever is done to it; pixels that are no numbers are never shown."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzzing import examples
from tests.support.small_families import BUILDERS, small
from tests.support.small_models import QUESTIONS
from vqttt.errors import ModelError
from vqttt.methods import METHODS
from vqttt.models.base import Inputs
from vqttt.models.content import apart_from_padding
from vqttt.models.fake import FakeTunableModel
from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.tunable import TunableModel
from vqttt.tuning.adapters import AdapterConfig, Adapters

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
LEVELS = {"black": 0, "grey": 127, "white": 255}
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
TINY = {torch.float32: 1.2e-38, torch.bfloat16: 1.2e-38, torch.float16: 6.2e-5}


def plain_and_wide(level: int) -> list[np.ndarray]:
    """Images of one level; the second is cut into more tiles, or padded."""
    return [np.full((32, 32, 3), level, np.uint8), np.full((40, 64, 3), level, np.uint8)]


def assert_same_places(model: HuggingFaceModel, inputs: Inputs, changed: Inputs) -> None:
    """The same images are content and the same pixels are padding, which kept every bit; the network takes them."""
    before, after = model.pixels(inputs), model.pixels(changed)
    assert torch.equal(before.owner, after.owner)
    assert torch.equal(model.row_owner(inputs), model.row_owner(changed))
    if before.mask is not None:
        assert after.mask is not None and torch.equal(before.mask, after.mask)
        padding = ~before.mask.expand_as(before.pixels)
        assert torch.equal(before.pixels[padding], after.pixels[padding])
    with torch.no_grad():
        assert model.answer_logits(changed).isfinite().all()
    assert len(model.generate(changed, 2).texts) == inputs.count


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", BUILDERS)
def test_plain_images_are_content_in_every_family(name: str, level: str) -> None:
    model = small(name)
    inputs = model.encode(plain_and_wide(LEVELS[level]), QUESTIONS[:2])
    shown = model.pixels(inputs)
    assert {int(shown.owner[n]) for which, _ in shown.contents() for n in which} == {0, 1}, "an image without content"
    for change in (torch.zeros_like, lambda content: content - content.mean(), lambda content: content * 0 - 1):
        pixels = shown.changed(lambda content, which, change=change: change(content))
        assert_same_places(model, inputs, model.with_pixels(inputs, pixels))
    adapters = Adapters(model, AdapterConfig(kernel="blurs"), sets=1)
    with torch.no_grad():
        for tensor in adapters.kernel_parameters:
            tensor.add_(0.3)
        with adapters.applied(inputs) as adapted:
            assert_same_places(model, inputs, adapted)


@pytest.mark.parametrize("name", ["idefics2", "idefics3", "smolvlm"])
def test_a_white_tile_under_a_shift_of_brightness_is_answered(name: str) -> None:
    """White is 1 after normalisation, so a shift by 1 gives exactly the zeros that this model drops as padding."""
    model, rng = small(name), np.random.default_rng(0)
    image = np.full((64, 128, 3), 255, np.uint8)
    image[:, :40] = rng.integers(0, 256, (64, 40, 3))
    inputs = model.batch_of([image], QUESTIONS[:1])
    white = (model.pixels(inputs).pixels == 1).flatten(1).all(1)
    assert white.any() or name == "idefics2"
    for method in ("vq-ttt", "tta"):
        answer = METHODS[method].build(model, max_new_tokens=4).answer(inputs, model.generate(inputs, 4))[0]
        assert not answer.error
    shifted = model.with_pixels(inputs, model.pixels(inputs).changed(lambda content, which: content - 1))
    assert_same_places(model, inputs, shifted)
    assert 0 < model.pixels(shifted).pixels[white].abs().sum() < 1e-30 or not white.any()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["idefics2", "idefics3", "smolvlm"])
def test_a_black_image_that_is_not_normalised_is_content(name: str, dtype: torch.dtype) -> None:
    model = deepcopy(small(name, dtype))
    model.processor.image_processor.do_normalize = False
    inputs = model.encode(plain_and_wide(0), QUESTIONS[:2])
    assert (inputs.tensors["pixel_values"] != 0).any()
    assert_same_places(model, inputs, inputs)


@examples(60)
@given(st.integers(0, 3), st.sampled_from(DTYPES), st.sampled_from([-1.0, -0.0, 0.0, 1e-30, 1e-6, 0.5]))
def test_only_content_that_has_become_zero_moves(empty: int, dtype: torch.dtype, level: float) -> None:
    mask = torch.ones(4, 1, 2, 2, dtype=torch.bool)
    mask[1, :, :, 1:], mask[3] = False, False
    pixels = torch.full((4, 3, 2, 2), 0.25)
    pixels[empty] = level
    pixels = torch.where(mask, pixels, 0.0).requires_grad_()
    apart = apart_from_padding(pixels, mask, dtype)
    moved = torch.zeros(4, dtype=torch.bool)
    moved[empty] = empty != 3 and bool(torch.tensor(level).to(dtype) == 0)
    assert torch.equal(apart[~moved], pixels[~moved]) and torch.equal(apart[~moved].signbit(), pixels[~moved].signbit())
    assert torch.equal(apart[~mask.expand_as(apart)], pixels[~mask.expand_as(apart)])
    assert (apart[moved].to(dtype) != 0).flatten(1).any(1).all()
    assert (apart[moved].abs() <= TINY[dtype]).all()
    apart.sum().backward()
    assert torch.equal(pixels.grad, torch.ones_like(pixels))


def test_a_black_edge_of_a_picture_is_content_for_mllama() -> None:
    """Its margins are black too, and are told from a black edge by the size of the image."""
    model = small("mllama")
    image = np.full((32, 32, 3), 200, np.uint8)
    image[:, 16:] = 0
    wide = np.full((20, 64, 3), 200, np.uint8)
    shown = model.pixels(model.encode([image, wide], QUESTIONS[:2]))
    assert shown.mask is not None
    assert shown.mask[0].all() and not shown.mask[0].logical_not().any()
    of_wide = shown.mask[shown.owner == 1]
    assert of_wide.any() and not of_wide[:, :, -1].any(), "the margin below"


@pytest.mark.parametrize("model", [FakeTunableModel(), small("llava")], ids=lambda model: model.name)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_pixels_that_are_no_numbers_are_not_shown(model: TunableModel, value: float) -> None:
    pixels = torch.zeros(3, 4, 4)
    assert model.to_image(pixels).shape == (4, 4, 3)
    pixels[1, 2, 3] = value
    with pytest.raises(ModelError, match="not finite, so it cannot be shown; try another dtype"):
        model.to_image(pixels)
