"""Noise of the sensor."""

import numpy as np

from vqttt.images import to_uint8
from vqttt.types import Image

_GAUSSIAN_SIGMA = (0.08, 0.12, 0.18, 0.26, 0.38)


def gaussian_noise(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Add Gaussian noise, independent for each pixel and colour, as a sensor does in poor light.

    Standard deviation by severity, where white is 1: 0.08, 0.12, 0.18, 0.26, 0.38. Noise has no length, so `unit` is
    not used. Source: ImageNet-C.
    """
    pixels = rng.standard_normal(image.shape, dtype=np.float32)
    pixels *= 255 * _GAUSSIAN_SIGMA[severity - 1]
    pixels += image
    return to_uint8(pixels)
