"""Undoing blur: `find_blur` estimates it, fitting signal, blur and noise to the image's spectrum together.

The power spectrum of a photograph falls as a power of frequency. Blur multiplies it by a fall and by zeros of its own.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.special import j1, wofz

from vqttt.images.ops import Floats, smear, to_uint8
from vqttt.images.restorers.denoise import noise_level
from vqttt.types import Image

# The spectrum is averaged over these.
_RINGS, _SECTORS = 36, 18
# Rows of a spectrum that are worked on together.
_ROWS = 256
# Slopes of the signal's spectrum, and powers of the noise relative to the signal's, that are tried.
_SLOPES = np.array([1.6, 2, 2.4, 2.8, 3.2, 3.6], np.float32)[:, None, None]
_NOISES = np.geomspace(1e-7, 1, 13, dtype=np.float32)[:, None]
# Smallest size; largest size, in pixels and as a share of the short side; ratio between the sizes that are tried.
_SIZES = {"gaussian": (0.7, 8, 1 / 24, 1.2), "disc": (1.8, 12, 1 / 18, 1.04), "motion": (2, 16, 1 / 14, 1.45)}
# By how much (in mean log likelihood) a blur must be likelier than none, and motion than other blur: horizontal motion
# is hard to tell from horizons, and vertical motion from walls, trees, rain and snow.
_SURE, _SURE_OF_MOTION, _SURE_OF_LEVEL, _SURE_OF_UPRIGHT = 0.06, 0.15, 0.7, 1.6


@dataclass(frozen=True)
class Blur:
    """A blur, with the signal that it blurred and the noise added to it.

    Attributes:
        kind: `gaussian`, `motion` (one half of a Gaussian, see `smear`), `disc`, or `none`.
        size: standard deviation in pixels; of a disc, the radius.
        degrees: direction of a motion, as for `smear`.
        signal, slope: the signal's power in luma is `signal` * frequency ** -`slope`, with frequency in radians per
            pixel.
        noise: power of the noise in luma.
    """

    kind: str = "none"
    size: float = 0.0
    degrees: float = 0.0
    signal: float = 0.0
    slope: float = 0.0
    noise: float = 0.0

    @property
    def reach(self) -> float:
        """The root mean square distance by which a point is spread, in pixels."""
        return self.size * {"gaussian": math.sqrt(2), "disc": math.sqrt(0.5), "motion": 0.6}.get(self.kind, 0)


def wiener(image: Image, blur: Blur | None = None) -> Image:
    """Undo blur frequency by frequency, as far as the signal exceeds the noise there.

    Without a `blur`, that of `find_blur` is taken. Beyond its borders the image is mirrored; since what is there is
    unknown, the noise is multiplied by 1 plus half the square of the blur's reach, except for motion. An image without
    visible blur is left as it is. Source: Wiener 1949; the fit is our own choice.
    """
    blur = blur or find_blur(image)
    return image.copy() if blur.kind == "none" else to_uint8(_filtered(image, blur))


def richardson_lucy(image: Image, blur: Blur | None = None, steps: int = 30) -> Image:
    """Undo blur step by step: brighten the estimate wherever it is, once blurred again, darker than the image.

    Without a `blur`, that of `find_blur` is taken; an image without visible blur is left as it is. What is beyond the
    borders is treated as unknown. Stops after `steps`, or when the remaining error is that of the noise
    (`noise_level`).
    Source: Richardson 1972, Lucy 1974; pace of Biggs and Andrews 1997, borders of Bertero and Boccacci 2005.
    """
    blur = blur or find_blur(image)
    if blur.kind == "none":
        return image.copy()
    return to_uint8(_iterated(image, blur, steps, noise_level(image) ** 2 or 0.06))


def find_blur(image: Image) -> Blur:
    """Return the blur that explains the image's spectrum best, or none if it explains hardly more than no blur does.

    Signal, blur and noise are fitted by Whittle's likelihood to the power of luma in 36 rings of 18 sectors, first
    coarsely, then more finely around the best fit. A spectrum does not show which way a motion went, so the direction
    is chosen whose correction leaves fewer and stronger edges. A blur is ruled out if the image has edges steeper than
    the blur allows. Source: our own choice; the likelihood is that of Whittle 1953.
    """
    side = min(image.shape[:2])
    if side < 32:  # too few frequencies
        return Blur()
    red, green, blue = (image[..., i].astype(np.int32) for i in range(3))
    luma = (299 * red + 587 * green + 114 * blue) / 1000
    del red, green, blue
    spectrum = _spectrum(luma)
    sharp_cost, sharp = _fitted(spectrum, [Blur()])[0]
    even_cost, even = _likeliest(spectrum, _family("gaussian", side) + _family("disc", side))
    motion_cost, motion = _likeliest(spectrum, _family("motion", side))
    tilt = abs(motion.degrees % 180 - 90)
    sure = _SURE_OF_UPRIGHT if tilt < 25 else _SURE_OF_LEVEL if tilt > 86 else _SURE_OF_MOTION
    if even_cost - motion_cost > sure and motion.size >= 2 and _edges_fit(luma, motion):
        senses = [motion, replace(motion, degrees=motion.degrees - 180)]
        return min(senses, key=lambda blur: _busyness(_filtered(luma[..., None], blur)[..., 0], blur))
    # An image enlarged from few pixels looks blurred too, but its fit needs more noise than rounding or the image has.
    noise = max(0.09 if even.kind == "gaussian" else 1, noise_level(image) ** 2)
    believed = sharp_cost - even_cost > _SURE and even.size >= 0.8 and even.noise < noise
    return even if believed and _edges_fit(luma, even) else sharp


def _filtered(pixels: NDArray[Any], blur: Blur) -> Floats:
    """Apply Wiener's filter to pixels of shape (H, W, C)."""
    height, width = pixels.shape[:2]
    shape = 2 * height, 2 * width
    inverse = _transfer(blur, shape)
    noise = blur.noise * (1 if blur.kind == "motion" else 1 + blur.reach**2 / 2)
    for top in range(0, 2 * height, _ROWS):  # a few rows at a time, for a large image would fill the memory
        rows = slice(top, top + _ROWS)
        signal = blur.signal * np.maximum(_frequencies(shape, rows)[0], 0.02) ** -blur.slope
        inverse[rows] = np.conj(inverse[rows]) * signal / (np.abs(inverse[rows]) ** 2 * signal + noise)
    inverse[0, 0] = 1  # the mean stays
    restored = np.empty(pixels.shape, np.float32)
    for i in range(pixels.shape[2]):
        mirrored = np.pad(pixels[..., i].astype(np.float32), ((0, height), (0, width)), mode="symmetric")
        spectrum = rfft2(mirrored, overwrite_x=True)
        del mirrored
        spectrum *= inverse
        restored[..., i] = irfft2(spectrum, shape, overwrite_x=True)[:height, :width]
    return restored


def _iterated(image: Image, blur: Blur, steps: int, noise: float) -> Floats:
    """Iterate as Richardson and Lucy do until the mean squared error is below `noise`."""
    height, width = image.shape[:2]
    margin = min(max(math.ceil(3 * blur.reach), 8), 64)
    shape = next_fast_len(height + 2 * margin, True), next_fast_len(width + 2 * margin, True)
    inside = slice(margin, margin + height), slice(margin, margin + width)
    beyond = [(margin, shape[0] - margin - height), (margin, shape[1] - margin - width)]
    transfer = _transfer(blur, shape)

    def convolved(planes: NDArray[Any], kernel: NDArray[np.complex64]) -> Floats:
        if planes.ndim == 3:
            return np.stack([convolved(plane, kernel) for plane in planes])
        return np.asarray(irfft2(rfft2(planes) * kernel, shape), np.float32)

    # One level up, because products leave a pixel of exactly 0 at 0.
    planes = image.transpose(2, 0, 1).astype(np.float32) + np.float32(1)
    observed = np.pad(planes, [(0, 0), *beyond])
    share = np.maximum(convolved(np.pad(np.ones_like(planes[0]), beyond), np.conj(transfer)), np.float32(0.02))
    now = ahead = np.pad(planes, [(0, 0), *beyond], mode="symmetric")
    move = np.zeros_like(now)
    del planes
    for _ in range(steps):
        blurred = convolved(ahead, transfer)
        error = blurred - observed
        if np.square(error, out=error)[:, *inside].mean() < noise:
            break
        ratio = np.divide(observed, np.maximum(blurred, np.float32(0.1), out=blurred), out=error)
        ratio = convolved(ratio, np.conj(transfer)) / share
        before, now, last = now, np.clip(ahead * ratio, 0, 256, out=ratio), move
        move = now - ahead
        pace = min(max(float(np.vdot(move, last)) / max(float(np.vdot(last, last)), 1e-9), 0), 1)
        ahead = np.maximum(now + np.float32(pace) * (now - before), np.float32(0.1))
    return now[:, *inside].transpose(1, 2, 0) - np.float32(1)


def _spectrum(luma: NDArray[np.float64]) -> tuple[Floats, ...]:
    """Return mean power, weight, frequency and direction of each sector of each ring of the spectrum."""
    window = np.outer(*(np.hanning(length + 2)[1:-1] for length in luma.shape)) * (8 / 3)
    power = np.abs(rfft2((luma - (luma * window).sum() / window.sum()) * window)) ** 2 / luma.size
    frequency, direction = _frequencies(luma.shape)
    lowest = 6 * math.pi / min(luma.shape)
    # Along the axes, walls, horizons and the image's border dominate the spectrum.
    aside = frequency * np.minimum(np.abs(np.sin(direction)), np.abs(np.cos(direction)))
    kept = (aside > max(0.7 * lowest, 0.01 * math.pi)) & (frequency > lowest) & (frequency < math.pi)
    power, frequency, direction = (part[kept] for part in (power, frequency, direction % math.pi))
    ring = (_RINGS * np.sqrt((frequency - lowest) / (math.pi - lowest))).astype(int)
    cell = ring * _SECTORS + (_SECTORS * direction / math.pi).astype(int)
    _, cell, count = np.unique(cell, return_inverse=True, return_counts=True)
    means = [np.bincount(cell, weights=part) / count for part in (power + 1e-6, frequency, direction)]
    return tuple(part.astype(np.float32) for part in (means[0], count / count.sum(), means[1], means[2]))


def _family(kind: str, side: int) -> list[Blur]:
    """Return the blurs of a kind that are tried on an image whose short side is `side` pixels."""
    least, most, share, ratio = _SIZES[kind]
    count = math.ceil(math.log(max(most, share * side) / least, ratio)) + 1
    turns = np.arange(0, 180, 15) if kind == "motion" else [0.0]
    return [Blur(kind, least * ratio**i, float(turn)) for i in range(count) for turn in turns]


def _likeliest(spectrum: tuple[Floats, ...], blurs: list[Blur]) -> tuple[float, Blur]:
    """Return cost and fit of the likeliest of `blurs`, refined between it and its neighbours."""
    best = min(_fitted(spectrum, blurs), key=lambda fit: fit[0])
    for part in (1 / 2, 1 / 4, 1 / 8):
        middle = best[1]
        ratio, turn = _SIZES[middle.kind][-1] ** part, 15 * part if middle.kind == "motion" else 0
        steps = [(ratio**i, turn * j) for i in (-1, 0, 1) for j in ((-1, 0, 1) if turn else (0,))]
        near = [replace(middle, size=middle.size * i, degrees=middle.degrees + j) for i, j in steps]
        best = min(_fitted(spectrum, near), key=lambda fit: fit[0])
    return best


def _fitted(spectrum: tuple[Floats, ...], blurs: list[Blur]) -> list[tuple[float, Blur]]:
    """Return the cost of each blur (its mean negative log likelihood), and the blur with fitted signal and noise."""
    power, weight, frequency, direction = spectrum
    fits = []
    for blur in blurs:
        shapes = _response(blur, frequency, direction) * frequency**-_SLOPES + _NOISES
        signals = (power / shapes) @ weight
        costs = np.log(signals) + np.log(shapes) @ weight
        i, j = divmod(int(costs.argmin()), len(_NOISES))
        signal, slope, noise = float(signals[i, j]), float(_SLOPES[i, 0, 0]), float(_NOISES[j, 0])
        fits.append((float(costs[i, j]), replace(blur, signal=signal, slope=slope, noise=noise * signal)))
    return fits


def _response(blur: Blur, frequency: Floats, direction: Floats) -> Floats:
    """Return the share of the power that a blur leaves at given frequencies, in radians per pixel."""
    phase = np.maximum(blur.size * frequency, 1e-4)
    left = {
        "none": lambda: np.ones_like(phase),
        "gaussian": lambda: np.exp(-phase * phase),
        "disc": lambda: (2 * j1(phase) / phase) ** 2,
        "motion": lambda: np.abs(wofz(phase * np.cos(direction - math.radians(blur.degrees)) / math.sqrt(2))) ** 2,
    }
    return np.asarray(left[blur.kind](), np.float32)


def _transfer(blur: Blur, shape: tuple[int, int]) -> NDArray[np.complex64]:
    """Return the Fourier transform of a blurred point at the origin, for images of the given shape."""
    y, x = (np.fft.fftfreq(length, 1 / length).astype(np.float32) for length in shape)
    distance = np.hypot(y[:, None], x)
    if blur.kind == "gaussian":
        point = np.exp(-0.5 * (distance / blur.size) ** 2)
    elif blur.kind == "disc":
        point = np.clip(blur.size + 0.5 - distance, 0, 1)
    else:
        dot = np.fft.fftshift(np.asarray(distance == 0, np.float32))
        point = np.fft.ifftshift(smear(dot, 1.5 * blur.size, blur.size, blur.degrees))
    return np.asarray(rfft2(point / point.sum()), np.complex64)


def _frequencies(shape: tuple[int, ...], rows: slice = slice(None)) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the frequency in radians per pixel, and the direction, of terms of a real Fourier transform."""
    down, across = 2 * math.pi * np.fft.fftfreq(shape[0])[rows, None], 2 * math.pi * np.fft.rfftfreq(shape[1])
    return np.hypot(down, across), np.arctan2(down, across)


def _slopes(luma: NDArray[Any], blur: Blur) -> NDArray[Any]:
    """Return how much luma changes from pixel to pixel: in any direction, or for motion only along it."""
    across, down, turn = np.diff(luma, axis=1)[:-1], np.diff(luma, axis=0)[:, :-1], math.radians(blur.degrees)
    return np.abs(across * math.cos(turn) + down * math.sin(turn)) if blur.kind == "motion" else np.hypot(across, down)


def _busyness(luma: Floats, blur: Blur) -> float:
    """Return a measure of how tones change along a motion: high for many small steps, low for a few large ones."""
    slopes = _slopes(luma, blur)[8:-8, 8:-8]
    return float(np.mean(np.sqrt(slopes))) / math.sqrt(max(float(np.mean(slopes)), 1e-9))


def _edges_fit(luma: NDArray[np.float64], blur: Blur) -> bool:
    """Tell whether even the steepest edges are as gradual as the blur would make them."""
    square, slopes = np.ones(2 * [2 * math.ceil(2 * blur.size) + 1], np.uint8), _slopes(luma, blur)
    heights = np.maximum((cv2.dilate(luma, square) - cv2.erode(luma, square))[:-1, :-1], 1)
    steepest = slopes >= np.quantile(slopes, 0.998)
    climb = {"gaussian": 0.4, "disc": 0.64, "motion": 0.8}[blur.kind] / blur.size
    return float(np.median(slopes[steepest] / heights[steepest])) < min(2.7 * climb, 0.5)
