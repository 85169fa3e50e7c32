"""Tools for drawing at the published size, so that strokes, drops and clouds keep their size relative to the scene.

On a thumbnail, a published length may be less than a pixel. So degradations work on a `canvas`, the image enlarged to
the published size, or draw a layer of the size of the `frame` and `fit` it to the image.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.images.ops import Floats, to_uint8
from vqttt.types import Image

# Long strips would otherwise be enlarged beyond what memory and OpenCV allow.
_MAX_CANVAS_PIXELS, _MAX_CANVAS_SIDE = 2**22, 2**14


def canvas(image: Image, unit: float, draw: Callable[[Floats, float], Floats]) -> Image:
    """Draw on an image that is enlarged until published pixels are pixels, then shrink the result.

    Args:
        image: uint8 RGB.
        unit: pixels of the image per published pixel; from 1 up the image is not enlarged.
        draw: takes pixels (0 to 255) and their unit, and returns pixels of the same shape.
    """
    height, width = image.shape[:2]
    zoom = min(1 / unit, _MAX_CANVAS_SIDE / max(height, width), math.sqrt(_MAX_CANVAS_PIXELS / (height * width)))
    if zoom <= 1:
        return to_uint8(draw(image.astype(np.float32), unit))
    size = round(width * zoom), round(height * zoom)
    enlarged = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return to_uint8(cv2.resize(draw(enlarged, unit * zoom), (width, height), interpolation=cv2.INTER_AREA))


def frame(image: Image, unit: float) -> tuple[int, int]:
    """Return height and width of the image in published pixels; fewer for a strip that would need too many."""
    height, width = image.shape[:2]
    zoom = min(1 / unit, max(1.0, math.sqrt(_MAX_CANVAS_PIXELS / (height * width))))
    return round(height * zoom), round(width * zoom)


def to_frame(pixels: NDArray[np.float32 | np.uint8], shape: tuple[int, int]) -> Floats:
    """Resize pixels of shape (H, W, 3) to the height and width that `frame` gave."""
    return np.asarray(cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)


def fit(layer: Floats, image: Image) -> Floats:
    """Resize a layer of shape (h, w) to the size of `image`."""
    height, width = image.shape[:2]
    if layer.shape == (height, width):
        return layer
    method = cv2.INTER_AREA if layer.size > height * width else cv2.INTER_LINEAR
    return cv2.resize(layer, (width, height), interpolation=method).astype(np.float32, copy=False)


def fit_colours(layer: NDArray[np.floating], image: Image) -> Floats:
    """Resize a layer of shape (h, w, 3) to the size of `image`."""
    colours = cv2.split(np.asarray(layer, np.float32))
    return np.asarray(cv2.merge([fit(np.asarray(colour, np.float32), image) for colour in colours]), np.float32)


def clouds(shape: tuple[int, int], cell: float, rng: np.random.Generator) -> Floats:
    """Draw a smooth random field of mean 0 and standard deviation about 1, with features of `cell` pixels."""
    size = [max(math.ceil(length / max(cell, 1)) + 1, 2) for length in shape]
    coarse = rng.standard_normal(size, dtype=np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def spread(pixels: Floats, sigma: float) -> Floats:
    """Blur by a Gaussian of `sigma` pixels; a wide one at a quarter of the size, which looks the same and is faster."""
    height, width = pixels.shape[:2]
    if sigma < 8:
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)
    small = cv2.resize(pixels, (math.ceil(width / 4), math.ceil(height / 4)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(spread(np.asarray(small, np.float32), sigma / 4), (width, height)), np.float32)
