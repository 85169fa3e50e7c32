"""Array operations that degradations and restorers share."""

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.types import Image

Floats = NDArray[np.float32]
"""Pixels, or a field of values, while they are being worked on."""


def to_uint8(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Round `values` (0 to 255) to uint8; values outside that range are clipped."""
    rounded = np.rint(values)
    np.clip(rounded, 0, 255, out=rounded)
    return np.asarray(rounded, np.uint8)


def at_least(image: Image, side: int) -> Image:
    """Return a read-only view of an image, padded to sides of at least `side` pixels by repeating its edges."""
    height, width = image.shape[:2]
    padding = ((0, max(side - height, 0)), (0, max(side - width, 0)), (0, 0))
    padded = np.pad(image, padding, mode="edge") if min(height, width) < side else image.view()
    padded.flags.writeable = False
    return padded


def in_strips(
    function: Callable[[NDArray[Any]], NDArray[Any]], image: NDArray[Any], *, reach: int, height: int
) -> NDArray[Any]:
    """Apply a function to overlapping strips: the same result in less memory, and sooner, as strips fit into caches.

    Args:
        function: takes and returns arrays whose last axis but one is the rows; each row of its result depends only on
            the rows within `reach`.
        image: shape (..., H, W).
        reach: in rows.
        height: of a strip, in rows, without its surroundings.
    """
    rows = image.shape[-2]
    if rows <= height + 2 * reach:
        return function(image)
    strips = []
    for top in range(0, rows, height):
        first = max(top - reach, 0)
        strip = function(image[..., first : top + height + reach, :])
        strips.append(np.ascontiguousarray(strip[..., top - first : top - first + height, :]))
    return np.concatenate(strips, axis=-2)


_LEVELS = np.arange(256) / 255
DECODED = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
"""The linear light (white is 1) of each of the 256 levels of sRGB (IEC 61966-2-1)."""

# Looking light up in 16 bits is many times faster than the power, and gives every one of the 256 levels back.
_LIGHT = np.arange(65_536) / 65_535
_ENCODED = to_uint8(255 * np.where(_LIGHT <= 0.0031308, 12.92 * _LIGHT, 1.055 * _LIGHT ** (1 / 2.4) - 0.055))


def to_linear(image: Image) -> Floats:
    """Convert sRGB to linear light, where white is 1."""
    return np.asarray(DECODED[image], np.float32)


def to_srgb(light: NDArray[np.floating]) -> Image:
    """Convert linear light (white is 1) to sRGB, the inverse of `to_linear`; values outside 0 to 1 are clipped."""
    steps = np.clip(light, 0, 1) * 65_535 + 0.5
    return np.asarray(np.take(_ENCODED, steps.astype(np.uint16)), np.uint8)


def guided(values: Floats, guide: Floats, radius: int, epsilon: float, border: int = cv2.BORDER_REFLECT) -> Floats:
    """Smooth `values` over a square, but not across edges of `guide` (the guided filter of He, Sun and Tang 2010).

    Args:
        values: shape (H, W).
        guide: shape (H, W); what varies by more than the square root of `epsilon` counts as an edge.
        radius: half the side of the square, in pixels.
        epsilon: a variance of `guide`.
        border: OpenCV's rule for extending the image beyond its border.
    """

    def mean(field: NDArray[np.floating]) -> Floats:
        return np.asarray(cv2.blur(field, (2 * radius + 1, 2 * radius + 1), borderType=border), np.float32)

    level, tone = mean(values), mean(guide)
    slope = (mean(guide * values) - tone * level) / (mean(guide * guide) - tone * tone + np.float32(epsilon))
    return mean(slope) * guide + mean(level - slope * tone)


def smear(pixels: Floats, radius: float, sigma: float, degrees: float) -> Floats:
    """Average each pixel with those that follow it along a line, weighted by one half of a Gaussian.

    This is ImageMagick's motion blur, which ImageNet-C uses: one tap per pixel of the line, each at the nearest whole
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
