"""Bringing back what resampling, slight blur and compression removed, without inventing detail."""

import io
import math
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL.JpegImagePlugin import JpegImageFile

from vqttt.images.ops import Floats, in_strips, to_uint8
from vqttt.images.restorers.blur import luma_of
from vqttt.images.restorers.deblur import find_blur
from vqttt.images.restorers.denoise import alike
from vqttt.images.restorers.noise import OPPONENT, opponent
from vqttt.images.restorers.variation import least_variation
from vqttt.types import Image

_QUALITIES = range(4, 86)
# The cosine transform of a line of 8 pixels, and of JPEG's blocks in both directions at once.
_LINE = np.array([[math.cos((2 * x + 1) * u * math.pi / 16) / 2 for x in range(8)] for u in range(8)])
_LINE[0] /= math.sqrt(2)
_DCT = np.kron(_LINE, _LINE).T.astype(np.float32)


def lanczos(image: Image) -> Image:
    """Double both sides, keeping edges as steep as the resolution of the image allows.

    Each new pixel is a mean of the 8 x 8 around it, weighted by a windowed sinc. No detail is invented: a model that
    takes larger images gets the same scene in more pixels. Source: Duchon 1979.
    """
    height, width = image.shape[:2]
    return np.asarray(cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_LANCZOS4), np.uint8)


def unsharp_mask(image: Image) -> Image:
    """Steepen edges: add 1.5 times the difference between the image and a blurred copy of it.

    The copy is blurred by a Gaussian as wide as the blur that `find_blur` finds, with a standard deviation of at most
    1.5 pixels. An image without visible blur, or blurred by motion, is left as it is.
    Source: the darkroom technique; strengths are our own choice.
    """
    blur = find_blur(image)
    if blur.kind not in ("gaussian", "disc"):
        return image.copy()
    pixels = image.astype(np.float32)
    sigma = min(blur.reach / math.sqrt(2), 1.5)
    return to_uint8(2.5 * pixels - 1.5 * cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101))


def deblock(image: Image, quality: int | None = None) -> Image:
    """Smooth the traces of strong JPEG compression: edges of blocks, ripples beside edges, bleeding colours.

    The JPEG quality shows in the grid on which the cosine coefficients of the image lie. Total variation is lowered,
    then pixels with similar surroundings are averaged, both with a strength in proportion to the steps of that grid;
    then the coefficients of luma are moved back to within 0.4 steps of their saved values. An image without such a
    grid, saved at a quality above 85, or whose blocks do not start at its upper left corner, is left as it is.
    Source: our own choice; the last step after Zakhor 1992.

    Args:
        image: see `Restorer`.
        quality: as `jpeg_quality` returns it, if known.
    """
    image = np.ascontiguousarray(image)
    quality = jpeg_quality(image) if quality is None else quality
    if quality is None:
        return image.copy()
    steps = _steps(quality)
    strength = float(steps[:4, :4].mean())

    def smoothed(planes: Floats) -> Floats:
        return alike(least_variation(planes, 0.2 * strength), 0.25 * strength, 0.1 * strength, reach=2, colour=0.5)

    planes = in_strips(smoothed, opponent(image.astype(np.float32)), reach=48, height=192)
    smooth = np.asarray(cv2.transform(cv2.merge(list(planes)), OPPONENT.T), np.float32)
    # Only luma is corrected: by the same amount in all three colours.
    saved, now = (_cosines(_blocks(luma_of(pixels))) for pixels in (image, smooth))
    grid = steps.astype(np.float32).ravel()
    middle, most = np.rint(saved / grid) * grid, np.float32(0.4) * grid
    change = _blocks_joined((np.clip(now, middle - most, middle + most) - now) @ _DCT.T)
    height, width = change.shape
    smooth[:height, :width] += change[..., None]
    return to_uint8(smooth)


def jpeg_quality(image: Image) -> int | None:
    """Return the quality with which the image was saved as JPEG, if it is visible and at most 85, or None.

    All cosine coefficients lie on the grid of that quality. They also lie on some finer grids, so the lowest quality
    that fits is sought, and then the best of it and the next three, which share most of its steps. Qualities that do
    not fit an eighth of the blocks are passed over.
    """
    image = np.ascontiguousarray(image)
    blocks = _blocks(luma_of(image)).reshape(-1, 64)
    # In blocks with clipped tones, coefficients have left the grid.
    red, green, blue = cv2.split(image)
    ends = (cv2.min(cv2.min(red, green), blue) == 0) | (cv2.max(cv2.max(red, green), blue) == 255)
    clipped = _blocks(ends).reshape(-1, 64).any(axis=1)
    blocks = blocks[~clipped] if clipped.mean() < 0.9 else blocks
    blocks = _cosines(blocks[:: max(len(blocks) // 500, 1)])
    blocks[:, 0] = 0  # the mean is on the grid of every quality
    first = next((quality for quality in _likely(blocks[::16]) if _misfit(blocks, quality) < 0.3), None)
    return None if first is None else min(range(first, first + 4), key=lambda quality: _misfit(blocks, quality))


def _likely(blocks: Floats) -> list[int]:
    """Return the qualities of 4 to 85 whose grids coefficients of shape (blocks, 64) may lie on, and some others."""
    grids = np.array([_steps(quality).ravel() for quality in _QUALITIES], np.float32)
    place = blocks * (1 / grids)[:, None]
    step = np.rint(place)
    place -= step
    place *= place
    beyond = step != 0
    count = np.count_nonzero(beyond, axis=(1, 2))
    misfit = 12 * np.einsum("ijk,ijk->i", place, beyond.astype(np.float32)) / np.maximum(count, 1)
    return [quality for quality, fits in zip(_QUALITIES, (misfit < 0.6) | (count < 20), strict=True) if fits]


def _misfit(blocks: Floats, quality: int) -> float:
    """Return how far coefficients of shape (blocks, 64) are from the grid of a quality, where 1 is expected by chance.

    Fewer than 20 of them beyond the first step of the grid count as chance.
    """
    steps = _steps(quality).ravel()
    beyond = np.flatnonzero(np.abs(blocks) > (steps / 2).astype(np.float32))
    if len(beyond) < 20:
        return 1.0
    place = blocks.ravel()[beyond] / steps[beyond % 64]
    off = place - np.rint(place)
    return 12 * float(off @ off) / len(off)


def _cosines(blocks: Floats) -> Floats:
    """Return the cosine coefficients of blocks of luma, both of shape (blocks, 64) or (rows, columns, 64)."""
    return np.asarray((blocks - np.float32(128)) @ _DCT, np.float32)


def _blocks(plane: NDArray[Any]) -> NDArray[Any]:
    """Cut a plane into whole blocks of 8 x 8: shape (rows, columns, 64)."""
    rows, columns = plane.shape[0] // 8, plane.shape[1] // 8
    return plane[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8).swapaxes(1, 2).reshape(rows, columns, 64)


def _blocks_joined(blocks: NDArray[Any]) -> NDArray[Any]:
    rows, columns = blocks.shape[:2]
    return blocks.reshape(rows, columns, 8, 8).swapaxes(1, 2).reshape(rows * 8, columns * 8)


@lru_cache
def _steps(quality: int) -> NDArray[np.float64]:
    """Return the steps of the grid on which JPEG stores luma: shape (8, 8)."""
    buffer = io.BytesIO()
    PILImage.new("L", (8, 8)).save(buffer, format="JPEG", quality=quality)
    with PILImage.open(buffer) as image:
        assert isinstance(image, JpegImageFile)
        return np.array(image.quantization[0], np.float64).reshape(8, 8)
