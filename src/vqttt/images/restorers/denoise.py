"""Removing noise.

Tones are first stretched so that noise is equally strong everywhere (Foi 2009), by a model fitted to the image (see
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

from vqttt.images.ops import Floats, in_strips, to_uint8
from vqttt.types import Image

LEAST_NOISE = 2.0
"""Noise with a smaller standard deviation, of 255, is left as it is."""

_TONES = np.arange(256.0)
_QUANTILES = np.array([NormalDist().inv_cdf((i + 0.5) / 64) for i in range(64)])
_MODELS = [(power, float(sigma)) for power in (0.0, 0.5, 1.0) for sigma in np.geomspace(1, 200, 33)]
# Does not respond to slopes or to straight edges along the axes, so that most of its response is noise.
_DETAIL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
# To luma and two colour differences with equal noise, since the rows have unit length.
OPPONENT = np.array([[2, 2, 2], [math.sqrt(6), 0, -math.sqrt(6)], [math.sqrt(2), -math.sqrt(8), math.sqrt(2)]])
OPPONENT = (OPPONENT / math.sqrt(12)).astype(np.float32)


def non_local_means(image: Image) -> Image:
    """Replace each pixel by the mean of nearby pixels with similar surroundings.

    Similar patches differ in their noise, so averaging cancels the noise while edges and texture stay. For each pixel,
    patches of 3 x 3 are compared within 13 x 13, allowing for as much difference as the noise explains. This is done at
    full, half and quarter size, to remove coarse grain. Its strength follows from `noise_model`; an image with less
    noise than 2 of 255 is left as it is.
    Source: Buades, Coll and Morel 2005; scales and colours are our own choice.
    """
    return _stabilised(image, lambda planes: _pyramid(planes, 1.0, lambda p, sigma: alike(p, 0.55 * sigma, sigma)))


def bilateral(image: Image) -> Image:
    """Average each pixel with its neighbours, giving less weight to different colours, so that edges stay.

    The standard deviation is 2 pixels in space, and in colour 5 times the noise that `noise_model` finds; applied at
    full, half and quarter size. An image with less noise than 2 of 255 is left as it is. Source: Tomasi and Manduchi
    1998.
    """

    def smooth(planes: Floats, sigma: float) -> Floats:
        pixels = np.ascontiguousarray(planes.transpose(1, 2, 0))
        return np.asarray(cv2.bilateralFilter(pixels, 0, 5 * sigma, 2), np.float32).transpose(2, 0, 1)

    return _stabilised(image, lambda planes: _pyramid(planes, 1.0, smooth))


def total_variation(image: Image, steps: int = 30) -> Image:
    """Find the nearby image with the least total variation: flat areas become flat, and edges stay sharp.

    The weight of the variation is 1.1 times the noise that `noise_model` finds; the three colours share their edges. An
    image with less noise than 2 of 255 is left as it is.
    Source: Rudin, Osher and Fatemi 1992, by the dual of Chambolle 2004, accelerated as in Beck and Teboulle 2009.
    """

    def smooth(planes: Floats) -> Floats:  # each step looks one pixel further
        return in_strips(lambda part: _least_change(part, 1.1, steps), planes, reach=steps + 2, height=128)

    return _stabilised(image, smooth)


def median(image: Image) -> Image:
    """Replace isolated values that were turned black or white, and no others.

    Such a value is 0 or 255, and differs from the median of the 5 x 5 around it. It is filled in from the other two
    colours of its pixel, assuming that colours differ there as they do nearby (weights: a Gaussian of 0.8 pixels), or
    else from its neighbours. An image is left as it is unless 0.6% of its values are more than 40 of 255 off; then all
    that are more than 8 off are replaced.
    Source: our own choice, after the adaptive median of Hwang and Haddad 1995.
    """
    image = np.ascontiguousarray(image)
    off = np.where((image == 0) | (image == 255), cv2.absdiff(image, cv2.medianBlur(image, 5)), 0)
    if np.mean(off > 40) < 0.006:
        return image.copy()
    both = np.concatenate([_planes(image), _planes(off)])
    # The Gaussian reaches 3 pixels.
    filled = in_strips(lambda part: _planes(_filled_in(*np.split(part, 2))), both, reach=4, height=256)
    return np.ascontiguousarray(filled.transpose(1, 2, 0))


def _filled_in(*planes: NDArray[np.uint8]) -> Image:
    """Replace the values of an image that are more than 8 off; image and how far each is off are (3, H, W)."""
    image, off = (np.ascontiguousarray(part.transpose(1, 2, 0)) for part in planes)
    pixels, good = image.astype(np.float32), (off <= 8).astype(np.float32)
    total, weight = 1e-3 * _filled(pixels, good), np.full_like(pixels, 1e-3)
    for turn in (1, 2):
        other, other_good = np.roll(pixels, turn, axis=2), np.roll(good, turn, axis=2)
        total += other_good * (other + _filled(pixels - other, good * other_good))
        weight += other_good
    return np.where(good > 0, image, to_uint8(total / weight))


def _planes(image: NDArray[Any]) -> NDArray[Any]:
    """View an image (H, W, 3) as (3, H, W)."""
    return image.transpose(2, 0, 1)


def noise_model(image: Image) -> tuple[float, float]:
    """Return `power` and `sigma` of the noise that fits best: its standard deviation is sigma * (tone / 255) ** power.

    A power of 0 is sensor noise, 0.5 that of few photons, and 1 speckle; `sigma` is on a scale of 255. Noise is told
    from texture by being different in each colour; of a gray image, the flattest quarter is used. The fit maximises the
    likelihood under Student's t with two degrees of freedom, which tolerates edges, and allows for clipping at black
    and white.
    """
    image = np.ascontiguousarray(image)
    # Whole numbers, so that the choice does not depend on a last bit.
    detail = cv2.filter2D(image, cv2.CV_16S, _DETAIL, borderType=cv2.BORDER_REFLECT_101)
    tone = cv2.blur(image, (7, 7), borderType=cv2.BORDER_REFLECT_101)
    if (np.ptp(image, axis=2) == 0).all():
        rough = cv2.blur(np.abs(detail[..., 0]), (7, 7))
        flat = rough <= np.quantile(rough, 0.25)
        off, tones = detail[flat][:, :1], [tone[flat][:, :1]]
    else:
        off = (detail - np.roll(detail, 1, axis=2)).reshape(-1, 3)
        tones = [part.reshape(-1, 3) for part in (tone, np.roll(tone, 1, axis=2))]
    every = max(len(off) // 4000, 1)
    expected = np.sum([_variances()[:, part[::every]] for part in tones], axis=0)
    # The squares of the mask's weights sum to 36; 0.69 matches Student's t with two degrees to a Gaussian.
    ratio = off[::every].astype(np.float32) ** 2 / (36 * 0.69**2 * expected)
    misfit = (np.log(expected) / 2 + 1.5 * np.log1p(ratio / 2)).mean(axis=(1, 2))
    return _MODELS[int(misfit.argmin())]


def noise_level(image: Image) -> float:
    """Return the `sigma` of `noise_model`, or 0 if it is below `LEAST_NOISE`."""
    sigma = noise_model(image)[1]
    return sigma if sigma >= LEAST_NOISE else 0.0


def _stabilised(image: Image, smooth: Callable[[Floats], Floats]) -> Image:
    """Apply `smooth` to luma and two colour differences, stretched to noise with a standard deviation of 1."""
    power, sigma = noise_model(image)
    if sigma < LEAST_NOISE:
        return image.copy()
    spread = np.maximum(sigma * (_TONES / 255) ** power, max(0.3 * sigma, 1))
    stretched = np.concatenate([[0], np.cumsum(2 / (spread[1:] + spread[:-1]))])
    mean = stretched[_noisy(power, sigma)].mean(axis=1)
    tones = stretched.astype(np.float32)
    planes = in_strips(
        lambda part: opponent(np.take(tones, part.transpose(1, 2, 0))), _planes(image), reach=0, height=256
    )
    smoothed = smooth(planes)
    del planes

    def restored(part: Floats) -> Image:
        return _planes(to_uint8(np.interp(np.tensordot(part, OPPONENT, (0, 0)), mean, _TONES)))

    return np.ascontiguousarray(in_strips(restored, smoothed, reach=0, height=256).transpose(1, 2, 0))


def opponent(pixels: Floats) -> Floats:
    """Return luma and two colour differences, shape (3, H, W), of pixels of shape (H, W, 3)."""
    return np.ascontiguousarray(np.tensordot(OPPONENT, pixels, (1, 2)))


def _noisy(power: float, sigma: float) -> NDArray[np.intp]:
    """Return what noise turns each tone into, at 64 evenly spaced quantiles: shape (256, 64)."""
    noisy = _TONES[:, None] + (sigma * (_TONES / 255) ** power)[:, None] * _QUANTILES
    return np.asarray(np.clip(np.rint(noisy), 0, 255), np.intp)


@lru_cache
def _variances() -> Floats:
    """Return, for each of `_MODELS`, the variance of the noise around each mean tone of 0 to 255, clipping included."""
    rows = []
    for model in _MODELS:
        noisy = _noisy(*model)
        # Rounding adds a variance of 1/12.
        rows.append(np.interp(_TONES, noisy.mean(axis=1), noisy.var(axis=1) + 1 / 12))
    return np.array(rows, np.float32)


def _pyramid(planes: Floats, sigma: float, smooth: Callable[[Floats, float], Floats], levels: int = 2) -> Floats:
    """Smooth noise of `sigma`, and take coarse structure from the smoothed image at half size, where noise is half."""
    smoothed = smooth(planes, sigma)
    height, width = planes.shape[1:]
    if levels == 0 or min(height, width) < 32:
        return smoothed
    half = width // 2, height // 2
    below = _pyramid(_resized(planes, half, cv2.INTER_AREA), sigma / 2, smooth, levels - 1)
    return smoothed + _resized(below - _resized(smoothed, half, cv2.INTER_AREA), (width, height), cv2.INTER_CUBIC)


def _resized(planes: Floats, size: tuple[int, int], method: int) -> Floats:
    return np.stack([np.asarray(cv2.resize(plane, size, interpolation=method), np.float32) for plane in planes])


def alike(planes: Floats, strength: float, sigma: float, reach: int = 6, colour: float = 1.0) -> Floats:
    """Average over pixels up to `reach` away, weighted by the similarity of their 3 x 3 surroundings.

    Args:
        planes: shape (3, H, W), luma first.
        strength: root mean square difference, beyond what noise explains, at which a weight falls to 1/e.
        sigma: standard deviation of the noise.
        reach: how far to look, in pixels.
        colour: weight of the colour differences, where luma has weight 1.
    """
    # One row more than `reach`, for the surroundings.
    return in_strips(lambda part: _alike(part, strength, sigma, reach, colour), planes, reach=reach + 1, height=64)


def _alike(planes: Floats, strength: float, sigma: float, reach: int, colour: float) -> Floats:
    height, width = planes.shape[1:]
    guide = planes * np.array([1, colour, colour], np.float32)[:, None, None]
    channels = 1 + 2 * colour**2
    total, weights = np.zeros_like(planes), np.zeros((height, width), np.float32)
    best = np.full((height, width), 1e-3, np.float32)
    down, right = min(reach, height - 1), min(reach, width - 1)
    for y in range(down + 1):
        for x in range(-right if y else 1, right + 1):
            # Each pair of pixels is compared once and counts for both.
            one = slice(0, height - y), slice(max(0, -x), width - max(0, x))
            other = slice(y, height), slice(max(0, x), width - max(0, -x))
            difference = guide[:, *one] - guide[:, *other]
            difference *= difference
            distance = cv2.blur(difference.sum(axis=0), (3, 3)) - np.float32(2 * channels * sigma**2)
            weight = cv2.exp(np.maximum(distance, 0) * np.float32(-1 / (channels * strength**2)))
            for here, there in ((one, other), (other, one)):
                total[:, *here] += weight * planes[:, *there]
                weights[here] += weight
                np.maximum(best[here], weight, out=best[here])
    # A pixel equals itself, which would outweigh all others: it gets the weight of the best of them.
    return np.asarray((total + best * planes) / (weights + best), np.float32)


def _least_change(planes: Floats, weight: float, steps: int) -> Floats:
    """Minimise |u - planes|^2 / 2 + weight * total variation of u, by projected gradients on its dual."""
    flow = ahead = np.zeros((2, *planes.shape), np.float32)
    momentum = 1.0
    for _ in range(steps):
        error = _divergence(ahead) - planes / np.float32(weight)
        step = ahead.copy()
        step[0, :, :-1] += np.diff(error, axis=1) / 8
        step[1, :, :, :-1] += np.diff(error, axis=2) / 8
        step /= np.maximum(np.sqrt((step * step).sum(axis=(0, 1))), 1)
        faster = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = step + np.float32((momentum - 1) / faster) * (step - flow)
        flow, momentum = step, faster
    return planes - np.float32(weight) * _divergence(flow)


def _divergence(flow: Floats) -> Floats:
    out: Floats = flow[0] + flow[1]
    out[:, 1:] -= flow[0, :, :-1]
    out[:, :, 1:] -= flow[1, :, :, :-1]
    return out


def _filled(pixels: Floats, good: Floats) -> Floats:
    """Return the mean of the good values around each pixel."""
    border = cv2.BORDER_REFLECT_101
    total, weight = (cv2.GaussianBlur(part, (0, 0), 0.8, borderType=border) for part in (pixels * good, good))
    return np.asarray(total / np.maximum(weight, 1e-6), np.float32)
