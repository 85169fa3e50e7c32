"""Bringing back tones: through haze, and where an image is too dark, too bright or washed out."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.images.files import to_uint8
from vqttt.images.ops import Floats, guided, to_linear, to_srgb
from vqttt.images.restorers.denoise import total_variation
from vqttt.types import Image

# What counts as the darkest and the brightest tone, so that single pixels do not.
_ENDS = (0.005, 0.995)
_USUAL_BLACK = 15
_WASHED_OUT, _TOO_BRIGHT, _TOO_DARK = 2.4, 50, (80, 185)


def dehaze(image: Image) -> Image:
    """Take haze or fog away: what is pale for the light it scatters gets its contrast and colours back.

    In clear air something near each place is dark in one colour; how bright the darkest is, over 1/32 of the short side
    around (at least 4 pixels), says how much light the air adds there. 0.95 of that is taken away (of the air's own
    brightness, at most 0.85), and what is left of the scene is raised: at least until its brightest part is white, as
    fog dims near and far alike, and at most fivefold. The map follows the image's edges (a guided filter). Strength
    sinks as the darkest twentieth of all places is as dark as in clear air (from 30 of 255 to nothing at 18), or hardly
    darker than the palest (from 30 to nothing at 10). Source: He, Sun and Tang 2011; the limits are our own choice.
    """
    pixels = image.astype(np.float32)
    darkest = dark_channel(pixels)
    clear, pale = np.quantile(darkest, (0.05, 0.95))
    strength = float(np.clip((clear - 18) / 12, 0, 1) * np.clip((pale - clear - 10) / 20, 0, 1))
    if strength == 0:
        return image.copy()
    air = np.maximum(np.median(pixels[darkest >= np.quantile(darkest, 0.99)], axis=0), 30).astype(np.float32)
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) / np.float32(255)
    pale = guided(dark_channel(pixels / air), luma, 3 * _radius(luma.shape), 1e-3)
    added = np.clip(np.float32(0.95 * strength) * pale, 0, 0.85)
    scene = pixels - air * added[..., None]
    brightest = float(np.quantile(scene.max(axis=2), 0.999)) / 255
    left = np.minimum(1 - added, 1 - strength * (1 - brightest))
    return to_uint8(scene / np.maximum(left, 0.2)[..., None])


def clahe(image: Image) -> Image:
    """Even out lightness locally, in 4 x 4 tiles, so that dull parts get contrast of their own.

    Contrast is limited to at most four times what an even spread of tones has, the less, the wider lightness spans
    already; an image that spans 160 of 255 is left alone. Colours (of Lab) stay. Source: Zuiderveld 1994.
    """
    lab = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2LAB)
    darkest, brightest = np.quantile(lab[..., 0], _ENDS)
    limit = 4 * min((160 - (brightest - darkest)) / 100, 1)
    if limit <= 0 or brightest == darkest:
        return image.copy()
    lab[..., 0] = cv2.createCLAHE(limit, (4, 4)).apply(lab[..., 0])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)


def gamma(image: Image, bits: float = 4.0) -> Image:
    """Correct exposure and contrast, where tones leave no doubt that they are wrong.

    - Washed out: if all tones could lie 2.4 times as far from the mean colour, they are put as far as they can.
    - Too bright: if 0.5% reach white and nothing is below 50 of 255, what exceeds a usual black, of 15, is subtracted,
      and a third of the lost range given back. Not in a drawing, which may lack black.
    - Too dark: if the mean is below 80 and the brightest tones below 185, light is multiplied until these come near
      white or the mean is that of a bright day (0.25 of white); before, noise is smoothed (`total_variation`). Not in a
      drawing without noise, which may be on black.

    The brightest and darkest half percent are left out of account, and all other images alone. A drawing has tones of
    an entropy below `bits`. Source: our own choice.
    """
    pixels = image.astype(np.float32)
    mean = pixels.mean(axis=(0, 1))
    low, high = np.quantile(pixels, _ENDS, axis=(0, 1))
    gain = min(
        float(np.min((255 - mean) / np.maximum(high - mean, 1))), float(np.min(mean / np.maximum(mean - low, 1)))
    )
    value = pixels.max(axis=2)
    darkest, brightest = np.quantile(value, _ENDS)
    if gain >= _WASHED_OUT and brightest > darkest:
        return to_uint8(mean + gain * (pixels - mean))
    if darkest > _TOO_BRIGHT and np.mean(value >= 254) > 0.005 and tone_entropy(image) > bits:
        added = darkest - _USUAL_BLACK
        lower = np.maximum(value - added, 0) * (255 / (255 - added)) ** (1 / 3)
        return to_uint8(pixels * (lower / np.maximum(value, 1))[..., None])
    if mean.mean() < _TOO_DARK[0] and 0 < brightest < _TOO_DARK[1]:
        smooth = total_variation(image)
        if tone_entropy(image) > bits or not np.array_equal(smooth, image):
            light = to_linear(smooth)
            near_white, day = 0.9 / (float(np.quantile(light, _ENDS[1])) + 1e-4), 0.25 / (float(light.mean()) + 1e-4)
            return to_srgb(light * np.float32(max(min(near_white, day), 1)))
    return image.copy()


def tone_entropy(image: Image) -> float:
    """Return the entropy of luma, in bits: above 6 in most photographs, below 5 in most drawings."""
    counts = np.bincount(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).ravel())
    shares = counts[counts > 0] / counts.sum()
    return -float((shares * np.log2(shares)).sum())


def dark_channel(pixels: NDArray[Any]) -> Floats:
    """Return the darkest of any colour around each pixel: in clear air, nearly black."""
    side = 2 * _radius(pixels.shape) + 1
    square = np.ones((side, side), np.uint8)
    return np.asarray(cv2.erode(pixels.min(axis=2), square, borderType=cv2.BORDER_REFLECT), np.float32)


def _radius(shape: tuple[int, ...]) -> int:
    return max(round(min(shape[0], shape[1]) / 32), 4)
