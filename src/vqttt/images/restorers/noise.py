"""How much noise an image has, of which kind, and making it equally strong everywhere.

Tones are stretched so that noise is equally strong everywhere (Foi 2009), by a model fitted to the image (see
`noise_model`); the stretched image is smoothed, and the stretch undone. The inverse takes into account that noise was
clipped at black and white, so that the mean tone is right there too.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.images.ops import Floats, in_strips
from vqttt.types import Image

LEAST_NOISE = 2.0
"""Noise with a smaller standard deviation, of 255, is left as it is."""

_TONES = np.arange(256.0)
_QUANTILES = np.array([NormalDist().inv_cdf((i + 0.5) / 64) for i in range(64)])
_POWERS, _SIGMAS = (0.0, 0.5, 1.0), np.geomspace(1, 200, 33)
# Does not respond to slopes or to straight edges along the axes, so that most of its response is noise.
_DETAIL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
# To luma and two colour differences with equal noise, since the rows have unit length.
OPPONENT = np.array([[2, 2, 2], [math.sqrt(6), 0, -math.sqrt(6)], [math.sqrt(2), -math.sqrt(8), math.sqrt(2)]])
OPPONENT = (OPPONENT / math.sqrt(12)).astype(np.float32)


def noise_model(image: Image) -> tuple[float, float]:
    """Return `power` and `sigma` of the noise that fits best: its standard deviation is sigma * (tone / 255) ** power.

    A power of 0 is sensor noise, 0.5 that of few photons, and 1 speckle; `sigma` is on a scale of 255. Noise is told
    from texture by being different in each colour; of a gray image, the flattest quarter is used. The fit maximises the
    likelihood under Student's t with two degrees of freedom, which tolerates edges, and allows for clipping at black
    and white. It is sought first among every fourth sigma and on a quarter of some 4,000 pixels, then nearby on all.
    """
    image = np.ascontiguousarray(image)
    # Whole numbers, so that the choice does not depend on a last bit.
    detail = cv2.filter2D(image, cv2.CV_16S, _DETAIL, borderType=cv2.BORDER_REFLECT_101)
    tone = cv2.blur(image, (7, 7), borderType=cv2.BORDER_REFLECT_101)
    if _is_gray(image):
        rough = cv2.blur(np.abs(detail[..., 0]), (7, 7))
        flat = rough <= np.quantile(rough, 0.25)
        off, tones = _thinned(detail[flat])[:1].astype(np.float32), _thinned(tone[flat])[:1]
    else:
        off, tones = _thinned(detail.reshape(-1, 3)).astype(np.float32), _thinned(tone.reshape(-1, 3))
        off = off - off[[2, 0, 1]]
    # The squares of the mask's weights sum to 36; 0.69 matches Student's t with two degrees to a Gaussian.
    squares = off * off * np.float32(1 / (2 * 36 * 0.69**2))
    coarse = _misfits(_variances()[:, ::4].reshape(-1, 256), squares[:, ::4], tones[:, ::4]).reshape(len(_POWERS), -1)
    rows = np.arange(len(_POWERS))[:, None]
    middle = 4 * coarse.argmin(axis=1)[:, None]
    for step in (2, 1):
        near = np.clip(middle + np.array([-step, 0, step]), 0, len(_SIGMAS) - 1)
        fine = _misfits(_variances()[rows, near].reshape(-1, 256), squares, tones).reshape(near.shape)
        middle = np.take_along_axis(near, fine.argmin(axis=1)[:, None], axis=1)
    power = int(fine.min(axis=1).argmin())
    return _POWERS[power], float(_SIGMAS[middle[power, 0]])


def noise_level(image: Image) -> float:
    """Return the `sigma` of `noise_model`, or 0 if it is below `LEAST_NOISE`."""
    sigma = noise_model(image)[1]
    return sigma if sigma >= LEAST_NOISE else 0.0


def stabilised(image: Image, smooth: Callable[[Floats], Floats], model: tuple[float, float] | None = None) -> Image:
    """Apply `smooth` to luma and two colour differences, stretched to noise with a standard deviation of 1.

    Args:
        image: uint8 RGB of shape (H, W, 3).
        smooth: takes and returns planes of shape (3, H, W).
        model: of the noise, if known, as `noise_model` returns it.
    """
    power, sigma = model or noise_model(image)
    if sigma < LEAST_NOISE:
        return image.copy()
    spread = np.maximum(sigma * (_TONES / 255) ** power, max(0.3 * sigma, 1))
    stretched = np.concatenate([[0], np.cumsum(2 / (spread[1:] + spread[:-1]))])
    mean = stretched[_noisy(power, sigma)].mean(axis=1)
    tones = stretched.astype(np.float32)

    def stretch(part: NDArray[np.uint8]) -> Floats:
        return opponent(np.asarray(cv2.LUT(np.ascontiguousarray(part.transpose(1, 2, 0)), tones), np.float32))

    smoothed = smooth(in_strips(stretch, planes(image), reach=0, height=256))
    # Looking the tone up in 16 bits is many times faster than interpolating.
    steps = 65_535 / max(float(mean[-1] - mean[0]), 1e-6)
    table = np.rint(np.interp(np.arange(65_536) / steps + mean[0], mean, _TONES)).astype(np.uint8)
    to_steps = np.hstack([OPPONENT.T * steps, np.full((3, 1), -mean[0] * steps)])

    def restored(part: Floats) -> Image:
        places = cv2.transform(cv2.merge(list(part)), to_steps)
        return planes(table[np.asarray(cv2.addWeighted(places, 1, places, 0, 0, dtype=cv2.CV_16U), np.uint16)])

    return np.ascontiguousarray(in_strips(restored, smoothed, reach=0, height=256).transpose(1, 2, 0))


def opponent(pixels: Floats) -> Floats:
    """Return luma and two colour differences, shape (3, H, W), of pixels of shape (H, W, 3)."""
    out = np.empty((3, *pixels.shape[:2]), np.float32)
    cv2.split(cv2.transform(pixels, OPPONENT), list(out))
    return out


def planes(image: NDArray[Any]) -> NDArray[Any]:
    """View an image (H, W, 3) as (3, H, W)."""
    return image.transpose(2, 0, 1)


def _is_gray(image: Image) -> bool:
    red, green, blue = (image[..., i] for i in range(3))
    return np.array_equal(red, green) and np.array_equal(green, blue)


def _thinned(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return some 4,000 of the pixels: shape (3, N), of (M, 3)."""
    return np.ascontiguousarray(pixels[:: max(len(pixels) // 4000, 1)].T)


def _misfits(variances: Floats, squares: Floats, tones: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean negative log likelihood of each model, without its constants.

    Args:
        variances: of the noise around each tone, shape (models, 256).
        squares: of the detail, in units of the expected variance; shape (1 or 3, pixels).
        tones: of the same shape.
    """
    expected = np.take(variances, tones, axis=1)
    if len(squares) == 3:  # the noise of a difference between two colours
        red, green, blue = expected.swapaxes(0, 1)
        expected = np.stack([red + blue, green + red, blue + green])
    else:
        expected = expected.swapaxes(0, 1)
    # The logarithm of a product is the sum of the logarithms, and fewer have to be taken.
    scale = np.log(np.multiply.reduce(expected)).mean(axis=1, dtype=np.float64)
    expected += squares[:, None]
    off = np.log(np.multiply.reduce(expected)).mean(axis=1, dtype=np.float64)
    return np.asarray((1.5 * off - scale) / len(squares))


def _noisy(power: float, sigma: float) -> NDArray[np.intp]:
    """Return what noise turns each tone into, at 64 evenly spaced quantiles: shape (256, 64)."""
    noisy = _TONES[:, None] + (sigma * (_TONES / 255) ** power)[:, None] * _QUANTILES
    return np.asarray(np.clip(np.rint(noisy), 0, 255), np.intp)


@lru_cache
def _variances() -> Floats:
    """Return, for each power and sigma, the variance around each mean tone of 0 to 255, clipping included."""
    rows = []
    for power in _POWERS:
        for sigma in _SIGMAS:
            noisy = _noisy(power, float(sigma))
            # Rounding adds a variance of 1/12.
            rows.append(np.interp(_TONES, noisy.mean(axis=1), noisy.var(axis=1) + 1 / 12))
    return np.array(rows, np.float32).reshape(len(_POWERS), len(_SIGMAS), 256)
