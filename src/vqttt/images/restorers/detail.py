"""What resampling and compression take away, as far as it can come back without guessing."""

import io
import math
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL.JpegImagePlugin import JpegImageFile

from vqttt.images.files import to_uint8
from vqttt.images.restorers.deblur import find_blur
from vqttt.images.restorers.denoise import OPPONENT, Floats, alike
from vqttt.types import Image

_DCT = np.array([[math.cos((2 * x + 1) * u * math.pi / 16) / 2 for x in range(8)] for u in range(8)], np.float32)
_DCT[0] /= math.sqrt(2)


def lanczos(image: Image) -> Image:
    """Enlarge to twice the sides, so that edges stay as steep as the image's own resolution allows.

    Between pixels, 8 x 8 around are weighted by a windowed sinc. Nothing is invented: a model that takes larger
    images gets the same scene in more pixels. Source: Duchon 1979.
    """
    height, width = image.shape[:2]
    return np.asarray(cv2.resize(image, (2 * width, 2 * height), interpolation=cv2.INTER_LANCZOS4), np.uint8)


def unsharp_mask(image: Image) -> Image:
    """Add 1.5 times what the blur would take away again: edges steepen.

    It is taken away by a Gaussian as wide as the blur that `find_blur` finds, of a standard deviation of at most 1.5
    pixels. An image without a blur that shows, or smeared by motion, is left alone.
    Source: the darkroom's; strengths are our own choice.
    """
    blur = find_blur(image)
    if blur.kind not in ("gaussian", "disc"):
        return image.copy()
    pixels = image.astype(np.float32)
    sigma = min(blur.reach / math.sqrt(2), 1.5)
    return to_uint8(2.5 * pixels - 1.5 * cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101))


def deblock(image: Image) -> Image:
    """Smooth what strong JPEG compression left: borders of blocks, ripples beside edges, bleeding colours.

    The quality that the image was saved with shows in the grid on which its cosine coefficients lie. Non-local means
    of a strength in proportion to that grid's steps; then luma is drawn back to within 0.4 steps of where it was saved.
    An image without such a grid, or saved at a quality above 85, is left alone, as is one whose blocks do not
    start at its upper left corner. Source: our own choice; the last step after Zakhor 1992.
    """
    image = np.ascontiguousarray(image)
    quality = jpeg_quality(image)
    if quality is None:
        return image.copy()
    steps = _steps(quality)
    strength = float(steps[:4, :4].mean())
    planes = np.ascontiguousarray(np.tensordot(OPPONENT, image.astype(np.float32), (1, 2)))
    smooth = np.tensordot(alike(planes, 0.25 * strength, 0.1 * strength, colour=0.5), OPPONENT, (0, 0))
    # What is drawn back is luma: the same for the three colours.
    saved, now = (_cosines(_luma(pixels)) for pixels in (image, smooth))
    middle = np.rint(saved / steps) * steps
    change = _blocks_joined(_DCT.T @ (np.clip(now, middle - 0.4 * steps, middle + 0.4 * steps) - now) @ _DCT)
    height, width = change.shape
    smooth[:height, :width] += change[..., None]
    return to_uint8(smooth)


def jpeg_quality(image: Image) -> int | None:
    """Return the quality that the image was saved with as JPEG, if it shows and is at most 85.

    On its grid lie those cosine coefficients that are not zero there. So they do on some finer grids: the coarsest one
    counts, and the next few, which share most steps with it.
    """
    blocks = _cosines(_luma(image)).reshape(-1, 8, 8)
    # Where tones were clipped, coefficients have left the grid.
    clipped = _blocks(((image == 0) | (image == 255)).any(axis=2)).reshape(-1, 64).any(axis=1)
    blocks = blocks[~clipped] if clipped.mean() < 0.9 else blocks
    blocks = blocks[:: max(len(blocks) // 500, 1)]
    blocks[:, 0, 0] = 0  # the mean is no detail

    def misfit(quality: int) -> float:
        place = blocks / _steps(quality)
        step = np.rint(place)
        off = (place - step)[step != 0]
        return 12 * float(np.mean(off * off)) if len(off) >= 20 else 1.0  # which it would be by chance

    first = next((quality for quality in range(4, 86) if misfit(quality) < 0.3), None)
    return None if first is None else min(range(first, first + 4), key=misfit)


def _luma(pixels: NDArray[Any]) -> Floats:
    """Return BT.601 luma."""
    return np.asarray(pixels @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


def _cosines(luma: Floats) -> Floats:
    """Return the cosine coefficients of blocks of 8 x 8: shape (rows, columns, 8, 8)."""
    return np.asarray(_DCT @ (_blocks(luma) - 128) @ _DCT.T, np.float32)


def _blocks(plane: NDArray[Any]) -> NDArray[Any]:
    """Cut a plane into whole blocks of 8 x 8: shape (rows, columns, 8, 8)."""
    rows, columns = plane.shape[0] // 8, plane.shape[1] // 8
    return plane[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8).swapaxes(1, 2)


def _blocks_joined(blocks: Floats) -> Floats:
    rows, columns = blocks.shape[:2]
    return blocks.swapaxes(1, 2).reshape(rows * 8, columns * 8)


@lru_cache
def _steps(quality: int) -> NDArray[np.float64]:
    """Return the steps of the grid on which JPEG stores luma: shape (8, 8)."""
    buffer = io.BytesIO()
    PILImage.new("L", (8, 8)).save(buffer, format="JPEG", quality=quality)
    with PILImage.open(buffer) as image:
        assert isinstance(image, JpegImageFile)
        return np.array(image.quantization[0], np.float64).reshape(8, 8)
