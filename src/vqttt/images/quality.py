"""Image quality metrics: four compare with the undegraded image, two need only the image itself.

PSNR uses all three colours; the others use luma (ITU-R BT.601, 0 to 255). Together they take about a millisecond at
224 pixels, so every record carries them. `pyiqa_metric` gives access to metrics that need a trained network.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
from PIL import Image as PILImage

from vqttt.errors import InputError, MissingExtraError, UnknownNameError
from vqttt.images.files import as_image
from vqttt.images.ops import Floats
from vqttt.types import Image

__all__ = ["METRICS", "UNMEASURED", "Quality", "measure", "pyiqa_metric"]

MAX_PSNR = 100.0
"""The PSNR, in dB, of an image with itself; higher values are reported as this."""

# SSIM's published window and constants (Wang et al. 2004), MS-SSIM's weights from the finest scale to the coarsest
# (Wang et al. 2003), and the constant of gradient similarity (Xue et al. 2014).
_WINDOW, _WINDOW_SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_GRADIENT_C = 170.0
# Does not respond to slopes or to straight edges along the axes, so that most of its response is noise.
_NOISE_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The metrics of one image.

    Attributes:
        psnr: peak signal-to-noise ratio in dB, 0 to `MAX_PSNR`.
        ssim: structural similarity, -1 to 1 (Wang et al. 2004; 11-pixel Gaussian window).
        ms_ssim: structural similarity at up to five scales, 0 to 1 (Wang et al. 2003); scales that a small image
            lacks are left out, and the weights of the others rescaled to sum to 1.
        gradient_similarity: mean similarity of gradient magnitudes, 0 to 1 (the map of Xue et al. 2014, at half size).
        sharpness: log10 of the Laplacian's variance divided by the image's; higher is sharper, and noise counts as
            sharpness (after Pech-Pacheco et al. 2000; the normalisation is our own choice).
        noise_level: estimated standard deviation of white noise in luma, on a scale of 255 (after Immerkaer 1996, but
            by a median). Noise that is independent for each colour shows about two thirds of its strength in luma;
            clipped tones lower the estimate.
    """

    psnr: float
    ssim: float
    ms_ssim: float
    gradient_similarity: float
    sharpness: float
    noise_level: float


METRICS = {
    "psnr": "peak signal-to-noise ratio against the undegraded image, dB",
    "ssim": "structural similarity to the undegraded image",
    "ms_ssim": "structural similarity at several scales",
    "gradient_similarity": "similarity of gradient magnitudes to those of the undegraded image",
    "sharpness": "variance of the Laplacian relative to the image's, log10; needs no reference",
    "noise_level": "estimated standard deviation of noise in luma, of 255; needs no reference",
}
"""A description of each field of `Quality`."""

UNMEASURED = Quality(**{field.name: math.nan for field in fields(Quality)})
"""The quality of an image that could not be produced: all NaN."""


def measure(image: Image | PILImage.Image, reference: Image | PILImage.Image | None = None) -> Quality:
    """Measure an image, and compare it with the undegraded one if that is given.

    Args:
        image: uint8 RGB of shape (H, W, 3), or a Pillow image. If its sides are a multiple of the reference's, as after
            super-resolution, it is shrunk before the comparison. Neither image is modified.
        reference: of the same kind; without it, the metrics that compare are NaN.

    Raises:
        InputError: if one of them is not such an image, or their sizes do not allow a comparison.
    """
    image = as_image(image)
    own_luma = _luma(image)
    own = {"sharpness": _sharpness(own_luma), "noise_level": _noise_level(own_luma)}
    if reference is None:
        return replace(UNMEASURED, **own)
    reference = as_image(reference)
    zoom = max(image.shape[0] // reference.shape[0], 1)
    if image.shape != (zoom * reference.shape[0], zoom * reference.shape[1], 3):
        sizes = " and ".join(f"{one.shape[1]} x {one.shape[0]}" for one in (image, reference))
        raise InputError(f"images of {sizes} pixels cannot be compared; give one of the same size, or a multiple of it")
    if image.shape != reference.shape:
        image = cv2.resize(image, reference.shape[1::-1], interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    luma, clean = _luma(image), _luma(reference)
    finest = _ssim_and_contrast(luma, clean)
    return Quality(
        psnr=_psnr(image, reference),
        ssim=min(finest[0], 1.0),  # rounding may take both just beyond 1
        ms_ssim=min(float(_ms_ssim(luma, clean, finest)), 1.0),
        gradient_similarity=_gradient_similarity(luma, clean),
        **own,
    )


def pyiqa_metric(name: str) -> Callable[[Image, Image | None], float]:
    """Return a metric of the package pyiqa, such as `musiq` or `lpips`, as a function of image and reference.

    Users install pyiqa themselves, since they must agree to its licence (PolyForm Noncommercial) and to those of the
    weights that it downloads.

    Raises:
        MissingExtraError: if pyiqa is not installed.
        UnknownNameError: if it has no such metric.
    """
    try:
        import pyiqa
    except ImportError as error:
        raise MissingExtraError(
            "pyiqa is not installed; its licence (PolyForm Noncommercial) forbids commercial use; if you accept it: "
            "pip install pyiqa"
        ) from error
    if name not in pyiqa.list_models():
        raise UnknownNameError("pyiqa metric", name, pyiqa.list_models())
    import torch

    metric = pyiqa.create_metric(name)

    def tensor(image: Image) -> torch.Tensor:
        return torch.from_numpy(as_image(image).copy()).permute(2, 0, 1)[None].float() / 255

    def measured(image: Image, reference: Image | None = None) -> float:
        if metric.metric_mode == "FR" and reference is None:
            raise InputError(f"{name} compares an image with a reference; give both")
        images = [image] if metric.metric_mode == "NR" or reference is None else [image, reference]
        with torch.inference_mode():
            return float(metric(*map(tensor, images)))

    return measured


def _luma(image: Image) -> Floats:
    luma: Floats = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return luma


def _psnr(image: Image, reference: Image) -> float:
    error = float(cv2.norm(image, reference, cv2.NORM_L2SQR)) / image.size
    return min(10 * math.log10(255**2 / error), MAX_PSNR) if error else MAX_PSNR


def _ssim_and_contrast(a: Floats, b: Floats) -> tuple[float, float]:
    """Return structural similarity, and the same without its luminance term, averaged over all windows that fit."""
    size = min(_WINDOW, *a.shape)
    size -= 1 - size % 2
    line = cv2.getGaussianKernel(size, _WINDOW_SIGMA).astype(np.float32)

    def windows(values: Floats) -> Floats:
        half = size // 2
        mean = np.asarray(cv2.sepFilter2D(values, -1, line, line), np.float32)
        return mean[half : len(mean) - half, half : mean.shape[1] - half]

    # Around middle gray, squares lose fewer of float32's digits.
    a, b = a - 127.5, b - 127.5
    mean_a, mean_b = windows(a), windows(b)
    squares = mean_a * mean_a + mean_b * mean_b
    variances = windows(a * a) + windows(b * b) - squares
    product = mean_a * mean_b
    contrast = (2 * (windows(a * b) - product) + _C2) / (variances + _C2)
    # The luminance term needs means counted from 0: shift both back.
    shift = 127.5 * (mean_a + mean_b) + 127.5**2
    luminance = (2 * (product + shift) + _C1) / (squares + 2 * shift + _C1)
    return float((luminance * contrast).mean()), float(contrast.mean())


def _ms_ssim(a: Floats, b: Floats, finest: tuple[float, float]) -> float:
    """Multiply the contrast at every scale with the similarity at the coarsest; `finest` is both at the finest."""
    fitting = [scale for scale in range(5) if min(a.shape) >> scale >= _WINDOW] or [0]
    weights = np.array(_SCALE_WEIGHTS[: len(fitting)])
    weights /= weights.sum()
    product = 1.0
    for scale, weight in zip(fitting, weights, strict=True):
        whole, contrast = _ssim_and_contrast(a, b) if scale else finest
        product *= max(whole if scale == fitting[-1] else contrast, 0.0) ** weight
        if scale != fitting[-1]:
            a, b = _halve(a), _halve(b)
    return product


def _halve(luma: Floats) -> Floats:
    height, width = len(luma) // 2, luma.shape[1] // 2
    small = cv2.resize(luma[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _gradient(luma: Floats) -> Floats:
    """Return the magnitude of Prewitt's gradient, with edges repeated.

    Written in numpy because the last bit of OpenCV's own filter depends on where the array lies in memory.
    """
    padded = np.pad(luma, 1, mode="edge")
    columns = padded[:-2] + padded[1:-1] + padded[2:]
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    across, down = columns[:, 2:] - columns[:, :-2], rows[2:] - rows[:-2]
    magnitude: Floats = np.sqrt(across * across + down * down) / 3
    return magnitude


def _gradient_similarity(a: Floats, b: Floats) -> float:
    if min(a.shape) >= 4:
        a, b = _halve(a), _halve(b)
    first, second = _gradient(a), _gradient(b)
    similarity = (2 * first * second + _GRADIENT_C) / (first * first + second * second + _GRADIENT_C)
    return float(similarity.mean())


def _sharpness(luma: Floats) -> float:
    variance = float(luma.var())
    laplacian = cv2.Laplacian(luma, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE)
    # Adding the variance of rounding, 1/12, keeps the ratio of a flat image finite.
    return math.log10((float(laplacian.var()) + 1 / 12) / (variance + 1 / 12))


def _noise_level(luma: Floats) -> float:
    response = cv2.filter2D(luma, -1, _NOISE_MASK, borderType=cv2.BORDER_REFLECT_101)
    # A median ignores the few edges. Clipped pixels have lost their noise, and would hide that of the others.
    # Luma and so the response are whole numbers: counting them finds the median faster than sorting does.
    counts = np.bincount(np.abs(response[(luma > 2) & (luma < 253)]).astype(np.int64)).cumsum()
    if not counts.size:
        return 0.0
    middle = np.searchsorted(counts, [(counts[-1] + 1) // 2, counts[-1] // 2 + 1])
    # The squares of the mask's weights sum to 36; the median magnitude of a Gaussian is 0.6745 standard deviations.
    return float(middle.mean()) / 0.6745 / 6
