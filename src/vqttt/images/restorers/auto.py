"""A choice among the classical restorers, from the image alone."""

from collections.abc import Callable

import cv2
import numpy as np

from vqttt.images.restorers.deblur import find_blur, wiener
from vqttt.images.restorers.denoise import median, total_variation
from vqttt.images.restorers.detail import deblock, jpeg_quality
from vqttt.images.restorers.noise import noise_model
from vqttt.images.restorers.tone import (
    brightest_channel,
    dark_channel,
    dehaze,
    gamma,
    tone_entropy,
    tone_quantiles,
)
from vqttt.types import Image

# By the power of `noise_model` (sensor noise, few photons, speckle): a sigma that texture alone does not reach.
_NOISE = {0.0: 16, 0.5: 24, 1.0: 30}
# Images that were saved at a higher quality are not deblocked.
_JPEG_QUALITY = 60


def auto(image: Image, tell: Callable[[str], object] = lambda found: None) -> Image:
    """Guess the degradation of an image and undo it; a good image is left as it is.

    Impulses are replaced (`median`) if that leaves hardly any noise. An image that is too dark is brightened, which
    also smooths its noise (`gamma`). Then noise (`total_variation`), blocks (`deblock`) and blur (`wiener`) are looked
    for in this order, and the first that is beyond doubt is treated. If there is none, tones are checked: `gamma`
    corrects exposure and contrast, otherwise `dehaze` removes haze or fog. Thresholds are above what undegraded
    photographs and drawings reach. Source: our own choice.

    Args:
        image: see `Restorer`.
        tell: is called once, with what was found and what was done about it, in words.
    """
    filled = median(image)
    model = noise_model(filled)
    changed = not np.array_equal(filled, image)
    impulses = changed and model[1] < 12
    found, restored = _worst(filled, model) if impulses or not changed else _worst(image, noise_model(image))
    if impulses:
        found = "isolated black or white values: median" + (f"; then {found}" if found else "")
    tell(found or "nothing that is beyond doubt: left as it is")
    return restored


def _worst(image: Image, model: tuple[float, float]) -> tuple[str, Image]:
    """Return the first thing that is wrong with an image, in words, and the image without it; "" and a copy if none.

    Args:
        image: see `Restorer`.
        model: of its noise, as `noise_model` returns it.
    """
    exposed = gamma(image, bits=5)
    if exposed.mean() > image.mean() + 10:
        return "too dark: gamma", exposed
    power, sigma = model
    if sigma >= _NOISE[power]:
        return f"noise of {sigma:.0f} of 255: total-variation", total_variation(image, model)
    quality = jpeg_quality(image)
    if quality is not None and quality <= _JPEG_QUALITY:
        return f"JPEG compression of quality {quality}: deblock", deblock(image, quality)
    blur = find_blur(image, sigma)
    if blur.kind != "none":
        kind = "motion blur" if blur.kind == "motion" else "blur"
        return f"{kind} of {blur.reach:.1f} pixels: wiener", wiener(image, blur)
    exposed = gamma(image, bits=6.5)
    if not np.array_equal(exposed, image):
        return "exposure or contrast: gamma", exposed
    return ("haze: dehaze", dehaze(image)) if _hazy(image) else ("", image.copy())


def _hazy(image: Image) -> bool:
    """Tell whether even dark places are pale, some more than others (haze), and bright ones dim too (fog)."""
    darkest = dark_channel(image)
    clear, pale = tone_quantiles(darkest, (0.05, 0.95))
    if clear <= 24 or pale - clear <= 30:
        return False
    (brightest,) = tone_quantiles(cv2.subtract(brightest_channel(image), darkest), (0.999,))
    veiled = (clear > 44 and pale - clear > 30) or (pale - clear > 70 and brightest < 115)
    return veiled and tone_entropy(image) > 5.5
