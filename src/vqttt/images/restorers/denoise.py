"""Removing noise: each restorer smooths the image that `stabilised` makes, in which noise is equally strong."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.images.ops import Floats, in_strips, to_uint8
from vqttt.images.restorers.noise import stabilised
from vqttt.images.restorers.variation import least_variation, resized
from vqttt.types import Image


def non_local_means(image: Image) -> Image:
    """Replace each pixel by the mean of nearby pixels with similar surroundings.

    Similar patches differ in their noise, so averaging cancels the noise while edges and texture stay. For each pixel,
    patches of 3 x 3 are compared within 13 x 13, allowing for as much difference as the noise explains. This is done at
    full, half and quarter size, to remove coarse grain. Its strength follows from `noise_model`; an image with less
    noise than 2 of 255 is left as it is.
    Source: Buades, Coll and Morel 2005; scales and colours are our own choice.
    """
    return stabilised(image, lambda planes: _pyramid(planes, 1.0, lambda p, sigma: alike(p, 0.55 * sigma, sigma)))


def bilateral(image: Image) -> Image:
    """Average each pixel with its neighbours, giving less weight to different colours, so that edges stay.

    The standard deviation is 2 pixels in space, and in colour 5 times the noise that `noise_model` finds; applied at
    full, half and quarter size. An image with less noise than 2 of 255 is left as it is. Source: Tomasi and Manduchi
    1998.
    """

    def smooth(planes: Floats, sigma: float) -> Floats:
        pixels = np.ascontiguousarray(planes.transpose(1, 2, 0))
        return np.asarray(cv2.bilateralFilter(pixels, 0, 5 * sigma, 2), np.float32).transpose(2, 0, 1)

    return stabilised(image, lambda planes: _pyramid(planes, 1.0, smooth))


def total_variation(image: Image, model: tuple[float, float] | None = None) -> Image:
    """Find the nearby image with the least total variation: flat areas become flat, and edges stay sharp.

    The weight of the variation is 1.3 times the noise that `noise_model` finds (0.9 and 0.8 times at half and quarter
    size); the three colours share their edges. An image with less noise than 2 of 255 is left as it is.
    Source: Rudin, Osher and Fatemi 1992; `least_variation` is our own choice, on the dual of Chambolle 2004.

    Args:
        image: see `Restorer`.
        model: of the noise, if known, as `noise_model` returns it.
    """

    def smooth(planes: Floats) -> Floats:  # what is further away hardly matters
        return in_strips(least_variation, planes, reach=48, height=192)

    return stabilised(image, smooth, model)


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
    both = np.concatenate([np.stack(cv2.split(part)) for part in (image, off)])
    # The Gaussian reaches 3 pixels.
    filled = in_strips(_filled_in, both, reach=4, height=256)
    return np.asarray(cv2.merge(list(filled)), np.uint8)


def _filled_in(both: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Replace the values of an image that are more than 8 off; the image and how far each is off are (6, H, W)."""
    pixels, good = both[:3].astype(np.float32), (both[3:] <= 8).astype(np.float32)
    out = both[:3].copy()
    for i, plane in enumerate(out):
        total, weight = 1e-3 * _filled(pixels[i], good[i]), np.full(plane.shape, 1e-3, np.float32)
        for other in ((i - 1) % 3, (i - 2) % 3):
            change = _filled(pixels[i] - pixels[other], good[i] * good[other])
            total += good[other] * (pixels[other] + change)
            weight += good[other]
        np.copyto(plane, to_uint8(total / weight), where=good[i] == 0)
    return out


def _pyramid(planes: Floats, sigma: float, smooth: Callable[[Floats, float], Floats], levels: int = 2) -> Floats:
    """Smooth noise of `sigma`, and take coarse structure from the smoothed image at half size, where noise is half."""
    smoothed = smooth(planes, sigma)
    height, width = planes.shape[1:]
    if levels == 0 or min(height, width) < 32:
        return smoothed
    half = width // 2, height // 2
    below = _pyramid(resized(planes, half, cv2.INTER_AREA), sigma / 2, smooth, levels - 1)
    return smoothed + resized(below - resized(smoothed, half, cv2.INTER_AREA), (width, height), cv2.INTER_CUBIC)


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
    return in_strips(lambda part: _alike(part, strength, sigma, reach, colour), planes, reach=reach + 1, height=224)


def _alike(planes: Floats, strength: float, sigma: float, reach: int, colour: float) -> Floats:
    height, width = planes.shape[1:]
    guide = cv2.merge([planes[0], *(np.float32(colour) * plane for plane in planes[1:])])
    channels = 1 + 2 * colour**2
    # Adds the squares of the three planes, subtracts what falls to the noise, and scales.
    sums = np.array([[1, 1, 1, -2 * channels * sigma**2]], np.float32) / np.float32(-channels * strength**2)
    total, weights = np.zeros_like(planes), np.zeros((height, width), np.float32)
    best = np.full((height, width), 1e-3, np.float32)
    down, right = min(reach, height - 1), min(reach, width - 1)
    for y in range(down + 1):
        for x in range(-right if y else 1, right + 1):
            # Each pair of pixels is compared once and counts for both.
            one = slice(0, height - y), slice(max(0, -x), width - max(0, x))
            other = slice(y, height), slice(max(0, x), width - max(0, -x))
            difference = cv2.absdiff(guide[one], guide[other])
            likeness = cv2.blur(cv2.transform(cv2.multiply(difference, difference, dst=difference), sums), (3, 3))
            weight = cv2.exp(np.minimum(likeness, 0, out=likeness), dst=likeness)
            for here, there in ((one, other), (other, one)):
                for out, plane in zip(total, planes, strict=True):
                    cv2.accumulateProduct(weight, plane[there], out[here])
                cv2.accumulate(weight, weights[here])
                cv2.max(weight, best[here], dst=best[here])
    # A pixel equals itself, which would outweigh all others: it gets the weight of the best of them.
    return np.asarray((total + best * planes) / (weights + best), np.float32)


def _filled(pixels: Floats, good: Floats) -> Floats:
    """Return the mean of the good values around each pixel."""
    border = cv2.BORDER_REFLECT_101
    total, weight = (cv2.GaussianBlur(part, (0, 0), 0.8, borderType=border) for part in (pixels * good, good))
    return np.asarray(total / np.maximum(weight, 1e-6), np.float32)
