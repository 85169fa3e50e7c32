"""Sensor noise."""

import numpy as np

from vqttt.images.ops import to_uint8
from vqttt.types import Image

_GAUSSIAN_SIGMA = (0.08, 0.12, 0.18, 0.26, 0.38)
_SHOT_PHOTONS = (60, 25, 12, 5, 3)
_IMPULSE_SHARE = (0.03, 0.06, 0.09, 0.17, 0.27)
_SPECKLE_SIGMA = (0.15, 0.2, 0.35, 0.45, 0.6)


def gaussian_noise(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Add Gaussian noise, independent for each pixel and colour, as a sensor does in poor light.

    Standard deviation by severity, where white is 1: 0.08, 0.12, 0.18, 0.26, 0.38. Noise has no length, so `unit` is
    not used. Source: ImageNet-C.
    """
    pixels = rng.standard_normal(image.shape, dtype=np.float32)
    pixels *= 255 * _GAUSSIAN_SIGMA[severity - 1]
    pixels += image
    return to_uint8(pixels)


def shot_noise(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Count few photons: their number is random, so a short exposure is grainy, most of all in bright parts.

    Photons that a white pixel collects for each colour, by severity: 60, 25, 12, 5, 3. Noise has no length, so `unit`
    is not used. Source: ImageNet-C.
    """
    photons = _SHOT_PHOTONS[severity - 1]
    expected = np.arange(256) * (photons / 255)
    return to_uint8(rng.poisson(expected[image]).astype(np.float32) * (255 / photons))


def impulse_noise(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Turn isolated values black or white, as faulty bits and dead pixels do (salt and pepper, separately by colour).

    Share of the values, half of them black and half white, by severity: 0.03, 0.06, 0.09, 0.17, 0.27. Noise has no
    length, so `unit` is not used. Source: ImageNet-C.
    """
    half = _IMPULSE_SHARE[severity - 1] / 2
    draw = rng.random(image.shape, dtype=np.float32)
    noisy = image.copy()
    noisy[draw < half] = 0
    noisy[draw >= 1 - half] = 255
    return noisy


def speckle_noise(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Multiply by Gaussian noise, strongest in bright parts, as in coherent imaging (radar, ultrasound).

    Standard deviation relative to the value, by severity: 0.15, 0.2, 0.35, 0.45, 0.6. Noise has no length, so `unit` is
    not used. Source: ImageNet-C.
    """
    pixels = rng.standard_normal(image.shape, dtype=np.float32)
    pixels *= _SPECKLE_SIGMA[severity - 1]
    pixels += 1
    pixels *= image
    return to_uint8(pixels)
