"""A choice among the classical restorers, from the image alone."""

from collections.abc import Callable

import numpy as np

from vqttt.images.restorers.deblur import find_blur, richardson_lucy, wiener
from vqttt.images.restorers.denoise import median, noise_model, non_local_means
from vqttt.images.restorers.detail import deblock, jpeg_quality
from vqttt.images.restorers.tone import dark_channel, dehaze, gamma, tone_entropy
from vqttt.types import Image

# By the power of `noise_model` (sensor noise, few photons, speckle): a sigma that texture alone does not reach.
_NOISE = {0.0: 16, 0.5: 24, 1.0: 30}
# Images that were saved at a higher quality are not deblocked.
_JPEG_QUALITY = 60


def auto(image: Image, tell: Callable[[str], object] = lambda found: None) -> Image:
    """Guess the degradation of an image and undo it; a good image is left as it is.

    Impulses are replaced (`median`) if that leaves hardly any noise. An image that is too dark is brightened, which
    also smooths its noise (`gamma`). Then noise (`non_local_means`), blocks (`deblock`) and blur (`richardson_lucy` for
    motion, otherwise `wiener`) are looked for in this order, and the first that is beyond doubt is treated. If there is
    none, tones are checked: `gamma` corrects exposure and contrast, otherwise `dehaze` removes haze or fog. Thresholds
    are above what undegraded photographs and drawings reach. Source: our own choice.

    Args:
        image: see `Restorer`.
        tell: is called once, with what was found and what was done about it, in words.
    """
    filled = median(image)
    impulses = noise_model(filled)[1] < 12 and not np.array_equal(filled, image)
    found, restored = _worst(filled if impulses else image)
    if impulses:
        found = "isolated black or white values: median" + (f"; then {found}" if found else "")
    tell(found or "nothing that is beyond doubt: left as it is")
    return restored


def _worst(image: Image) -> tuple[str, Image]:
    """Return the first thing that is wrong with an image, in words, and the image without it; "" and a copy if none."""
    exposed = gamma(image, bits=5)
    if exposed.mean() > image.mean() + 10:
        return "too dark: gamma", exposed
    power, sigma = noise_model(image)
    if sigma >= _NOISE[power]:
        return f"noise of {sigma:.0f} of 255: non-local-means", non_local_means(image)
    quality = jpeg_quality(image)
    if quality is not None and quality <= _JPEG_QUALITY:
        return f"JPEG compression of quality {quality}: deblock", deblock(image)
    blur = find_blur(image)
    if blur.kind == "motion":
        return f"motion blur of {blur.reach:.1f} pixels: richardson-lucy", richardson_lucy(image, blur)
    if blur.kind != "none":
        return f"blur of {blur.reach:.1f} pixels: wiener", wiener(image, blur)
    exposed = gamma(image, bits=6.5)
    if not np.array_equal(exposed, image):
        return "exposure or contrast: gamma", exposed
    return ("haze: dehaze", dehaze(image)) if _hazy(image) else ("", image.copy())


def _hazy(image: Image) -> bool:
    """Tell whether even dark places are pale, some more than others (haze), and bright ones dim too (fog)."""
    darkest = dark_channel(image)
    clear, pale = np.quantile(darkest, (0.05, 0.95))
    brightest = np.quantile(image.max(axis=2) - darkest, 0.999)
    veiled = (clear > 44 and pale - clear > 30) or (clear > 24 and pale - clear > 70 and brightest < 115)
    return bool(veiled) and tone_entropy(image) > 5.5
