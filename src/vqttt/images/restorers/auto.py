"""A choice among the classical restorers, from the image alone."""

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


def auto(image: Image) -> Image:
    """Guess the degradation of an image and undo it; a good image is left as it is.

    Impulses are replaced (`median`) if that leaves hardly any noise. An image that is too dark is brightened, which
    also smooths its noise (`gamma`). Then noise (`non_local_means`), blocks (`deblock`) and blur (`richardson_lucy` for
    motion, otherwise `wiener`) are looked for in this order, and the first that is beyond doubt is treated. If there is
    none, tones are checked: `gamma` corrects exposure and contrast, otherwise `dehaze` removes haze or fog. Thresholds
    are above what undegraded photographs and drawings reach. Source: our own choice.
    """
    filled = median(image)
    image = filled if noise_model(filled)[1] < 12 else image
    exposed = gamma(image, bits=5)
    if exposed.mean() > image.mean() + 10:
        return exposed
    treated = _without_damage(image)
    if treated is not image:
        return treated
    exposed = gamma(image, bits=6.5)
    if not np.array_equal(exposed, image):
        return exposed
    return dehaze(image) if _hazy(image) else image.copy()


def _without_damage(image: Image) -> Image:
    """Return the image without its noise, blocks or blur; the same object if it has none of them."""
    power, sigma = noise_model(image)
    if sigma >= _NOISE[power]:
        return non_local_means(image)
    if (jpeg_quality(image) or 100) <= _JPEG_QUALITY:
        return deblock(image)
    blur = find_blur(image)
    if blur.kind == "none":
        return image
    return richardson_lucy(image, blur) if blur.kind == "motion" else wiener(image, blur)


def _hazy(image: Image) -> bool:
    """Tell whether even dark places are pale, some more than others (haze), and bright ones dim too (fog)."""
    darkest = dark_channel(image)
    clear, pale = np.quantile(darkest, (0.05, 0.95))
    brightest = np.quantile(image.max(axis=2) - darkest, 0.999)
    veiled = (clear > 44 and pale - clear > 30) or (clear > 24 and pale - clear > 70 and brightest < 115)
    return bool(veiled) and tone_entropy(image) > 5.5
