"""Undoing blur: `find_blur` decides which there is, and the restorers invert it as far as noise allows."""

import math
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn, irfft2, next_fast_len, rfft2

from vqttt.images.ops import Floats, smear, to_uint8
from vqttt.images.restorers.blur import Blur, likeliest, luma_of
from vqttt.images.restorers.noise import LEAST_NOISE, noise_level
from vqttt.types import Image

__all__ = ["Blur", "find_blur", "richardson_lucy", "wiener"]

# Rows of a spectrum that are worked on together.
_ROWS = 256
# By how much (in mean log likelihood) a blur must be likelier than none, and motion than other blur: horizontal motion
# is hard to tell from horizons, and vertical motion from walls, trees, rain and snow.
_SURE, _SURE_OF_MOTION, _SURE_OF_LEVEL, _SURE_OF_UPRIGHT = 0.06, 0.15, 0.7, 1.6


def wiener(image: Image, blur: Blur | None = None) -> Image:
    """Undo blur frequency by frequency, as far as the signal exceeds the noise there.

    Without a `blur`, that of `find_blur` is taken. Beyond its borders the image is mirrored; since what is there is
    unknown, the noise is multiplied by 1 plus half the square of the blur's reach, and by 3 for motion. An image
    without visible blur is left as it is. Source: Wiener 1949; the fit is our own choice.
    """
    blur = blur or find_blur(image)
    if blur.kind == "none":
        return image.copy()
    height, width = image.shape[:2]
    pixels = image.astype(np.float32)
    pixels = _extended(pixels, blur) if blur.kind == "motion" else pixels
    inverse = _inverse(blur, pixels.shape[:2])
    restored = np.empty(image.shape, np.uint8)
    for i, plane in enumerate(cv2.split(pixels)):
        if blur.kind == "motion":
            spectrum = rfft2(plane, overwrite_x=True)
            spectrum *= inverse
            plane = irfft2(spectrum, plane.shape, overwrite_x=True)
        else:  # the cosine transform mirrors, and is all that a symmetric blur changes
            spectrum = dctn(plane, overwrite_x=True)
            spectrum *= inverse
            plane = idctn(spectrum, overwrite_x=True)
        restored[..., i] = to_uint8(plane[:height, :width])
    return restored


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


def find_blur(image: Image, sigma: float | None = None) -> Blur:
    """Return the blur that explains the image's spectrum best, or none if it explains hardly more than no blur does.

    Signal, blur and noise are fitted by Whittle's likelihood to the power of luma in 36 rings of 18 sectors, first
    coarsely, then more finely around the best fit. A spectrum does not show which way a motion went, so the direction
    is chosen whose correction leaves fewer and stronger edges. A blur is ruled out if the image has edges steeper than
    the blur allows. Source: our own choice; the likelihood is that of Whittle 1953.

    Args:
        image: see `Restorer`.
        sigma: the noise that `noise_model` finds, if known.
    """
    if min(image.shape[:2]) < 32:  # too few frequencies
        return Blur()
    luma = luma_of(image)
    fits = likeliest(luma)
    (sharp_cost, sharp), (even_cost, even) = fits["none"], fits["even"]
    if "motion" in fits:
        motion_cost, motion = fits["motion"]
        tilt = abs(motion.degrees % 180 - 90)
        sure = _SURE_OF_UPRIGHT if tilt < 25 else _SURE_OF_LEVEL if tilt > 86 else _SURE_OF_MOTION
        if even_cost - motion_cost > sure and motion.size >= 2 and _edges_fit(luma, motion):
            return _directed(luma, motion)
    if sharp_cost - even_cost <= _SURE or even.size < 0.8:
        return sharp
    # An image enlarged from few pixels looks blurred too, but its fit needs more noise than rounding or the image has.
    if even.noise >= (0.09 if even.kind == "gaussian" else 1):
        level = noise_level(image) if sigma is None else sigma
        if level < LEAST_NOISE or even.noise >= level**2:
            return sharp
    return even if _edges_fit(luma, even) else sharp


def _directed(luma: Floats, motion: Blur) -> Blur:
    """Return the motion or its opposite, whichever explains the image by fewer and stronger edges."""
    extended = _extended(luma, motion)
    spectrum, inverse = rfft2(extended), _inverse(motion, extended.shape)
    senses = []
    for blur in (motion, replace(motion, degrees=motion.degrees - 180)):
        restored = np.asarray(irfft2(spectrum * inverse, extended.shape), np.float32)
        senses.append((_busyness(restored[: luma.shape[0], : luma.shape[1]], blur), blur))
        np.conj(inverse, out=inverse)  # the opposite motion
    return min(senses, key=lambda sense: sense[0])[1]


def _extended(pixels: Floats, motion: Blur) -> Floats:
    """Continue an image below and to the right so that its far ends meet there: mirrored, one fading into the other."""
    margin = max(math.ceil(4 * motion.reach), 8)
    out = pixels
    for axis in (0, 1):
        length = out.shape[axis]
        added = min(next_fast_len(length + 2 * margin, True) - length, length)
        sides = out.swapaxes(0, axis)
        fade = np.linspace(1, 0, added + 2, dtype=np.float32)[1:-1].reshape(-1, *[1] * (out.ndim - 1))
        beyond = fade * sides[: -added - 1 : -1] + (1 - fade) * sides[added - 1 :: -1]
        out = np.concatenate([out, beyond.swapaxes(0, axis)], axis=axis)
    return out


def _inverse(blur: Blur, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return Wiener's filter for images of this shape: for motion of a Fourier, else of a cosine transform."""
    cosine = blur.kind != "motion"
    places = (np.arange(shape[0]) / (2 * shape[0]), np.arange(shape[1]) / (2 * shape[1])) if cosine else _places(shape)
    transfer = _transfer(blur, *places)
    noise = blur.noise * (1 + blur.reach**2 / 2 if cosine else 3)
    down, across = (np.square(2 * math.pi * place).astype(np.float32) for place in places)
    for top in range(0, shape[0], _ROWS):  # a few rows at a time, for a large image would fill the memory
        part = transfer[top : top + _ROWS]
        square = np.maximum(down[top : top + _ROWS, None] + across, np.float32(0.02**2))
        # Noise over signal, which falls as a power of frequency.
        doubt = np.float32(noise / blur.signal) * np.power(square, np.float32(blur.slope / 2), out=square)
        if cosine:
            part /= part * part + doubt
        else:  # the conjugate; a division of complex numbers would take many times longer
            scale = 1 / (part.real * part.real + part.imag * part.imag + doubt)
            part.real *= scale
            part.imag *= -scale
    transfer[0, 0] = 1  # the mean stays
    return transfer


def _iterated(image: Image, blur: Blur, steps: int, noise: float) -> Floats:
    """Iterate as Richardson and Lucy do until the mean squared error is below `noise`."""
    height, width = image.shape[:2]
    margin = min(max(math.ceil(3 * blur.reach), 8), 64)
    shape = next_fast_len(height + 2 * margin, True), next_fast_len(width + 2 * margin, True)
    inside = slice(margin, margin + height), slice(margin, margin + width)
    beyond = [(margin, shape[0] - margin - height), (margin, shape[1] - margin - width)]
    transfer = _transfer(blur, *_places(shape))

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


def _transfer(blur: Blur, down: NDArray[np.float64], across: NDArray[np.float64]) -> NDArray[Any]:
    """Return the Fourier transform of a blurred point at the origin, at some frequencies in cycles per pixel.

    It is complex for motion, and real for the other blurs, which are symmetric.
    """
    reach = math.ceil({"gaussian": 6 * blur.size, "disc": blur.size, "motion": 3 * blur.size}[blur.kind] + 1)
    steps = np.arange(-reach, reach + 1)
    angles = [2 * math.pi * np.multiply.outer(places, steps) for places in (down, across)]
    if blur.kind == "gaussian":
        line = np.exp(-0.5 * (steps / blur.size) ** 2)
        return np.asarray(np.multiply.outer(*(np.cos(angle) @ (line / line.sum()) for angle in angles)), np.float32)
    if blur.kind == "disc":
        point = np.clip(blur.size + 0.5 - np.hypot(steps[:, None], steps), 0, 1)
        first, second = (np.cos(angle) for angle in angles)
        return np.asarray(first @ (point / point.sum()) @ second.T, np.float32)
    dot = np.zeros((len(steps), len(steps)), np.float32)
    dot[reach, reach] = 1
    moved = smear(dot, 1.5 * blur.size, blur.size, blur.degrees)
    waves = [np.cos(angle) - 1j * np.sin(angle) for angle in (part.astype(np.float32) for part in angles)]
    return np.asarray(waves[0] @ (moved / moved.sum()).astype(np.complex64) @ waves[1].T, np.complex64)


def _places(shape: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the frequencies of a real Fourier transform, down and across, in cycles per pixel."""
    return np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])


def _slopes(luma: Floats, blur: Blur) -> Floats:
    """Return how much luma changes from pixel to pixel: in any direction, or for motion only along it."""
    across, down = luma[:-1, 1:] - luma[:-1, :-1], luma[1:, :-1] - luma[:-1, :-1]
    if blur.kind != "motion":
        return np.asarray(cv2.magnitude(across, down), np.float32)
    turn = math.radians(blur.degrees)
    return np.abs(across * np.float32(math.cos(turn)) + down * np.float32(math.sin(turn)))


def _busyness(luma: Floats, blur: Blur) -> float:
    """Return a measure of how tones change along a motion: high for many small steps, low for a few large ones."""
    slopes = _slopes(luma, blur)[8:-8, 8:-8]
    return float(np.mean(np.sqrt(slopes))) / math.sqrt(max(float(np.mean(slopes)), 1e-9))


def _edges_fit(luma: Floats, blur: Blur) -> bool:
    """Tell whether even the steepest edges are as gradual as the blur would make them."""
    square, slopes = np.ones(2 * [2 * math.ceil(2 * blur.size) + 1], np.uint8), _slopes(luma, blur)
    heights = np.maximum((cv2.dilate(luma, square) - cv2.erode(luma, square))[:-1, :-1], 1)
    flat = slopes.ravel()
    place = int(0.998 * (len(flat) - 1))
    steepest = slopes >= np.partition(flat, place)[place]
    climb = {"gaussian": 0.4, "disc": 0.64, "motion": 0.8}[blur.kind] / blur.size
    return float(np.median(slopes[steepest] / heights[steepest])) < min(2.7 * climb, 0.5)
