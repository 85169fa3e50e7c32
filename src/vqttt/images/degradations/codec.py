"""What storage and transmission do to an image: too few pixels, too few bits, lost packets."""

import io

import cv2
import numpy as np
import scipy.fft
from PIL import Image as PILImage

from vqttt.errors import ImageError
from vqttt.images.degradations.canvas import canvas
from vqttt.images.ops import Floats, to_uint8
from vqttt.types import Image

_LOW_RESOLUTION = (2, 3, 4, 5.5, 7)
_BITS = ((4, 4, 4), (3, 3, 3), (3, 3, 2), (2, 2, 2), (1, 2, 1))
# By severity: step between bands, standard deviation below which a region counts as smooth.
_BANDING = ((12, 5), (18, 6), (26, 7), (36, 8), (48, 9))
_BANDING_RADIUS = 4
# By severity: share of the macroblocks that are lost, coarseness of the others.
_VIDEO = ((0.04, 1.0), (0.09, 1.8), (0.17, 2.8), (0.28, 4.0), (0.42, 6.0))
_MACROBLOCK = 16
# Macroblocks in a packet, on average.
_RUN = 9
# Shares of the lost runs that are stretched and that have false colours; standard deviation of these, in YCrCb.
_STRETCHED, _TINTED, _TINT = 0.3, 0.2, (12, 22, 22)
# Chroma is quantised more coarsely than luma, as every video codec does.
_CHANNEL_STEPS = (1, 1.5, 1.5)
_WEBP_QUALITY = (8, 2.5, 0.7, 0.15, 0)
_WEBP_MAX_SIDE = 16_383


def low_resolution(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Enlarge a small image: photographed from afar or sent as a thumbnail, then scaled up without new detail.

    Pixels are averaged over squares, then interpolated by a cubic. Side of the squares in pixels, by severity: 2, 3, 4,
    5.5, 7, times `unit` where that exceeds 1. A thumbnail has no detail to spare, so its squares are not made smaller.
    Nothing is drawn from `rng`. Source: our own choice.
    """
    height, width = image.shape[:2]
    factor = _LOW_RESOLUTION[severity - 1] * max(unit, 1)
    size = max(round(width / factor), 1), max(round(height / factor), 1)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def bit_depth(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Keep few bits of each colour, without dithering, as old displays and small image sensors do.

    Bits of red, green and blue by severity: 4-4-4, 3-3-3, 3-3-2, 2-2-2, 1-2-1, which leaves 4096, 512, 256, 64, 16
    colours, black and white included. It has no length, so `unit` is not used. Nothing is drawn from `rng`.
    Source: our own choice, after the palettes of early home computers.
    """
    steps = 2 ** np.array(_BITS[severity - 1]) - 1
    tables = to_uint8(np.rint(np.arange(256)[:, None] * (steps / 255)) * (255 / steps))
    return np.asarray(cv2.LUT(image, tables[None]), np.uint8)


def banding(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Turn smooth gradients into visible steps, as strong video compression does to skies and walls.

    Regions that vary little within 4 pixels times `unit` are averaged and rounded to few levels. Edges and texture hide
    banding, so they are rounded to steps a quarter as large. By severity: step between levels of luma, of 255: 12, 18,
    26, 36, 48 (of chroma: a quarter); standard deviation at which a region counts as half smooth: 5, 6, 7, 8, 9.
    Nothing is drawn from `rng`. Source: our own choice.
    """
    step, smooth = _BANDING[severity - 1]
    side = 2 * max(round(_BANDING_RADIUS * unit), 1) + 1
    pixels = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2YCrCb)
    mean, square = (cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT) for values in (pixels, pixels**2))
    variance = (square - mean**2).sum(axis=2, keepdims=True)
    # The steep curve keeps edges whole; a gentle one would leave ghosts of them.
    textured = variance**2 / (variance**2 + smooth**4)
    mean = cv2.blur(mean, (side, side), borderType=cv2.BORDER_REFLECT)
    steps = np.array([step, step / 4, step / 4], np.float32)
    banded = np.rint(mean / steps) * steps
    kept = np.rint(pixels / (steps / 4)) * (steps / 4)
    return to_uint8(cv2.cvtColor(banded + textured * (kept - banded), cv2.COLOR_YCrCb2RGB))


def video_blocks(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Show a video frame whose packets were partly lost: blocks from elsewhere, smears, false colours.

    Macroblocks, of 16 pixels times `unit`, are lost in runs along the rows. Each run shows what lies up to two blocks
    away, or the row of pixels above it stretched downward; some have false colours. By severity: share of the
    macroblocks that are lost: 0.04, 0.09, 0.17, 0.28, 0.42; coarseness of the quantised cosine transform of the others:
    1, 1.8, 2.8, 4, 6.
    Source: our own choice, after the error concealment of H.264 decoders.
    """
    lost, coarseness = _VIDEO[severity - 1]
    seed = int(rng.integers(2**32))

    def draw(pixels: Floats, unit: float) -> Floats:
        height, width = pixels.shape[:2]
        half = max(round(_MACROBLOCK * unit / 2), 1)
        padding = ((0, -height % (2 * half)), (0, -width % (2 * half)), (0, 0))
        padded = cv2.cvtColor(np.pad(pixels, padding, mode="edge"), cv2.COLOR_RGB2YCrCb)
        frame = _quantised(np.asarray(padded, np.float32), half, coarseness)
        frame = _conceal(frame, 2 * half, lost, np.random.default_rng(seed))
        return np.asarray(cv2.cvtColor(frame[:height, :width], cv2.COLOR_YCrCb2RGB), np.float32)

    return canvas(image, unit, draw)


def webp(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Save and load as WebP of low quality, which smooths and smears where JPEG shows blocks.

    Quality (0 to 100) by severity: 8, 2.5, 0.7, 0.15, 0. The codec's blocks have 4 to 16 pixels at any image size, so
    `unit` is not used. Nothing is drawn from `rng`. Source: our own choice.

    Raises:
        ImageError: if a side exceeds the 16,383 pixels that a WebP file can have.
    """
    if max(image.shape) > _WEBP_MAX_SIDE:
        raise ImageError(f"an image of shape {image.shape} is too long for WebP; scale it to {_WEBP_MAX_SIDE:,} pixels")
    buffer = io.BytesIO()
    PILImage.fromarray(image).save(buffer, format="WEBP", quality=_WEBP_QUALITY[severity - 1], method=2)
    with PILImage.open(buffer) as coded:
        return np.array(coded.convert("RGB"))


def _quantised(frame: Floats, side: int, coarseness: float) -> Floats:
    """Quantise the cosine transform of blocks of `side` pixels, in coarser steps for high frequencies and chroma."""
    order = np.add.outer(np.arange(side), np.arange(side)) * (8 / side)
    steps = np.multiply.outer(coarseness * (side / 8) * (10 + 6 * order), _CHANNEL_STEPS).astype(np.float32)[:, None]
    height, width = frame.shape[:2]
    blocks = frame.reshape(height // side, side, width // side, side, 3)
    waves = scipy.fft.dctn(blocks, axes=(1, 3), norm="ortho")
    blocks = scipy.fft.idctn(np.rint(waves / steps) * steps, axes=(1, 3), norm="ortho")
    return np.asarray(blocks.reshape(frame.shape), np.float32)


def _conceal(frame: Floats, side: int, share: float, rng: np.random.Generator) -> Floats:
    """Drop a share of the macroblocks, in runs, and fill each run in its own way; writes to `frame`."""
    height, width = frame.shape[:2]
    columns = width // side
    blocks = height // side * columns
    starts = rng.random(blocks) < 1 / _RUN
    starts[0] = True
    run = np.cumsum(starts) - 1
    count = int(run[-1]) + 1
    lost = np.argsort(rng.permutation(count)[run], kind="stable")[: max(round(share * blocks), 1)]

    down, across = rng.integers(-2 * side, 2 * side + 1, (2, count))[:, run[lost], None]
    tint = rng.normal(0, _TINT, (count, 3)) * (rng.random((count, 1)) < _TINTED)
    stretched = (rng.random(count) < _STRETCHED)[run[lost], None]
    above = np.flatnonzero(starts)[run[lost], None] // columns * side - 1

    y, x = (place[:, None] * side + np.arange(side) for place in np.divmod(lost, columns))
    from_y = np.clip(np.where(stretched, above, y + down), 0, height - 1)
    from_x = np.clip(np.where(stretched, x, x + across), 0, width - 1)
    shown = frame[from_y[:, :, None], from_x[:, None, :]] + tint[run[lost], None, None]
    frame[y[:, :, None], x[:, None, :]] = shown
    return frame
