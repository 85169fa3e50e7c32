"""Finding the nearby image with the least total variation, from coarse to fine."""

import math
from functools import lru_cache

import cv2
import numpy as np

from vqttt.images.ops import Floats

# By level, from full to quarter size: weight of the variation in standard deviations of the noise, and steps.
_WEIGHTS, _STEPS = (1.3, 0.9, 0.8), (3, 6, 12)
_PACE = np.float32(0.24)


def least_variation(planes: Floats, sigma: float = 1.0, level: int = 0) -> Floats:
    """Minimise |u - planes|^2 / 2 + weight * total variation of u, nearly: planes share their edges.

    Projected gradients on the dual (Chambolle 2004) need many steps until flat areas are flat, for each looks one
    pixel further. So the same problem is solved at half size first, where noise is half as strong. The difference
    between the image and that solution, integrated (Poisson's equation), is where the steps begin; half of what coarse
    structure then still differs is taken from it too.

    Args:
        planes: shape (3, H, W).
        sigma: standard deviation of the noise.
        level: 0 at full size, 1 at half size, and so on.
    """
    height, width = planes.shape[1:]
    weight = np.float32(_WEIGHTS[level] * sigma)
    if level + 1 == len(_STEPS) or min(height, width) < 32:
        across, down = np.zeros((2, *planes.shape), np.float32)
        return planes - weight * _descended(planes / weight, across, down, _STEPS[level])
    half = width // 2, height // 2
    below = least_variation(resized(planes, half, cv2.INTER_AREA), sigma / 2, level + 1)
    start = planes - resized(below, (width, height), cv2.INTER_LINEAR)
    across, down = _integrated(start / weight)
    smooth: Floats = planes - weight * _descended(planes / weight, across, down, _STEPS[level])
    below -= resized(smooth, half, cv2.INTER_AREA)
    smooth += np.float32(0.5) * resized(below, (width, height), cv2.INTER_LINEAR)
    return smooth


def resized(planes: Floats, size: tuple[int, int], method: int) -> Floats:
    """Resize planes of shape (3, H, W) to a size of (width, height), by one of OpenCV's methods."""
    return np.stack([np.asarray(cv2.resize(plane, size, interpolation=method), np.float32) for plane in planes])


def _descended(target: Floats, across: Floats, down: Floats, steps: int) -> Floats:
    """Take steps toward the flow whose divergence is nearest to `target`, and return its divergence.

    Args:
        target: shape (3, H, W).
        across: flow to the next column, which is changed; with `down` at most 1 long at each pixel, over the three
            planes, and 0 in the last column.
        down: flow to the next row, 0 in the last.
        steps: how many.
    """
    width = target.shape[2]
    # One after another, so that every operation runs through memory in order. What moves to the next row does no harm,
    # since the flow out of a row's last pixel is 0.
    flat, right, below = (part.reshape(-1) for part in (target, across, down))
    error, square = np.empty_like(flat), np.empty_like(flat)

    def divergence() -> None:
        np.add(right, below, out=error)
        np.subtract(error[1:], right[:-1], out=error[1:])
        np.subtract(error[width:], below[:-width], out=error[width:])

    for _ in range(steps):
        divergence()
        np.subtract(error, flat, out=error)
        np.multiply(error, _PACE, out=error)
        right[:-1] += error[1:]
        right -= error
        below[:-width] += error[width:]
        below -= error
        _limited(across, down, error.reshape(target.shape), square.reshape(target.shape))
    divergence()
    return error.reshape(target.shape)


def _limited(across: Floats, down: Floats, first: Floats, second: Floats) -> None:
    """Keep a flow within the image and at most 1 long at each pixel; `first` and `second` are room to work in."""
    across[:, :, -1] = 0
    down[:, -1] = 0
    np.multiply(across, across, out=first)
    np.multiply(down, down, out=second)
    first += second
    length = first[0]
    length += first[1]
    length += first[2]
    np.sqrt(np.maximum(length, 1, out=length), out=length)
    np.divide(1, length, out=length)
    across *= length
    down *= length


def _integrated(change: Floats) -> tuple[Floats, Floats]:
    """Return the flow, across and down, whose divergence is `change`, limited to a length of 1."""
    height, width = change.shape[1:]
    shape = tuple(2 * cv2.getOptimalDFTSize((length + 1) // 2) for length in (height, width))
    inverse, flags = _inverse_laplacian(shape), cv2.DFT_INVERSE | cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT
    across, down = np.empty((2, *change.shape), np.float32)
    beyond = (0, shape[0] - height, 0, shape[1] - width)
    for plane, right, below in zip(change, across, down, strict=True):
        spectrum = cv2.dft(cv2.copyMakeBorder(plane, *beyond, cv2.BORDER_REFLECT) if any(beyond) else plane)
        height_map = cv2.dft(np.multiply(spectrum, inverse, out=spectrum), flags=flags)[:height, :width]
        np.subtract(height_map[:, 1:], height_map[:, :-1], out=right[:, :-1])
        np.subtract(height_map[1:], height_map[:-1], out=below[:-1])
    _limited(across, down, np.empty_like(across), np.empty_like(down))
    return across, down


@lru_cache(maxsize=8)
def _inverse_laplacian(shape: tuple[int, ...]) -> Floats:
    """Return what solves Poisson's equation when multiplied with a spectrum in OpenCV's packed form; even sides."""
    down, across = (2 * np.cos(2 * math.pi * np.arange(length // 2 + 1) / length) - 2 for length in shape)
    rows = np.concatenate([down, down[-2:0:-1]])
    terms = rows[:, None] + across
    terms[0, 0] = math.inf  # the mean stays
    # Each term has a real and an imaginary part side by side; in the first and last column they lie one above another.
    packed = terms[:, (np.arange(shape[1]) + 1) // 2]
    for column in (0, -1):
        packed[:, column] = terms[(np.arange(shape[0]) + 1) // 2, column]
    return np.asarray(1 / packed, np.float32)
