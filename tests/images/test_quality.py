"""Quality metrics agree with other implementations, and measure what their names say."""

import math

import numpy as np
import pytest

from tests.support.images import scene
from vqttt.errors import InputError, MissingExtraError
from vqttt.images.degradations import degrade
from vqttt.images.quality import MAX_PSNR, METRICS, Quality, measure, pyiqa_metric


def noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, sigma, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(64, 64), (90, 131), (300, 200)])
@pytest.mark.parametrize("kind", ["gaussian_noise", "gaussian_blur", "fog"])
def test_psnr_and_ssim_agree_with_scikit_image(shape, kind):
    metrics = pytest.importorskip("skimage.metrics")
    clean = scene(*shape)
    image = degrade(clean, kind, 3, 0)
    found = measure(image, clean)
    assert found.psnr == pytest.approx(metrics.peak_signal_noise_ratio(clean, image), abs=1e-6)
    luma = [np.rint(one @ np.array([0.299, 0.587, 0.114])).astype(np.uint8) for one in (clean, image)]
    theirs = metrics.structural_similarity(
        *luma, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert found.ssim == pytest.approx(theirs, abs=2e-3)


def test_ms_ssim_by_its_definition():
    """With one scale it is SSIM; noise is weaker at coarser scales, so with more of them it is higher."""
    small, clean = scene(16, 16), scene(256, 256)
    assert measure(noisy(small, 20), small).ms_ssim == pytest.approx(measure(noisy(small, 20), small).ssim)
    fine = measure(noisy(clean, 20), clean)
    assert fine.ms_ssim > fine.ssim + 0.1


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (3, 3), (16, 16), (40, 700)])
def test_an_image_with_itself(shape):
    found = measure(scene(*shape), scene(*shape))
    assert found.psnr == MAX_PSNR
    assert found.ssim == pytest.approx(1) and found.ms_ssim == pytest.approx(1)
    assert found.gradient_similarity == pytest.approx(1)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_images_are_finite(value):
    flat = np.full((40, 40, 3), value, np.uint8)
    for image in (flat, noisy(flat, 3), scene(40, 40)):
        assert all(math.isfinite(number) for number in vars(measure(flat, image)).values())
        assert all(math.isfinite(number) for number in vars(measure(image, flat)).values())


@pytest.mark.parametrize("sigma", [5, 15, 40])
def test_noise_level_finds_the_noise(sigma):
    gray = np.repeat(scene(200, 200)[..., :1] // 2 + 64, 3, axis=2)
    noise = np.random.default_rng(1).normal(0, sigma, gray.shape[:2])
    image = np.clip(np.rint(gray + noise[..., None]), 0, 255).astype(np.uint8)
    assert measure(image, gray).noise_level == pytest.approx(sigma, rel=0.12)
    assert measure(gray, gray).noise_level < 2


def test_sharpness_falls_with_blur_and_not_with_contrast():
    clean = scene(128, 128)
    sharpness = [measure(degrade(clean, "gaussian_blur", severity, 0), clean).sharpness for severity in range(1, 6)]
    assert sharpness == sorted(sharpness, reverse=True)
    paler = (clean // 2 + 64).astype(np.uint8)
    assert measure(paler, clean).sharpness == pytest.approx(measure(clean, clean).sharpness, abs=0.03)


@pytest.mark.parametrize("name", ["psnr", "ssim", "ms_ssim", "gradient_similarity"])
def test_measures_fall_with_severity(name):
    clean = scene(160, 160)
    for kind in ("gaussian_blur", "jpeg_compression", "gaussian_noise"):
        values = [getattr(measure(degrade(clean, kind, severity, 0), clean), name) for severity in range(1, 6)]
        assert values == sorted(values, reverse=True)


def test_a_larger_image_is_compared_at_the_references_size():
    clean = scene(60, 80)
    enlarged = np.repeat(np.repeat(clean, 2, axis=0), 2, axis=1)
    assert measure(enlarged, clean).psnr == MAX_PSNR
    assert measure(enlarged, clean).sharpness < measure(clean, clean).sharpness


def test_arrays_that_are_not_images_are_refused():
    with pytest.raises(InputError, match="uint8"):
        measure(scene(8, 8)[..., 0], scene(8, 8))
    assert list(METRICS) == list(Quality.__dataclass_fields__)


def test_pyiqa_is_named_with_its_licence_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyiqa", None)
    with pytest.raises(MissingExtraError, match=r"Noncommercial.*pip install pyiqa"):
        pyiqa_metric("musiq")


def test_images_of_other_proportions_are_not_compared():
    for shape in ((60, 80, 3), (128, 130, 3), (32, 32, 3)):
        with pytest.raises(InputError, match="cannot be compared"):
            measure(np.zeros(shape, np.uint8), scene(64, 64))


def test_noise_level_is_that_of_luma():
    image = np.full((224, 224, 3), 128, np.uint8)
    noisy = degrade(image, "gaussian_noise", 1, 0)
    luma = noisy @ np.array([0.299, 0.587, 0.114])
    assert measure(noisy).noise_level == pytest.approx(luma.std(), rel=0.1)
