"""Styles of line and cell: what a pencil, a pen, a printing screen or a glazier makes of an image."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.images.degradations.canvas import canvas
from vqttt.images.degradations.styles_paint import lines
from vqttt.images.ops import Floats
from vqttt.types import Image

# By severity: opacity of the drawing over the image.
_COVER = (0.4, 0.6, 0.8, 0.9, 1.0)
_HALFTONE_CELL = (3, 4, 5, 6, 8)
# Of the screens of cyan, magenta and yellow, in degrees.
_HALFTONE_ANGLES = (15, 75, 0)
# By severity: size of the pieces, half the width of the lead, its darkness.
_GLASS = ((5, 0.4, 0.5), (7, 0.5, 0.7), (10, 0.7, 0.9), (14, 0.9, 1.0), (20, 1.2, 1.0))


def sketch(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Draw in pencil: gray shading where tones change, white paper where they do not.

    Each tone is divided by that of its surroundings (a blur of standard deviation 6 pixels times `unit`), as in a
    colour dodge. Opacity of the drawing over the image, by severity: 0.4, 0.6, 0.8, 0.9, 1.
    Nothing is drawn from `rng`. Source: our own choice.
    """
    cover = _COVER[severity - 1]

    def draw(pixels: Floats, unit: float) -> Floats:
        luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        around = cv2.GaussianBlur(luma, (0, 0), 6 * unit, borderType=cv2.BORDER_REPLICATE)
        pencil = 255 * np.clip((luma + 8) / (around + 8), 0, 1) ** 1.6
        return np.asarray(pixels + cover * (pencil[..., None] - pixels), np.float32)

    return canvas(image, unit, draw)


def line_art(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Draw with a pen: black outlines on white, and nothing else.

    The pen is 1 pixel times `unit` wide. Opacity of the drawing over the image, by severity: 0.4, 0.6, 0.8, 0.9, 1.
    Nothing is drawn from `rng`. Source: Winnemoeller et al. 2012; strengths are our own choice.
    """
    cover = _COVER[severity - 1]

    def draw(pixels: Floats, unit: float) -> Floats:
        return np.asarray(pixels + cover * (255 * lines(pixels, unit)[..., None] - pixels), np.float32)

    return canvas(image, unit, draw)


def halftone(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Print with dots of cyan, magenta and yellow ink whose size makes the tone, as in a newspaper.

    By severity: distance of the dots in pixels times `unit`: 3, 4, 5, 6, 8; opacity of the print over the image: 0.4,
    0.6, 0.8, 0.9, 1. The screens are rotated by 15, 75 and 0 degrees. Nothing is drawn from `rng`.
    Source: our own choice, after the usual offset screens.
    """
    cell, cover = _HALFTONE_CELL[severity - 1], _COVER[severity - 1]

    def draw(pixels: Floats, unit: float) -> Floats:
        screens = [_screen(pixels.shape[:2], cell * unit, math.radians(angle)) for angle in _HALFTONE_ANGLES]
        ink = 1 - pixels / 255
        # The edge of a dot is about a pixel wide, to avoid aliasing.
        printed = np.clip((ink - np.stack(screens, axis=2)) * max(cell * unit / 2.5, 1) + 0.5, 0, 1)
        return np.asarray(pixels + cover * (255 * (1 - printed) - pixels), np.float32)

    return canvas(image, unit, draw)


def stained_glass(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Set the image in pieces of coloured glass with dark lead between them.

    Pieces are the Voronoi cells of a jittered grid. By severity: their size in pixels times `unit`: 5, 7, 10, 14, 20;
    half the width of the lead in the same unit: 0.4, 0.5, 0.7, 0.9, 1.2; its darkness: 0.5, 0.7, 0.9, 1, 1.
    Source: our own choice.
    """
    size, width, darkness = _GLASS[severity - 1]
    seed = int(rng.integers(2**32))

    def draw(pixels: Floats, unit: float) -> Floats:
        piece, rim = _pieces(pixels.shape[:2], size * unit, np.random.default_rng(seed))
        count = np.maximum(np.bincount(piece.ravel()), 1)
        means = [np.bincount(piece.ravel(), weights=pixels[..., i].ravel()) / count for i in range(3)]
        glass = np.stack([mean[piece] for mean in means], axis=2).astype(np.float32)
        lead = darkness * np.clip(width * unit - rim + 0.5, 0, 1)
        return np.asarray(glass * (1 - lead)[..., None] + 24 * lead[..., None], np.float32)

    return canvas(image, unit, draw)


def _screen(shape: tuple[int, int], cell: float, angle: float) -> Floats:
    """Return thresholds spread evenly over 0 to 1, so that the dots keep the mean tone."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    turn = 2 * math.pi / cell
    across = np.cos(turn * (x * math.cos(angle) + y * math.sin(angle)))
    down = np.cos(turn * (y * math.cos(angle) - x * math.sin(angle)))
    phase = np.cos(2 * math.pi * (np.arange(64) + 0.5) / 64)
    levels = np.sort((phase[:, None] + phase[None, :]).ravel())
    ranks = (np.arange(levels.size) + 0.5) / levels.size
    # A regular grid has many equal levels, but `interp` needs increasing ones.
    return np.asarray(np.interp(across + down, levels + 1e-9 * np.arange(levels.size), ranks), np.float32)


def _pieces(shape: tuple[int, int], size: float, rng: np.random.Generator) -> tuple[NDArray[np.int32], Floats]:
    """Return the cell in which each pixel lies, and its distance from the rim of that cell, in pixels."""
    rows, columns = (math.ceil(length / size) + 3 for length in shape)
    centres = rng.random((rows, columns, 2))
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    # The grid extends by one cell beyond each side of the image.
    down, across = (
        ((centres + np.indices((rows, columns)).transpose(1, 2, 0) - 1) * size).reshape(-1, 2).T.astype(np.float32)
    )
    home = ((y / size).astype(np.int32) + 1) * columns + (x / size).astype(np.int32) + 1
    nearest = np.full(shape, np.inf, np.float32)
    second = nearest.copy()
    piece = home
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            label = home + (i * columns + j)
            distance = (y - np.take(down, label)) ** 2 + (x - np.take(across, label)) ** 2
            closer = distance < nearest
            second = np.where(closer, nearest, np.minimum(second, distance))
            piece = np.where(closer, label, piece)
            nearest = np.where(closer, distance, nearest)
    return piece, np.asarray((np.sqrt(second) - np.sqrt(nearest)) / 2, np.float32)
