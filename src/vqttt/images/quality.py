"""How good an image looks by the usual measures: four against the undegraded image, two from the image alone.

All work on luma (ITU-R BT.601, 0 to 255) but PSNR, which takes the three colours. They cost about a millisecond
at 224 pixels, so every record carries them; what needs a trained network is left to `pyiqa_metric`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.errors import InputError, MissingExtraError, UnknownNameError
from vqttt.images.files import check_image
from vqttt.types import Image

__all__ = ["METRICS", "UNMEASURED", "Quality", "measure", "pyiqa_metric"]

MAX_PSNR = 100.0
"""The PSNR, in dB, of an image with itself, and the highest that is told apart from it."""

_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_GRADIENT_C = 170.0
_WINDOW, _WINDOW_SIGMA = 11, 1.5
_NOISE_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The measures of one image.

    Attributes:
        psnr: peak signal-to-noise ratio in dB, 0 to `MAX_PSNR`.
        ssim: structural similarity, -1 to 1 (Wang et al. 2004; 11-pixel Gaussian window).
        ms_ssim: the same at up to five scales, 0 to 1 (Wang et al. 2003); as many as the image is large enough for,
            their weights stretched to sum to one.
        gradient_similarity: mean similarity of gradient magnitudes, 0 to 1 (the map of Xue et al. 2014, at half size).
        sharpness: logarithm (base 10) of the variance of the Laplacian over that of the image; the higher, the
            sharper, noise included (after Pech-Pacheco et al. 2000; normalised by our own choice).
        noise_level: estimated standard deviation of white noise in luma, of 255 (after Immerkaer 1996, by a median):
            about two thirds of that of noise which is independent for each colour, and less where tones are clipped.
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
    "sharpness": "share of the Laplacian in the image's variance, log10; without reference",
    "noise_level": "estimated standard deviation of noise in luma, of 255; without reference",
}
"""What `Quality` holds, in words."""

UNMEASURED = Quality(**{field.name: math.nan for field in fields(Quality)})
"""The quality of an image that could not be made."""


def measure(image: Image, reference: Image | None = None) -> Quality:
    """Measure an image, against the undegraded one if there is one.

    Args:
        image: uint8 RGB of shape (H, W, 3); one whose sides are a multiple of the reference's, as after
            super-resolution, is shrunk to compare them. Neither is modified.
        reference: uint8 RGB; without it, what compares is NaN.

    Raises:
        InputError: if one of them is not as described, or they cannot be compared.
    """
    check_image(image)
    own_luma = _luma(image)
    own = {"sharpness": _sharpness(own_luma), "noise_level": _noise_level(own_luma)}
    if reference is None:
        return replace(UNMEASURED, **own)
    check_image(reference)
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
        ssim=finest[0],
        ms_ssim=_ms_ssim(luma, clean, finest),
        gradient_similarity=_gradient_similarity(luma, clean),
        **own,
    )


def pyiqa_metric(name: str) -> Callable[[Image, Image | None], float]:
    """Return a measure of the package pyiqa, such as `musiq` or `lpips`, as a function of image and reference.

    pyiqa is not part of vqttt and must be installed by the user, who has to agree to its licence (PolyForm
    Noncommercial, and those of the measures' weights, which it fetches itself).

    Raises:
        MissingExtraError: if pyiqa is not installed.
        UnknownNameError: if it has no such measure.
    """
    try:
        import pyiqa
    except ImportError as error:
        raise MissingExtraError(
            "pyiqa is not installed; its licence (PolyForm Noncommercial) allows no commercial use; if that suits you: "
            "pip install pyiqa"
        ) from error
    if name not in pyiqa.list_models():
        raise UnknownNameError("measure of pyiqa", name, pyiqa.list_models())
    import torch

    metric = pyiqa.create_metric(name)

    def tensor(image: Image) -> torch.Tensor:
        check_image(image)
        return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255

    def measured(image: Image, reference: Image | None = None) -> float:
        if metric.metric_mode == "FR" and reference is None:
            raise InputError(f"{name} compares with a reference; give one")
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
    """Return mean structural similarity, and its part without luminance, over the windows that fit."""
    size = min(_WINDOW, *a.shape)
    size -= 1 - size % 2
    line = cv2.getGaussianKernel(size, _WINDOW_SIGMA).astype(np.float32)

    def windows(values: Floats) -> Floats:
        half = size // 2
        mean = np.asarray(cv2.sepFilter2D(values, -1, line, line), np.float32)
        return mean[half : len(mean) - half, half : mean.shape[1] - half]

    # Centred on the middle gray, squares keep more of float32's digits.
    a, b = a - 127.5, b - 127.5
    mean_a, mean_b = windows(a), windows(b)
    squares = mean_a * mean_a + mean_b * mean_b
    variances = windows(a * a) + windows(b * b) - squares
    product = mean_a * mean_b
    contrast = (2 * (windows(a * b) - product) + _C2) / (variances + _C2)
    # Luminance needs the means on the scale from 0: shift both back.
    shift = 127.5 * (mean_a + mean_b) + 127.5**2
    luminance = (2 * (product + shift) + _C1) / (squares + 2 * shift + _C1)
    return float((luminance * contrast).mean()), float(contrast.mean())


def _ms_ssim(a: Floats, b: Floats, finest: tuple[float, float]) -> float:
    """Multiply contrast at all scales, of which the `finest` is known, with the similarity at the coarsest."""
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
    """Return the magnitude of Prewitt's gradient, edges repeated.

    In numpy, for OpenCV's own filter rounds the last bit by where the array lies in memory.
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
    # Half a level of rounding on both sides keeps a flat image finite.
    return math.log10((float(laplacian.var()) + 1 / 12) / (variance + 1 / 12))


def _noise_level(luma: Floats) -> float:
    response = cv2.filter2D(luma, -1, _NOISE_MASK, borderType=cv2.BORDER_REFLECT_101)
    # Luma is whole numbers, and so is the response: counting them finds the median, faster than sorting.
    # The median leaves edges aside. Where tones are clipped, noise is gone: those pixels would hide the rest's.
    counts = np.bincount(np.abs(response[(luma > 2) & (luma < 253)]).astype(np.int64)).cumsum()
    if not counts.size:
        return 0.0
    middle = np.searchsorted(counts, [(counts[-1] + 1) // 2, counts[-1] // 2 + 1])
    # The mask's weights have a sum of squares of 36; a Gaussian's median magnitude is 0.6745 of its spread.
    return float(middle.mean()) / 0.6745 / 6
