"""Corrections: what each is for, that it keeps an image's shape, and that it means the same on a larger image."""

import time

import cv2
import numpy as np
import pytest

from vqttt.images.restorers import CORRECTIONS, restore
from vqttt.types import Image

FIXED = [name for name in CORRECTIONS if name not in ("gamma", "wiener", "dehaze")]


def scene(side: int = 224, *, texture: bool = True) -> Image:
    """Two shapes, one of them with a texture, on a gray ground."""
    image = np.full((224, 224, 3), 150, np.uint8)
    cv2.circle(image, (70, 80), 40, (200, 40, 40), -1)
    cv2.rectangle(image, (130, 110), (200, 190), (40, 70, 180), -1)
    if texture:
        image[::4, 150:180] //= 2
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def noisy(image: Image, sigma: float) -> Image:
    return np.clip(image + np.random.default_rng(0).normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def error(one: Image, other: Image) -> float:
    return float(np.abs(one.astype(float) - other).mean())


@pytest.mark.parametrize("name", CORRECTIONS)
def test_it_keeps_shape_and_input_whatever_the_image(name: str) -> None:
    rng = np.random.default_rng(1)
    for shape in ((1, 1, 3), (17, 300, 3), (64, 48, 3)):
        for image in (rng.integers(0, 256, shape, np.uint8), np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)):
            before = image.copy()
            out = restore(image, name)
            assert out.shape == shape and out.dtype == np.uint8
            assert np.array_equal(image, before)
            assert np.array_equal(out, restore(image, name))


@pytest.mark.parametrize("name", FIXED)
def test_it_does_the_same_to_a_larger_image_of_the_same_scene(name: str) -> None:
    small, large = restore(noisy(scene(), 3), name), restore(noisy(scene(448), 3), name)
    shrunk = cv2.resize(large, (224, 224), interpolation=cv2.INTER_AREA)
    changed = error(small, scene())
    assert error(np.asarray(shrunk), small) < max(0.35 * changed, 3.0)


def test_they_serve_their_purpose() -> None:
    image = scene(texture=False)
    specked = image.copy()
    specked[::9, ::9] = specked[1::9, ::9] = 255
    dark = (image * 0.15).astype(np.uint8)
    dull = (120 + 0.1 * (noisy(image, 40) - 120.0)).astype(np.uint8)
    shaded = (image * np.linspace(0.4, 1, 224)[None, :, None]).astype(np.uint8)
    assert error(restore(specked, "despeckle"), image) < 0.5 * error(specked, image)
    assert error(restore(noisy(image, 40), "smooth"), image) < 0.5 * error(noisy(image, 40), image)
    assert error(restore(dark, "brighten-more"), image) < 0.4 * error(dark, image)
    assert error(restore(dark, "brighten"), image) < 0.8 * error(dark, image)
    assert restore(dull, "denoise-and-spread").std() > 2 * dull.std()
    assert restore(dull, "smooth-and-stretch").std() > 4 * dull.std()
    ground = restore(shaded, "even-light")[215]
    assert np.ptp(ground.astype(int)) < 0.5 * np.ptp(shaded[215].astype(int))
    assert np.abs(np.diff(restore(image, "soften").astype(int), axis=0)).max() < 60


def test_coring_takes_noise_and_leaves_edges() -> None:
    image = scene(texture=False)
    spread, plain = restore(noisy(image, 12), "denoise-and-spread"), restore(image, "denoise-and-spread")
    flat = spread[5:30, 130:200].astype(float)
    assert flat.std() < 0.6 * noisy(image, 12)[5:30, 130:200].astype(float).std()
    assert abs(int(plain[80, 70, 0]) - int(plain[20, 20, 0])) > 30


@pytest.mark.parametrize("name", CORRECTIONS)
def test_it_is_quick(name: str) -> None:
    """5 ms on one quiet core; the limit allows for a busy machine."""
    image = noisy(scene(), 20)
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        restore(image, name)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.05
