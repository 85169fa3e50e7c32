"""Styles of paint and palette: what a painter, a printer's palette or a game console makes of an image."""

import math

import cv2
import numpy as np
from PIL import Image as PILImage

from vqttt.images.degradations.canvas import canvas, clouds
from vqttt.images.ops import Floats, to_uint8
from vqttt.types import Image

# By severity: radius of the flattening, tones, saturation, strength of the outlines.
_CARTOON = ((2, 10, 1.05, 0.5), (3, 8, 1.1, 0.7), (4, 6, 1.2, 0.85), (5, 5, 1.3, 1.0), (6, 4, 1.4, 1.0))
_OIL_RADIUS = (2, 4, 7, 9, 11)
# By severity: radius of the washes, share of white paper, displacement of the borders.
_WATERCOLOUR = ((2, 0.08, 1.0), (3, 0.14, 1.5), (4, 0.2, 2.2), (6, 0.27, 3.0), (8, 0.35, 4.0))
_POSTERISE_LEVELS = (12, 8, 5, 4, 3)
_SATURATION = (0.7, 0.5, 0.3, 0.15, 0.0)
_INVERT_FROM = (208, 176, 128, 64, 0)
# By severity: side of a square, colours.
_PIXEL_ART = ((2, 48), (3, 32), (4, 20), (6, 12), (8, 8))


def cartoon(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Draw as a cartoon: flat areas in few tones, stronger colours, dark outlines.

    By severity: radius of the flattening (`flatten`) in pixels times `unit`: 2, 3, 4, 5, 6; tones: 10, 8, 6, 5, 4;
    saturation: 1.05, 1.1, 1.2, 1.3, 1.4; strength of the outlines: 0.5, 0.7, 0.85, 1, 1.
    Nothing is drawn from `rng`. Source: our own choice, after Winnemoeller, Olsen and Gooch 2006.
    """
    radius, tones, saturation, outlines = _CARTOON[severity - 1]

    def draw(pixels: Floats, unit: float) -> Floats:
        flat = flatten(pixels, radius * unit)
        luma = cv2.cvtColor(flat, cv2.COLOR_RGB2GRAY)
        stepped = np.rint(luma * ((tones - 1) / 255)) * (255 / (tones - 1))
        coloured = stepped[..., None] + saturation * (flat - luma[..., None])
        return np.asarray(coloured * (1 - outlines * (1 - lines(pixels, unit)))[..., None], np.float32)

    return canvas(image, unit, draw)


def oil_paint(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Paint with a broad brush: strokes of one colour that stop at edges.

    Radius of a stroke (see `flatten`) by severity, in pixels times `unit`: 2, 4, 7, 9, 11.
    Nothing is drawn from `rng`. Source: Kuwahara et al. 1976; radii are our own choice.
    """
    return canvas(image, unit, lambda pixels, unit: flatten(pixels, _OIL_RADIUS[severity - 1] * unit))


def watercolour(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Paint with thin colour on rough paper: pale washes with wavy borders, darker where pigment collects.

    By severity: radius of the washes in pixels times `unit`: 2, 3, 4, 6, 8; share of white paper that shows through:
    0.08, 0.14, 0.2, 0.27, 0.35; displacement of the borders in pixels times `unit`: 1, 1.5, 2.2, 3, 4.
    Source: our own choice, after Bousseau et al. 2006.
    """
    radius, paper, waver = _WATERCOLOUR[severity - 1]
    seed = int(rng.integers(2**32))

    def draw(pixels: Floats, unit: float) -> Floats:
        own, shape = np.random.default_rng(seed), pixels.shape[:2]
        shift = [waver * unit * clouds(shape, 8 * unit, own) for _ in range(2)]
        y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        moved = cv2.remap(pixels, x + shift[0], y + shift[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        wash = flatten(np.asarray(moved, np.float32), radius * unit)
        luma = cv2.cvtColor(wash, cv2.COLOR_RGB2GRAY)
        border = cv2.morphologyEx(luma, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        pigment = 1 + 0.5 * paper * clouds(shape, 20 * unit, own) + 0.25 * paper * clouds(shape, 1.5 * unit, own)
        pigment += np.minimum(border / 96, 1) * 0.4
        density = (1 - paper) * (255 - wash) * pigment[..., None]
        return np.asarray(255 - density, np.float32)

    return canvas(image, unit, draw)


def posterise(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Print in a few flat tones of each primary colour.

    Tones by severity: 12, 8, 5, 4, 3. It has no length, so `unit` is not used.
    Nothing is drawn from `rng`. Source: our own choice.
    """
    steps = _POSTERISE_LEVELS[severity - 1] - 1
    table = to_uint8(np.rint(np.arange(256) * (steps / 255)) * (255 / steps))
    posterised: Image = table[image]
    return posterised


def grayscale(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Let the colours fade to gray, as those of an old photograph do.

    Saturation left by severity: 0.7, 0.5, 0.3, 0.15, 0. It has no length, so `unit` is not used.
    Nothing is drawn from `rng`. Source: our own choice.
    """
    pixels = image.astype(np.float32)
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None]
    return to_uint8(gray + _SATURATION[severity - 1] * (pixels - gray))


def inverted(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Invert bright tones, as on film exposed to light during development (solarisation); a full negative at 5.

    Tones (0 to 255) from the following up are inverted, by severity: 208, 176, 128, 64, 0. It has no length, so `unit`
    is not used. Nothing is drawn from `rng`. Source: our own choice.
    """
    tones = np.arange(256)
    table = np.where(tones >= _INVERT_FROM[severity - 1], 255 - tones, tones).astype(np.uint8)
    turned: Image = table[image]
    return turned


def pixel_art(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Draw in large square pixels with a small palette, as early game consoles did.

    By severity: side of a square in pixels times `unit`: 2, 3, 4, 6, 8; colours, by median cut: 48, 32, 20, 12, 8.
    Nothing is drawn from `rng`. Source: our own choice.
    """
    side, colours = _PIXEL_ART[severity - 1]
    height, width = image.shape[:2]
    size = [max(math.ceil(length / (side * unit)), 1) for length in (width, height)]
    size = [min(cells, length) for cells, length in zip(size, (width, height), strict=True)]
    small = PILImage.fromarray(np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8))
    palette = small.quantize(colours, PILImage.Quantize.MEDIANCUT, dither=PILImage.Dither.NONE)
    return np.array(palette.convert("RGB").resize((width, height), PILImage.Resampling.NEAREST))


def flatten(pixels: Floats, radius: float) -> Floats:
    """Replace each pixel by the mean of one of its four quadrants: the one that varies least (Kuwahara et al. 1976).

    Args:
        pixels: shape (H, W, 3), 0 to 255.
        radius: side of a quadrant minus one, in pixels; rounded, at least 1.
    """
    side = max(round(radius), 1) + 1
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    best, least = pixels, np.full(luma.shape, np.inf, np.float32)
    for anchor in ((0, 0), (side - 1, 0), (0, side - 1), (side - 1, side - 1)):
        mean, mean_luma, mean_square = (
            cv2.boxFilter(values, -1, (side, side), anchor=anchor, borderType=cv2.BORDER_REFLECT_101)
            for values in (pixels, luma, luma * luma)
        )
        variance = mean_square - mean_luma * mean_luma
        better = variance < least
        best = np.where(better[..., None], mean, best)
        least = np.where(better, variance, least)
    return best


def lines(pixels: Floats, unit: float, width: float = 1.0) -> Floats:
    """Draw the outlines of an image: 1 is paper, 0 is ink (extended difference of Gaussians, Winnemoeller et al. 2012).

    Args:
        pixels: shape (H, W, 3), 0 to 255.
        unit: pixels per published pixel.
        width: standard deviation of the pen in published pixels.
    """
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) / 255
    fine = cv2.GaussianBlur(luma, (0, 0), width * unit, borderType=cv2.BORDER_REPLICATE)
    coarse = cv2.GaussianBlur(luma, (0, 0), 1.6 * width * unit, borderType=cv2.BORDER_REPLICATE)
    # Negative on the darker side of an edge; the small offset keeps flat areas white.
    difference = fine - coarse + 0.012
    drawn: Floats = np.where(difference >= 0, 1, 1 + np.tanh(70 * difference)).astype(np.float32)
    return drawn
