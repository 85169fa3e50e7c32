"""Frost: feathers of ice that grow over a window from its rim."""

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.images.degradations.canvas import clouds, fit, frame
from vqttt.images.ops import Floats, to_uint8
from vqttt.types import Image

# By severity: weights of the scene and of the ice.
_SCENE_ICE = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
# Drawing a pane takes longer than everything else, so a few are drawn once and reused.
_PANES, _PANE_SIDE = 8, 384
_FEATHERS = 18
# Ice crystals are hexagonal and branch at about 60 degrees.
_BRANCH_ANGLE = math.radians(55)
_TINT = np.array([0.93, 0.98, 1.06], np.float32)
_SUBPIXELS = 4


def frost(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Let ice grow over a window in front of the camera: bluish-white feathers, densest toward the rim.

    The image times one weight plus the ice times another; by severity: (1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7),
    (0.6, 0.75). The ice is a random part of one of eight panes in a random orientation; a pixel of the pane covers 0.6
    to 0.9 pixels times `unit`.
    Source: ImageNet-C for the weights; drawn ice (`ice`) of about the same brightness replaces its six photographs.
    """
    scene, weight = _SCENE_ICE[severity - 1]
    pane = np.rot90(_pane(int(rng.integers(_PANES))), int(rng.integers(4)))
    zoom = rng.uniform(1.1, 1.7)
    height, width = (min(round(length * zoom), _PANE_SIDE) for length in frame(image, unit))
    top, left = (int(rng.integers(_PANE_SIDE - length + 1)) for length in (height, width))
    part = fit(np.ascontiguousarray(pane[top : top + height, left : left + width]), image)
    tints = weight * _TINT
    return to_uint8(scene * image.astype(np.float32) + cv2.merge([part * tint for tint in tints]))


@lru_cache(maxsize=_PANES)
def _pane(number: int) -> Floats:
    return ice((_PANE_SIDE, _PANE_SIDE), np.random.default_rng([_PANE_SIDE, number]))


def ice(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Draw a pane of ice: brightness 0 to 255, mean about 150, standard deviation about 50.

    Args:
        shape: height and width in pixels.
        rng: decides where feathers start and how they bend.
    """
    side = min(shape)
    drawn = np.zeros(shape, np.uint8)
    for _ in range(_FEATHERS):
        _feather(drawn, rng)
    # Softening once is several times faster than drawing every line with anti-aliasing.
    crystals = cv2.GaussianBlur(drawn, (0, 0), 0.55).astype(np.float32)
    glow = cv2.GaussianBlur(crystals, (0, 0), max(side / 50, 0.8))
    haze = clouds(shape, side / 3, rng) + 0.6 * clouds(shape, side / 12, rng)
    grain = clouds(shape, 2, rng)
    y, x = (np.abs(np.linspace(-1, 1, length, dtype=np.float32)) for length in shape)
    rim = np.maximum(y[:, None], x[None, :]) ** 3
    pane = 96 + 36 * rim + 18 * haze + 5 * grain + 0.46 * crystals + 0.3 * glow
    return np.asarray(pane, np.float32).clip(0, 255)


def _feather(pane: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Draw one feather from the rim inward: a bent stem, branches that get shorter toward its tip, and their twigs."""
    height, width = pane.shape
    side = min(height, width)
    along = rng.random() * 2 * (height + width)
    start, inward = _on_rim(along, height, width)
    heading = inward + rng.normal(0, 0.5)
    length, bend = side * rng.uniform(0.3, 0.8), rng.normal(0, 0.7)
    steps = np.linspace(0, 1, 22)
    angles = heading + bend * steps
    stem = start + np.cumsum(_heading(angles) * (length / len(steps)), axis=0)
    light = int(rng.integers(130, 240))
    strokes = [(stem, max(round(side / 160), 1))]
    for turn in (-_BRANCH_ANGLE, _BRANCH_ANGLE):
        reach = length * 0.34 * (1 - steps) ** 0.8 * rng.uniform(0.5, 1, len(steps))
        branch = reach[:, None] * _heading(angles + turn)
        # One stroke draws all branches of a side: out along each with its twigs, and back to the stem.
        path = [stem]
        for share in (0.3, 0.65):
            joint = stem + share * branch
            for twig in (-_BRANCH_ANGLE, _BRANCH_ANGLE):
                path += [joint, joint + 0.28 * reach[:, None] * _heading(angles + turn + twig), joint]
        path += [stem + branch, stem]
        strokes.append((np.stack(path, axis=1).reshape(-1, 2), 1))
    for points, thickness in strokes:
        whole = np.rint(points * _SUBPIXELS).astype(np.int32)
        cv2.polylines(pane, [whole], False, light, thickness, cv2.LINE_8, int(math.log2(_SUBPIXELS)))


def _heading(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _on_rim(along: float, height: int, width: int) -> tuple[NDArray[np.float64], float]:
    """Return the point (x, y) at the distance `along` the rim, and the direction inward from it, in radians."""
    if along < width:
        return np.array([along, 0.0]), math.pi / 2
    if along < width + height:
        return np.array([width, along - width]), math.pi
    if along < 2 * width + height:
        return np.array([along - width - height, height]), -math.pi / 2
    return np.array([0.0, along - 2 * width - height]), 0.0
