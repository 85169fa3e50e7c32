"""Correcting tones: of hazy images, and of those that are too dark, too bright or washed out."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.images.ops import DECODED, guided, to_srgb, to_uint8
from vqttt.images.restorers.denoise import total_variation
from vqttt.types import Image

# Quantiles that count as the darkest and the brightest tone, so that single pixels do not decide.
_ENDS = (0.005, 0.995)
# The darkest tone (of 255) of a usual photograph.
_USUAL_BLACK = 15
# Factor by which tones could be spread; darkest tone; mean and brightest tone (see `gamma`).
_WASHED_OUT, _TOO_BRIGHT, _TOO_DARK = 2.4, 50, (80, 185)


def dehaze(image: Image) -> Image:
    """Remove haze or fog: give back the contrast and colours of what scattered light made pale.

    In clear air, something near each place is dark in at least one colour. The darkest value around a place, within
    1/32 of the short side (at least 4 pixels), therefore shows how much light the air adds there. 95% of that light is
    subtracted (at most 85% of the air's own brightness), and the rest is amplified: at least until its brightest part
    is white, since fog dims near and far alike, and at most fivefold. A guided filter aligns the map with the image's
    edges. The strength falls from full to zero as the darkest twentieth of all places gets as dark as in clear air
    (from 30 to 18 of 255), and as its distance to the palest twentieth shrinks (from 30 to 10).
    Source: He, Sun and Tang 2011; the limits are our own choice.
    """
    darkest = dark_channel(image)
    clear, pale, palest = tone_quantiles(darkest, (0.05, 0.95, 0.99))
    strength = float(np.clip((clear - 18) / 12, 0, 1) * np.clip((pale - clear - 10) / 20, 0, 1))
    if strength == 0:
        return image.copy()
    # A whole number of tones, so that their medians are found by counting.
    air = np.maximum([tone_quantiles(plane, (0.5,))[0] for plane in image[darkest >= palest].T], 30)
    pixels = image.astype(np.float32)
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) / np.float32(255)
    shares = cv2.LUT(image, (np.arange(256)[:, None, None] / air).astype(np.float32))
    veil = guided(dark_channel(shares), luma, 3 * _radius(luma.shape), 1e-3)
    added = np.clip(np.float32(0.95 * strength) * veil, 0, 0.85)
    scene = pixels - cv2.merge(list(air.astype(np.float32)[:, None, None] * added))
    brightest = float(np.quantile(brightest_channel(scene), 0.999)) / 255
    left = np.minimum(1 - added, 1 - strength * (1 - np.float32(brightest)))
    scale = 1 / np.maximum(left, np.float32(0.2))
    return to_uint8(cv2.multiply(scene, cv2.merge([scale] * 3), dst=scene))


def clahe(image: Image) -> Image:
    """Equalise lightness locally, in 4 x 4 tiles, so that dull regions gain contrast.

    Contrast is limited to four times that of an even spread of tones, and to less the wider the range of lightness
    already is; an image whose range is 160 of 255 is left as it is. The colours of Lab stay. Source: Zuiderveld 1994.
    """
    lab = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2LAB)
    darkest, brightest = tone_quantiles(lab[..., 0], _ENDS)
    limit = 4 * min((160 - (brightest - darkest)) / 100, 1)
    if limit <= 0 or brightest == darkest:
        return image.copy()
    lab[..., 0] = cv2.createCLAHE(limit, (4, 4)).apply(lab[..., 0])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)


def gamma(image: Image, bits: float = 4.0) -> Image:
    """Correct exposure and contrast where tones are clearly wrong; other images are left as they are.

    - Washed out: if all tones could be 2.4 times as far from the mean colour, they are moved as far away as possible.
    - Too bright: if 0.5% of the tones reach white and none is below 50 of 255, black is lowered to 15 by subtraction,
      and a third of the lost range is given back. Not applied to drawings, which may have no black.
    - Too dark: if the mean is below 80 and the brightest tones below 185, noise is smoothed (`total_variation`), then
      light is multiplied until the brightest tones are almost white or the mean is that of a bright day (0.25 of
      white). Not applied to drawings without noise, which may have a black background.

    The darkest and brightest 0.5% of the tones are ignored. An image whose tones have an entropy below `bits` is taken
    for a drawing. Source: our own choice.
    """
    image = np.ascontiguousarray(image)
    mean = np.array(cv2.mean(image)[:3])
    low, high = np.transpose([tone_quantiles(np.asarray(plane), _ENDS) for plane in cv2.split(image)])
    gain = min(
        float(np.min((255 - mean) / np.maximum(high - mean, 1))), float(np.min(mean / np.maximum(mean - low, 1)))
    )
    value = brightest_channel(image)
    darkest, brightest = tone_quantiles(value, _ENDS)
    if gain >= _WASHED_OUT and brightest > darkest:
        return np.asarray(cv2.LUT(image, to_uint8(mean + gain * (np.arange(256)[:, None] - mean))[:, None]))
    if darkest > _TOO_BRIGHT and np.mean(value >= 254) > 0.005 and tone_entropy(image) > bits:
        added = darkest - _USUAL_BLACK
        levels = np.arange(256, dtype=np.float32)
        lower = np.maximum(levels - np.float32(added), 0) * np.float32((255 / (255 - added)) ** (1 / 3))
        share = cv2.LUT(value, lower / np.maximum(levels, 1))
        return to_uint8(cv2.multiply(image.astype(np.float32), cv2.merge([share] * 3)))
    if mean.mean() < _TOO_DARK[0] and 0 < brightest < _TOO_DARK[1]:
        smooth = total_variation(image)
        if tone_entropy(image) > bits or not np.array_equal(smooth, image):
            tones = tone_counts(smooth) @ DECODED / smooth.size
            near_white = 0.9 / (float(_quantile_of(tone_counts(smooth), DECODED, _ENDS[1])) + 1e-4)
            gain = max(min(near_white, 0.25 / (float(tones) + 1e-4)), 1)
            return np.asarray(cv2.LUT(smooth, to_srgb(DECODED * np.float32(gain))))
    return image.copy()


def tone_entropy(image: Image) -> float:
    """Return the entropy of luma, in bits: above 6 in most photographs, below 5 in most drawings."""
    counts = tone_counts(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    shares = counts[counts > 0] / counts.sum()
    return -float((shares * np.log2(shares)).sum())


def tone_counts(tones: NDArray[Any]) -> NDArray[np.int64]:
    """Count each of the 256 values of an array of uint8."""
    counts = cv2.calcHist([tones.reshape(-1, 1)], [0], None, [256], [0, 256])
    return np.asarray(counts.ravel(), np.int64)


def tone_quantiles(tones: NDArray[Any], shares: tuple[float, ...]) -> list[float]:
    """Return quantiles of tones as `np.quantile` does, by counting instead of sorting."""
    counts = tone_counts(tones)
    return [_quantile_of(counts, np.arange(256), share) for share in shares]


def _quantile_of(counts: NDArray[np.int64], values: NDArray[Any], share: float) -> float:
    """Return a quantile of ascending values that occur as often as `counts` says, interpolated between neighbours."""
    upto = counts.cumsum()
    place = share * float(upto[-1] - 1)
    below, above = values[np.searchsorted(upto, [math.floor(place), math.ceil(place)], side="right")]
    return float(below + (above - below) * (place - math.floor(place)))


def dark_channel(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the darkest value of any colour around each pixel; in clear air it is nearly black."""
    side = 2 * _radius(pixels.shape) + 1
    square = np.ones((side, side), np.uint8)
    red, green, blue = cv2.split(pixels)
    return np.asarray(cv2.erode(cv2.min(cv2.min(red, green), blue), square, borderType=cv2.BORDER_REFLECT))


def brightest_channel(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the brightest colour of each pixel."""
    red, green, blue = cv2.split(pixels)
    return np.asarray(cv2.max(cv2.max(red, green), blue))


def _radius(shape: tuple[int, ...]) -> int:
    return max(round(min(shape[0], shape[1]) / 32), 4)
