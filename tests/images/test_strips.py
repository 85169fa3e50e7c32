"""Strips give what the whole image gives, to the bit."""

import numpy as np
import pytest

from tests.support.images import natural
from vqttt.images import ops
from vqttt.images.degradations import degrade
from vqttt.images.ops import in_strips
from vqttt.images.restorers import deblur, denoise, detail

PLACES = {"gaussian_noise": ["non_local_means"], "impulse_noise": ["median"]}
NEARLY = {"gaussian_noise": "total_variation", "jpeg_compression": "deblock"}


@pytest.mark.parametrize("height", [1, 7, 64])
@pytest.mark.parametrize("rows", [1, 6, 71, 128])
def test_a_function_that_reaches_two_rows(rows: int, height: int) -> None:
    def mean(image: np.ndarray) -> np.ndarray:
        padded = np.pad(image, ((0, 0), (2, 2), (0, 0)), mode="edge").astype(np.int64)
        return sum(padded[:, i : i + image.shape[1]] for i in range(5))

    image = np.random.default_rng(0).integers(0, 256, (2, rows, 9))
    np.testing.assert_array_equal(in_strips(mean, image, reach=2, height=height), mean(image))


def test_a_reach_that_is_too_short_shows() -> None:
    def above(image: np.ndarray) -> np.ndarray:
        return np.pad(image, ((3, 0), (0, 0)), mode="edge")[:-3]

    image = np.arange(40.0)[:, None]
    assert np.array_equal(in_strips(above, image, reach=3, height=8), above(image))
    assert not np.array_equal(in_strips(above, image, reach=2, height=8), above(image))


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in PLACES.items() for name in names])
def test_restorers_see_no_strips(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = degrade(natural(480, 90), kind, 3, 0)
    restorer = getattr(denoise, name)
    counts = []

    def counted(function, image, *, reach, height):
        counts.append(image.shape[-2] > height + 2 * reach)
        return ops.in_strips(function, image, reach=reach, height=height)

    monkeypatch.setattr(denoise, "in_strips", counted)
    in_parts = restorer(image)
    assert any(counts), "the image is too small to be split"
    monkeypatch.setattr(denoise, "in_strips", lambda function, image, **_: function(image))
    np.testing.assert_array_equal(in_parts, restorer(image))


@pytest.mark.parametrize(("kind", "name"), NEARLY.items())
def test_where_an_image_is_solved_as_a_whole_strips_hardly_show(
    kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = degrade(natural(420, 90), kind, 3, 0)
    module = detail if name == "deblock" else denoise
    in_parts = getattr(module, name)(image).astype(int)
    monkeypatch.setattr(module, "in_strips", lambda function, image, **_: function(image))
    whole = getattr(module, name)(image)
    assert not np.array_equal(in_parts, whole), "the image is too small to be split"
    # The upper and lower border wrap around to rows that only the whole image has.
    off = np.abs(in_parts - whole)
    assert off[16:-16].mean() < 0.5 and off[186:198].max() <= 4, "the seam at row 192 shows"


@pytest.mark.parametrize("kind", ["gaussian_blur", "motion_blur"])
def test_a_spectrum_in_strips(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image = degrade(natural(200, 150), kind, 3, 0)
    blur = deblur.Blur(kind=kind.split("_")[0], size=2.0, degrees=30.0, signal=1.0, slope=2.0, noise=0.01)
    whole = deblur.wiener(image, blur)
    monkeypatch.setattr(deblur, "_ROWS", 33)
    np.testing.assert_array_equal(deblur.wiener(image, blur), whole)
    assert not np.array_equal(whole, image)
