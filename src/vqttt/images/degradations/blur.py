"""Blur by the lens, by motion and by glass."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.images.degradations.canvas import canvas
from vqttt.images.ops import Floats, smear, to_uint8
from vqttt.types import Image

_GAUSSIAN_SIGMA = (1, 2, 3, 4, 6)
_DEFOCUS_RADIUS_SIGMA = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))
_GLASS_SIGMA_REACH_ROUNDS = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
_ZOOM_LIMIT_STEP = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
_MOTION_RADIUS_SIGMA = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))

# For larger kernels, in pixels, OpenCV's two-dimensional filter is faster: it uses a Fourier transform.
_MAX_SEPARABLE_SIZE = 91


def gaussian_blur(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Blur evenly in all directions, roughly as a lens out of focus does (whose blur is a disc with a harder edge).

    Standard deviation by severity, in pixels times `unit`: 1, 2, 3, 4, 6. The kernel is cut off at four standard
    deviations; edges are repeated.
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
    """Smear the image along a line, as when the camera moves during exposure.

    Radius and standard deviation by severity, in pixels times `unit`: (10, 3), (15, 5), (15, 8), (15, 12), (20, 15);
    the direction is uniform within 45 degrees of the horizontal. Source: ImageNet-C.
    """
    radius, sigma = _MOTION_RADIUS_SIGMA[severity - 1]
    return to_uint8(smear(image.astype(np.float32), radius * unit, sigma * unit, rng.uniform(-45, 45)))


def defocus_blur(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Spread each point over a disc, as a lens out of focus does.

    Radius of the disc by severity, in pixels times `unit`: 3, 4, 6, 8, 10. Its rim is softened by a Gaussian of
    standard deviation 0.1 pixels at severity 1, and 0.5 pixels above. Nothing is drawn from `rng`. Source: ImageNet-C.
    """
    published, soften = _DEFOCUS_RADIUS_SIGMA[severity - 1]

    def spread(pixels: Floats, unit: float) -> Floats:
        radius = round(published * unit)
        reach = max(radius, 8) if unit == 1 else radius + 2
        x, y = np.meshgrid(*2 * [np.arange(-reach, reach + 1)])
        disc = (x * x + y * y <= radius * radius).astype(np.float32)
        size = 3 if published <= 8 else 5
        disc = cv2.GaussianBlur(disc / disc.sum(), (size, size), soften)
        return np.asarray(cv2.filter2D(pixels, -1, disc), np.float32)

    return canvas(image, unit, spread)


def glass_blur(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Look through frosted or rippled glass: each pixel shows one from nearby.

    The image is blurred, then in each of several rounds every pixel takes the colour of a neighbour, then the image is
    blurred again. By severity: standard deviation of the blurs in pixels times `unit`: 0.7, 0.9, 1, 1.1, 1.5; how far
    away the neighbour may be, in the same unit: 1, 2, 2, 3, 4; rounds: 2, 1, 3, 2, 2.
    Source: ImageNet-C, whose code is meant to swap pixels but copies them.
    """
    sigma, published, rounds = _GLASS_SIGMA_REACH_ROUNDS[severity - 1]
    seed = int(rng.integers(2**32))

    def refract(pixels: Image, unit: float) -> Image:
        reach, own = max(round(published * unit), 1), np.random.default_rng(seed)
        source = shuffled(pixels.shape[:2], reach, own)
        for _ in range(rounds - 1):
            source = np.take(source, shuffled(pixels.shape[:2], reach, own))
        return _gaussian(np.take(_gaussian(pixels, sigma * unit).reshape(-1, 3), source, axis=0), sigma * unit)

    if unit >= 1:
        return refract(image, unit)  # staying with whole numbers is twice as fast
    return canvas(image, unit, lambda pixels, unit: refract(to_uint8(pixels), unit).astype(np.float32))


def zoom_blur(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Average over a zoom toward the centre, as when the camera moves forward during exposure.

    Zoom factors run from 1 to 1.1, 1.15, 1.2, 1.24, 1.3 by severity, in steps of 0.01, 0.01, 0.02, 0.02, 0.03. They are
    already relative to the image, so `unit` is not used. Nothing is drawn from `rng`. Source: ImageNet-C.
    """
    limit, step = _ZOOM_LIMIT_STEP[severity - 1]
    factors = np.arange(1, limit, step)
    height, width = image.shape[:2]
    pixels = image.astype(np.float32)
    total = pixels.copy()
    for factor in factors:
        (top, down), (left, across) = _zoomed(height, factor), _zoomed(width, factor)
        to_source = np.array([[across, 0, left], [0, down, top]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        total += cv2.warpAffine(pixels, to_source, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return to_uint8(total / (len(factors) + 1))


def shuffled(shape: tuple[int, int], reach: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return, for each pixel of an image, the flat index of the pixel whose colour it takes in one round of glass.

    From the lower right to the upper left, each pixel takes the colour of one up to `reach` away, which may already
    have taken another's. Going one by one would be slow, so all pixels draw their source at once, and chains of sources
    are then followed to their ends, doubling the step each time.
    """
    height, width = shape
    offsets = np.add.outer(np.arange(-reach, reach) * width, np.arange(-reach, reach)).ravel()
    moving = slice(reach + 1, height - reach + 1), slice(reach + 1, width - reach + 1)
    taken, chained = np.arange(height * width), np.zeros(height * width, np.bool_)
    movers = taken.reshape(shape)[moving]
    # Several times faster than drawing integers, and as uniform to one part in two million.
    drawn = np.take(offsets, (rng.random(movers.shape, dtype=np.float32) * len(offsets)).astype(np.intp))
    movers += drawn
    # Pixels below, or further right in the same row, come earlier in the order and have taken a colour already.
    chained.reshape(shape)[moving] = drawn > 0
    open_ends = np.flatnonzero(chained)
    while len(open_ends):
        ahead = np.take(taken, open_ends)
        taken[open_ends] = np.take(taken, ahead)
        further = np.take(chained, ahead)
        chained[open_ends] = further
        open_ends = np.compress(further, open_ends)
    return taken.reshape(shape)


def _gaussian(image: Image, sigma: float) -> Image:
    size = 2 * int(4 * sigma + 0.5) + 1
    return np.asarray(cv2.GaussianBlur(image, (size, size), sigma, borderType=cv2.BORDER_REPLICATE), np.uint8)


def _zoomed(length: int, factor: float) -> tuple[float, float]:
    """Return where the part shown by a zoom begins, and the distance between its samples, in pixels."""
    shown = math.ceil(length / factor)
    return (length - shown) // 2, (shown - 1) / max(round(shown * factor) - 1, 1)
