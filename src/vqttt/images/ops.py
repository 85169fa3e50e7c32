"""Operations on images that degradations and restorers share."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.images.files import to_uint8
from vqttt.types import Image

Floats = NDArray[np.float32]


def guided(values: Floats, guide: Floats, radius: int, epsilon: float, border: int = cv2.BORDER_REFLECT) -> Floats:
    """Smooth `values` over a square, but not across edges of `guide` (the guided filter of He, Sun and Tang 2010).

    Args:
        values: shape (H, W).
        guide: likewise; an edge is what varies by more than the root of `epsilon`.
        radius: half the side of the square, in pixels.
        epsilon: a variance of `guide`.
        border: how OpenCV goes on beyond the image.
    """

    def mean(field: NDArray[np.floating]) -> Floats:
        return np.asarray(cv2.blur(field, (2 * radius + 1, 2 * radius + 1), borderType=border), np.float32)

    level, tone = mean(values), mean(guide)
    slope = (mean(guide * values) - tone * level) / (mean(guide * guide) - tone * tone + np.float32(epsilon))
    return mean(slope) * guide + mean(level - slope * tone)


def smear(pixels: NDArray[np.float32], radius: float, sigma: float, degrees: float) -> NDArray[np.float32]:
    """Average each pixel with those that follow it along a line, weighted by one half of a Gaussian.

    This is the motion blur of ImageMagick, on which ImageNet-C's is built: one tap a pixel, each at the nearest whole
    pixel. Edges are repeated.

    Args:
        pixels: shape (H, W) or (H, W, C).
        radius: half the length of the line, in pixels; 0 or more.
        sigma: standard deviation of the Gaussian, in pixels.
        degrees: direction of the line; 0 points right and 90 down.
    """
    steps = np.arange(round(2 * radius) + 1)
    weights = np.exp(-0.5 * (steps / sigma) ** 2)
    x = np.rint(steps * math.cos(math.radians(degrees))).astype(int)
    y = np.rint(steps * math.sin(math.radians(degrees))).astype(int)
    left, top = x.min(), y.min()
    kernel = np.zeros((np.ptp(y) + 1, np.ptp(x) + 1))
    np.add.at(kernel, (y - top, x - left), weights / weights.sum())  # two taps may share a pixel
    blurred = cv2.filter2D(pixels, -1, kernel, anchor=(int(-left), int(-top)), borderType=cv2.BORDER_REPLICATE)
    return blurred.astype(np.float32, copy=False)


_LEVELS = np.arange(256) / 255
DECODED = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
"""Light of each of the 256 levels of sRGB, where white is 1."""

_LIGHT = np.arange(65_536) / 65_535
_ENCODED = to_uint8(255 * np.where(_LIGHT <= 0.0031308, 12.92 * _LIGHT, 1.055 * _LIGHT ** (1 / 2.4) - 0.055))


def to_linear(image: Image) -> Floats:
    """Undo sRGB's curve: light, where white is 1."""
    return np.asarray(DECODED[image], np.float32)


def to_srgb(light: NDArray[np.floating]) -> Image:
    """Turn light (white is 1; what lies outside is clipped) into sRGB; the inverse of `to_linear`."""
    steps = np.clip(light, 0, 1) * 65_535 + 0.5
    return np.asarray(np.take(_ENCODED, steps.astype(np.uint16)), np.uint8)
