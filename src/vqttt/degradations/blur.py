"""Blur of lens and motion."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.images import to_uint8
from vqttt.types import Image

_GAUSSIAN_SIGMA = (1, 2, 3, 4, 6)
_MOTION_RADIUS_SIGMA = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))

# Above this, in pixels, one two-dimensional pass by Fourier transform beats two passes tap by tap.
_MAX_SEPARABLE_SIZE = 91


def gaussian_blur(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Blur evenly in all directions, as a lens out of focus does (roughly: its true disc has a harder edge).

    Standard deviation by severity, in pixels times `unit`: 1, 2, 3, 4, 6; cut off at four of them, edges repeated.
    Nothing is drawn from `rng`. Source: ImageNet-C.
    """
    sigma = _GAUSSIAN_SIGMA[severity - 1] * unit
    size = 2 * int(4 * sigma + 0.5) + 1
    line = cv2.getGaussianKernel(size, sigma)
    pixels = image.astype(np.float32)
    if size > _MAX_SEPARABLE_SIZE:
        return to_uint8(cv2.filter2D(pixels, -1, line @ line.T, borderType=cv2.BORDER_REPLICATE))
    return to_uint8(cv2.sepFilter2D(pixels, -1, line, line, borderType=cv2.BORDER_REPLICATE))


def motion_blur(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Smear along a line, as a camera that moves during exposure does.

    Radius and standard deviation by severity, in pixels times `unit`: (10, 3), (15, 5), (15, 8), (15, 12), (20, 15);
    the direction is uniform within 45 degrees of the horizontal. Source: ImageNet-C.
    """
    radius, sigma = _MOTION_RADIUS_SIGMA[severity - 1]
    return to_uint8(smear(image.astype(np.float32), radius * unit, sigma * unit, rng.uniform(-45, 45)))


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
