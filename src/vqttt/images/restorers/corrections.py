"""Corrections: small fixed functions of an image, quick enough that a method can try several on every image.

They do not look for what is wrong: `vq-select` learns which of them suits which image. Lengths are given for an image
whose short side is 224 pixels, and grow with it, since a model shrinks larger images. Which there are, and how strong,
is our own choice, made on development scenes (`LOG.md`).
"""

import math
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.images.ops import Floats, to_uint8
from vqttt.types import Image

_SIDE = 224
# The mean and the deviation of tones in usual photographs, of 255; networks normalise their input by them.
_MIDDLE, _SPREAD = 116.0, 69.0


def soften(image: Image) -> Image:
    """Blur by a Gaussian with a standard deviation of 3.2 pixels."""
    return to_uint8(_blurred(image.astype(np.float32), 3.2 * _scale(image)))


def smooth(image: Image) -> Image:
    """Replace every pixel by the median of the 9 x 9 around it: no speck, streak or texture stays, edges do."""
    return np.asarray(cv2.medianBlur(np.ascontiguousarray(image), _odd(9 * _scale(image))))


def smooth_and_stretch(image: Image) -> Image:
    """Smooth, then spread the tones between the 2nd and 98th percentile over the whole range."""
    pixels = smooth(image).astype(np.float32)
    low, high = np.quantile(pixels[::3, ::3], (0.02, 0.98)).astype(np.float32)
    return to_uint8((pixels - low) * (np.float32(255) / max(high - low, np.float32(6))))


def despeckle(image: Image) -> Image:
    """Remove what is brighter than its surroundings and narrower than 5 pixels: flakes, drops, streaks of rain."""
    square = np.ones(2 * [_odd(5 * _scale(image))], np.uint8)
    opened = cv2.morphologyEx(np.ascontiguousarray(image), cv2.MORPH_OPEN, square, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(opened)


def brighten(image: Image, power: float) -> Image:
    """Raise tones, as shares of white, to a power below 1: dark ones gain most."""
    return to_uint8(255 * (np.arange(256) / 255) ** power)[image]


def denoise_and_spread(image: Image) -> Image:
    """Reduce noise by coring, then move mean and contrast halfway to those of usual photographs.

    Coring shrinks small values of the three finest bands: c becomes c^3 / (c^2 + t^2), where t is twice the standard
    deviation of the band's noise, estimated from the median of |c| (Simoncelli and Adelson 1996).
    """
    pixels = image.astype(np.float32)
    scale = min(image.shape[:2]) / _SIDE
    levels = [pixels, *(_blurred(pixels, max(1.2 * 2**band * scale, 0.3)) for band in range(3))]
    for fine, coarse in pairwise(levels):
        band = fine - coarse
        noise = float(np.median(np.abs(band[::2, ::2]))) / 0.6745
        limit = np.float32((2 * noise + 0.07) ** 2)
        pixels = pixels - band * (limit / (band * band + limit))
    mean, spread = float(pixels.mean()), max(float(pixels.std()), 0.03 * _SPREAD)
    gain = np.float32(math.sqrt(_SPREAD / spread))
    return to_uint8((pixels - np.float32(mean)) * gain + np.float32((mean + _MIDDLE) / 2))


def even_light(image: Image) -> Image:
    """Divide by the light: a blurred image in which all that is dark and narrower than a sixth of the image is filled.

    Against shadows, vignettes, casts and dim light; the brightest of each place becomes white.
    """
    reach = min(image.shape[:2]) / 6
    shrink = max(1, int(reach / 12))
    size = (math.ceil(image.shape[1] / shrink), math.ceil(image.shape[0] / shrink))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    square = np.ones(2 * [_odd(reach / shrink)], np.uint8)
    filled = cv2.morphologyEx(small, cv2.MORPH_CLOSE, square, borderType=cv2.BORDER_REPLICATE).astype(np.float32)
    soft = cv2.GaussianBlur(filled, (0, 0), reach / shrink / 2, borderType=cv2.BORDER_REPLICATE)
    light = cv2.resize(soft, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return to_uint8(np.float32(255) * image.astype(np.float32) / np.maximum(light, np.float32(8)))


def _scale(image: NDArray[Any]) -> float:
    return max(1.0, float(min(image.shape[:2])) / _SIDE)


def _odd(length: float) -> int:
    """Return the odd whole number that is nearest to a length in pixels."""
    return 2 * round((length - 1) / 2) + 1


def _blurred(pixels: Floats, sigma: float) -> Floats:
    """Blur by a Gaussian; a wide one on a smaller copy, which looks the same and takes a fraction of the time."""
    shrink = max(1, int(sigma / 2))
    height, width = pixels.shape[:2]
    small = pixels
    if shrink > 1:
        size = (math.ceil(width / shrink), math.ceil(height / shrink))
        small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
    soft = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REPLICATE)
    if shrink > 1:
        soft = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(soft, np.float32)
