"""A choice among the classical restorers, made from the image alone."""

import numpy as np

from vqttt.images.restorers.deblur import find_blur, richardson_lucy, wiener
from vqttt.images.restorers.denoise import median, noise_model, non_local_means
from vqttt.images.restorers.detail import deblock, jpeg_quality
from vqttt.images.restorers.tone import dark_channel, dehaze, gamma, tone_entropy
from vqttt.types import Image

# More noise than texture shows: of a sensor, of few photons, and speckle (see `noise_model`).
_NOISE = {0.0: 16, 0.5: 24, 1.0: 30}
_JPEG_QUALITY = 60


def auto(image: Image) -> Image:
    """Guess what happened to the image, and do what helps against that; leave a good image as it is.

    Impulses are replaced (`median`) if that leaves hardly any noise. An image that is too dark is brightened, which
    smooths noise too (`gamma`). Noise (`non_local_means`), blocks (`deblock`) and blur (`richardson_lucy` for motion,
    otherwise `wiener`) are looked for in this order, and the first that shows beyond doubt is treated. If none does,
    tones may be wrong: `gamma` where exposure or contrast is, or else `dehaze` against haze or fog. Thresholds lie
    above what undegraded photographs and drawings show. Source: our own choice.
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
    """Return the image without its noise, blocks or blur; the very image if it has none."""
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
    """Say whether even the darkest parts are pale, some more than others (haze), or the brightest dim as well (fog)."""
    darkest = dark_channel(image)
    clear, pale = np.quantile(darkest, (0.05, 0.95))
    brightest = np.quantile(image.max(axis=2) - darkest, 0.999)
    veiled = (clear > 44 and pale - clear > 30) or (clear > 24 and pale - clear > 70 and brightest < 115)
    return bool(veiled) and tone_entropy(image) > 5.5
