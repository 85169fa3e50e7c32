"""The conformance tests of every classical restorer, and how much each restores."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import cv2
import numpy as np
import pytest

from tests.support.images import natural, psnr, scene
from vqttt.images.degradations import degrade
from vqttt.images.files import sha256
from vqttt.images.restorers import guess, variation
from vqttt.images.restorers.auto import auto
from vqttt.images.restorers.blur import _kept_tables
from vqttt.images.restorers.deblur import find_blur, richardson_lucy, wiener
from vqttt.images.restorers.denoise import bilateral, median, non_local_means, total_variation
from vqttt.images.restorers.detail import deblock, jpeg_quality, lanczos, unsharp_mask
from vqttt.images.restorers.noise import noise_model
from vqttt.images.restorers.tone import clahe, dehaze, gamma, tone_quantiles
from vqttt.images.restorers.variation import _integrated, least_variation

RESTORERS = [
    auto, bilateral, clahe, deblock, dehaze, gamma, lanczos, median, non_local_means, richardson_lucy, total_variation,
    unsharp_mask, wiener,
]  # fmt: skip
HELPS = [
    # restorer, degradation, severity, gain in dB that it must reach on a photograph
    (non_local_means, "gaussian_noise", 1, 5),
    (non_local_means, "gaussian_noise", 5, 9),
    (non_local_means, "shot_noise", 3, 8),
    (non_local_means, "speckle_noise", 3, 6),
    (total_variation, "gaussian_noise", 3, 7),
    (bilateral, "gaussian_noise", 3, 7),
    (median, "impulse_noise", 1, 20),
    (median, "impulse_noise", 5, 15),
    (deblock, "jpeg_compression", 1, 0.4),
    (deblock, "jpeg_compression", 5, 0.6),
    (wiener, "gaussian_blur", 1, 3),
    (wiener, "gaussian_blur", 4, 1.5),
    (wiener, "defocus_blur", 3, 3),
    (wiener, "motion_blur", 3, 4),
    (richardson_lucy, "motion_blur", 3, 4),
    (richardson_lucy, "defocus_blur", 2, 3),
    (unsharp_mask, "gaussian_blur", 1, 1.5),
    (dehaze, "fog", 2, 2),
    (dehaze, "haze", 3, 4),
    (clahe, "contrast", 2, 1),
    (gamma, "contrast", 1, 10),
    (gamma, "contrast", 5, 8),
    (gamma, "brightness", 3, 5),
    (gamma, "low_light", 3, 6),
]
AUTO_CHOICES = [
    ("gaussian_noise", 2, total_variation),
    ("impulse_noise", 3, median),
    ("gaussian_blur", 2, wiener),
    ("motion_blur", 3, wiener),
    ("jpeg_compression", 3, deblock),
    ("fog", 3, dehaze),
    ("haze", 4, dehaze),
    ("contrast", 3, gamma),
    ("brightness", 4, gamma),
]

every_restorer = pytest.mark.parametrize("restorer", RESTORERS, ids=lambda restorer: restorer.__name__)


@cache
def photo(name: str = "coffee", side: int = 224) -> np.ndarray:
    image = getattr(pytest.importorskip("skimage.data"), name)()
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    zoom = side / min(image.shape[:2])
    image = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    image = np.ascontiguousarray(image[:side, :side])
    image.flags.writeable = False
    return image


def damaged(side: int) -> np.ndarray:
    """Make an image in which every restorer finds something to do."""
    return degrade(natural(side, side), "motion_blur+impulse_noise", 3, 1)


@every_restorer
@pytest.mark.parametrize("shape", [(16, 16), (17, 23), (64, 64), (16, 3000), (480, 640)])
def test_any_size_keeps_shape_and_leaves_the_input_alone(restorer, shape):
    image = scene(*shape)
    image[::3, ::5] = 255 - image[::3, ::5]
    image.flags.writeable = False
    before = image.copy()
    restored = restorer(image)
    zoom = 2 if restorer is lanczos else 1
    assert restored.dtype == np.uint8 and restored.shape == (shape[0] * zoom, shape[1] * zoom, 3)
    assert not np.shares_memory(restored, image) and restored.flags.writeable
    np.testing.assert_array_equal(image, before)


@every_restorer
@pytest.mark.parametrize("value", [0, 1, 128, 254, 255])
def test_flat_images_stay_flat(restorer, value):
    restored = restorer(np.full((48, 40, 3), value, np.uint8))
    assert np.abs(restored.astype(int) - value).max() <= 1


@every_restorer
@pytest.mark.parametrize(
    "kind", ["gaussian_noise", "gaussian_blur", "jpeg_compression", "contrast", "low_light", "haze"]
)
def test_views_and_repetitions_and_threads_agree(restorer, kind):
    views = [np.repeat(degrade(natural(96, 80), kind, 3, seed), 2, axis=1)[::-1, ::2] for seed in range(3)]
    assert not views[0].flags.c_contiguous
    expected = [sha256(restorer(np.ascontiguousarray(view))) for view in views]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda view: sha256(restorer(view)), 2 * views)) == 2 * expected


@every_restorer
def test_pure_noise_is_accepted(restorer):
    rng = np.random.default_rng(0)
    for image in (
        rng.integers(0, 256, (40, 50, 3)),
        255 * rng.integers(0, 2, (40, 50, 3)),
        rng.integers(0, 3, (40, 50, 3)),
    ):
        assert restorer(image.astype(np.uint8)).dtype == np.uint8


@pytest.mark.parametrize(("restorer", "kind", "severity", "margin"), HELPS)
def test_it_restores(restorer, kind, severity, margin):
    clean = photo()
    degraded = degrade(clean, kind, severity, 6)
    assert psnr(restorer(degraded), clean) > psnr(degraded, clean) + margin


def test_lanczos_interpolates_better_than_lines():
    clean = photo()
    small = cv2.resize(clean, (112, 112), interpolation=cv2.INTER_AREA)
    for method in (cv2.INTER_NEAREST, cv2.INTER_LINEAR):
        assert psnr(lanczos(small), clean) > psnr(cv2.resize(small, (224, 224), interpolation=method), clean) + 1


@every_restorer
def test_a_good_photograph_is_hardly_changed(restorer):
    restored = restorer(photo())
    if restorer is lanczos:
        restored = cv2.resize(restored, (224, 224), interpolation=cv2.INTER_AREA)
    assert psnr(restored, photo()) > 35


@pytest.mark.parametrize(
    "name", ["coffee", "camera", "moon", "brick", "grass", "gravel", "immunohistochemistry", "retina"]
)
def test_auto_leaves_good_photographs_as_they_are(name):
    np.testing.assert_array_equal(auto(photo(name)), photo(name))


def test_auto_leaves_drawings_as_they_are():
    drawing = np.full((224, 224, 3), (250, 240, 235), np.uint8)
    cv2.circle(drawing, (150, 80), 40, (230, 20, 20), -1)
    cv2.fillPoly(drawing, [np.array([[30, 200], [90, 60], [120, 190]])], (20, 60, 220), cv2.LINE_AA)
    for image in (drawing, 255 - drawing, scene(224, 224)):
        np.testing.assert_array_equal(auto(image), image)


@pytest.mark.parametrize(("kind", "severity", "restorer"), AUTO_CHOICES)
def test_auto_applies_the_restorer_that_fits_and_says_so(kind, severity, restorer):
    degraded, told = degrade(photo(), kind, severity, 5), []
    np.testing.assert_array_equal(auto(degraded, told.append), restorer(degraded))
    assert len(told) == 1 and restorer.__name__.replace("_", "-") in told[0]
    assert guess(degraded) == told[0]


def test_auto_says_that_it_found_nothing():
    assert guess(photo()) == "nothing that is beyond doubt: left as it is"


@pytest.mark.parametrize(("kind", "power", "sigmas"), [
    ("gaussian_noise", 0, (20, 31, 46)), ("shot_noise", 0.5, (33, 51, 74)), ("speckle_noise", 1, (38, 51, 89)),
])  # fmt: skip
def test_the_noise_model_finds_kind_and_strength(kind, power, sigmas):
    for severity, sigma in zip((1, 2, 3), sigmas, strict=True):
        assert noise_model(degrade(photo(), kind, severity, 0)) == (power, pytest.approx(sigma, rel=0.25))
    assert noise_model(photo())[1] < 3


def test_noise_of_a_gray_image_counts_too():
    gray = photo("camera")[..., :1] + np.random.default_rng(0).normal(0, 20, (224, 224, 1))
    noisy = np.repeat(np.clip(gray, 0, 255).astype(np.uint8), 3, axis=2)
    assert psnr(non_local_means(noisy), photo("camera")) > psnr(noisy, photo("camera")) + 4
    assert np.ptp(non_local_means(noisy).astype(int), axis=2).max() <= 1


@pytest.mark.parametrize(("kind", "severity", "found", "size"), [
    ("gaussian_blur", 1, "gaussian", 1), ("gaussian_blur", 3, "gaussian", 3), ("gaussian_blur", 5, "gaussian", 6),
    ("defocus_blur", 1, "disc", 3), ("defocus_blur", 3, "disc", 6), ("defocus_blur", 5, "disc", 10),
])  # fmt: skip
def test_find_blur_measures_the_blur(kind, severity, found, size):
    blur = find_blur(degrade(photo(), kind, severity, 0))
    assert blur.kind == found and blur.size == pytest.approx(size, rel=0.15)


def test_find_blur_finds_the_direction_of_a_motion():
    from vqttt.images.ops import smear

    for degrees in (-150, -35, 20, 40, 160):
        blurred = np.rint(smear(photo().astype(np.float32), 15, 8, degrees)).astype(np.uint8)
        blur = find_blur(blurred)
        assert blur.kind == "motion"
        assert abs((blur.degrees - degrees + 180) % 360 - 180) < 8
    assert find_blur(photo()).kind == "none"


@pytest.mark.parametrize(("severity", "quality"), [(1, 25), (2, 18), (3, 15), (4, 10), (5, 7)])
def test_jpeg_quality_is_read_from_the_pixels(severity, quality):
    assert jpeg_quality(degrade(photo(), "jpeg_compression", severity, 0)) == pytest.approx(quality, abs=1)
    assert jpeg_quality(photo()) is None


def test_what_one_shape_left_behind_changes_no_other():
    small, large = photo(), photo("camera", 300)
    first = [find_blur(degrade(image, "gaussian_blur", 3, 0)) for image in (small, large)]
    _kept_tables.cache_clear()
    assert [find_blur(degrade(image, "gaussian_blur", 3, 0)) for image in (large, small)] == first[::-1]
    assert _kept_tables.cache_info().maxsize <= 4


@pytest.mark.parametrize("shares", [(0.0, 0.5, 1.0), (0.005, 0.995), (0.3, 0.9)])
def test_quantiles_by_counting_are_those_of_sorting(shares):
    tones = photo()[..., 0]
    assert tone_quantiles(tones, shares) == pytest.approx(np.quantile(tones, shares))
    assert tone_quantiles(tones[:1, :2], shares) == pytest.approx(np.quantile(tones[:1, :2], shares))


@pytest.mark.parametrize("shape", [(64, 64), (37, 50), (200, 131)])
def test_the_flow_of_a_change_has_that_change_as_its_divergence(shape):
    change = 0.01 * np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    across, down = _integrated(change)
    divergence = across + down
    divergence[:, :, 1:] -= across[:, :, :-1]
    divergence[:, 1:] -= down[:, :-1]
    off = (divergence - change)[:, 1:-1, 1:-1]  # the mean is no divergence
    assert np.ptp(off, axis=(1, 2)).max() < 1e-5 < np.ptp(change)
    longest = np.sqrt((np.square(_integrated(1000 * change)).sum(axis=0)).sum(axis=0)).max()
    assert longest == pytest.approx(1)


def test_least_variation_is_nearly_that_of_many_steps(monkeypatch):
    noisy = np.random.default_rng(0).normal(size=(3, 96, 80)).astype(np.float32)
    noisy[:, 20:60, 30:70] += 12
    clean = np.where(noisy > 6, np.float32(12), np.float32(0))
    few = least_variation(noisy)
    monkeypatch.setattr(variation, "_WEIGHTS", (1.3,))
    monkeypatch.setattr(variation, "_STEPS", (400,))
    many = least_variation(noisy)
    errors = [float(np.sqrt(np.mean((part - clean) ** 2))) for part in (noisy, few, many)]
    assert errors[1] < 0.3 * errors[0] and errors[1] < 1.3 * errors[2]


@every_restorer
def test_a_photograph_takes_a_few_milliseconds(restorer):
    image, spent = damaged(224), []
    for _ in range(5):
        began = time.thread_time()
        restorer(image)
        spent.append(1000 * (time.thread_time() - began))
    # Five to ten times as long as on an idle machine.
    assert min(spent) < {richardson_lucy: 2000, non_local_means: 300}.get(restorer, 60)
