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

from vqttt.images.ops import Floats, to_uint8
from vqttt.images.restorers.deblur import find_blur
from vqttt.images.restorers.denoise import OPPONENT, alike, opponent
from vqttt.types import Image

# The cosine transform of JPEG's blocks.
_DCT = np.array([[math.cos((2 * x + 1) * u * math.pi / 16) / 2 for x in range(8)] for u in range(8)], np.float32)
_DCT[0] /= math.sqrt(2)


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


def deblock(image: Image) -> Image:
    """Smooth the traces of strong JPEG compression: edges of blocks, ripples beside edges, bleeding colours.

    The JPEG quality shows in the grid on which the cosine coefficients of the image lie. Non-local means are applied
    with a strength in proportion to the steps of that grid; then the coefficients of luma are moved back to within 0.4
    steps of their saved values. An image without such a grid, saved at a quality above 85, or whose blocks do not start
    at its upper left corner, is left as it is. Source: our own choice; the last step after Zakhor 1992.
    """
    image = np.ascontiguousarray(image)
    quality = jpeg_quality(image)
    if quality is None:
        return image.copy()
    steps = _steps(quality)
    strength = float(steps[:4, :4].mean())
    planes = opponent(image.astype(np.float32))
    smooth = np.tensordot(alike(planes, 0.25 * strength, 0.1 * strength, colour=0.5), OPPONENT, (0, 0))
    # Only luma is corrected: by the same amount in all three colours.
    saved, now = (_cosines(_luma(pixels)) for pixels in (image, smooth))
    middle = np.rint(saved / steps) * steps
    change = _blocks_joined(_DCT.T @ (np.clip(now, middle - 0.4 * steps, middle + 0.4 * steps) - now) @ _DCT)
    height, width = change.shape
    smooth[:height, :width] += change[..., None]
    return to_uint8(smooth)


def jpeg_quality(image: Image) -> int | None:
    """Return the quality with which the image was saved as JPEG, if it is visible and at most 85, or None.

    All cosine coefficients lie on the grid of that quality. They also lie on some finer grids, so the lowest quality
    that fits is sought, and then the best of it and the next three, which share most of its steps.
    """
    blocks = _cosines(_luma(image)).reshape(-1, 8, 8)
    # In blocks with clipped tones, coefficients have left the grid.
    clipped = _blocks(((image == 0) | (image == 255)).any(axis=2)).reshape(-1, 64).any(axis=1)
    blocks = blocks[~clipped] if clipped.mean() < 0.9 else blocks
    blocks = blocks[:: max(len(blocks) // 500, 1)]
    blocks[:, 0, 0] = 0  # the mean is on the grid of every quality

    def misfit(quality: int) -> float:
        place = blocks / _steps(quality)
        step = np.rint(place)
        off = (place - step)[step != 0]
        return 12 * float(np.mean(off * off)) if len(off) >= 20 else 1.0  # the misfit expected by chance

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
