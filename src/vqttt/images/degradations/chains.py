"""Whole camera pipelines: optics, exposure, sensor, processing and compression, one after another."""

from typing import TypeAlias

import cv2
import numpy as np

from vqttt.errors import InputError
from vqttt.images.degradations.atmosphere import rain
from vqttt.images.degradations.blur import gaussian_blur, motion_blur
from vqttt.images.degradations.codec import low_resolution, video_blocks, webp
from vqttt.images.degradations.digital import jpeg_compression
from vqttt.images.degradations.display import moire, scan
from vqttt.images.degradations.exposure import color_cast, low_light, vignette
from vqttt.images.degradations.interface import Degradation
from vqttt.images.degradations.lens import raindrops
from vqttt.images.degradations.noise import gaussian_noise
from vqttt.images.ops import to_uint8
from vqttt.types import Image

Step: TypeAlias = tuple[Degradation, tuple[int, int, int, int, int]]
"""A degradation, and its severity at each of the chain's five severities; 0 leaves it out."""

_NOISE_REDUCTION = (12, 18, 24, 30, 38)
_FADING = (0.88, 0.78, 0.68, 0.58, 0.5)
_FADED = (214, 196, 160)

_UNDRAWN = "Nothing is drawn from `rng`"


def chain(summary: str, *steps: Step, name: str = "chain", source: str = "our own choice") -> Degradation:
    """Return the degradation that applies `steps` in order, all with the same random generator.

    Args:
        summary: one sentence on what it simulates; the docstring starts with it and then lists the steps.
        *steps: each a degradation, and its severity (0 to leave it out) at each of the chain's five severities.
        name: the function's `__name__`.
        source: where the steps and their severities come from.

    Raises:
        InputError: if a step does not have five severities from 0 to 5, or a severity of the chain has no step.
    """
    for step, severities in steps:
        if len(severities) != 5 or not set(severities) <= set(range(6)):
            raise InputError(f"{name}: {step.__name__} has the severities {severities}; give five, each from 0 to 5")
    if not all(any(severities[i] for _, severities in steps) for i in range(5)):
        raise InputError(f"{name}: a severity has no step; give it at least one above 0")

    def apply(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
        for step, severities in steps:
            if severities[severity - 1]:
                image = step(image, severities[severity - 1], rng, unit)
        return image

    table = "\n".join(f"- {step.__name__}: {', '.join(map(str, severities))}" for step, severities in steps)
    undrawn = f"{_UNDRAWN}. " if all(_UNDRAWN in (step.__doc__ or "") for step, _ in steps) else ""
    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = (
        f"{summary}\n\nSeverities of the steps, in order (0: left out):\n\n{table}\n\n{undrawn}Source: {source}."
    )
    return apply


def noise_reduction(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Smooth away noise and fine texture alike, as a phone does with a photograph taken in poor light.

    A bilateral filter of 9 pixels. Differences up to about the following, of 255, are taken for noise: 12, 18, 24, 30,
    38 by severity. Noise has no length, so `unit` is not used. Nothing is drawn from `rng`. Source: Tomasi and Manduchi
    1998.
    """
    return np.asarray(cv2.bilateralFilter(np.ascontiguousarray(image), 9, _NOISE_REDUCTION[severity - 1], 3), np.uint8)


def fading(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Let a print fade and turn yellow: all tones move toward that of old paper, dark ones most visibly.

    Share of the distance that is left, by severity: 0.88, 0.78, 0.68, 0.58, 0.5. It has no length, so `unit` is not
    used.
    Nothing is drawn from `rng`. Source: our own choice.
    """
    left, paper = _FADING[severity - 1], np.array(_FADED)
    tables = to_uint8(paper + left * (np.arange(256)[:, None] - paper))
    return np.asarray(cv2.LUT(np.ascontiguousarray(image), tables[None]), np.uint8)


phone_at_night = chain(
    "Take a photo at night with a phone: shaken, dark, and smoothed to hide the noise.",
    (motion_blur, (0, 1, 1, 2, 3)),
    (low_light, (1, 2, 3, 4, 4)),
    (noise_reduction, (1, 2, 3, 4, 5)),
    (jpeg_compression, (0, 0, 1, 1, 1)),
    name="phone_at_night",
)

security_camera = chain(
    "Watch through a cheap security camera: few pixels, a noisy sensor, and a video stream with errors.",
    (gaussian_noise, (1, 1, 2, 3, 3)),
    (low_resolution, (1, 1, 2, 2, 3)),
    (video_blocks, (0, 1, 2, 3, 4)),
    (jpeg_compression, (1, 1, 1, 2, 2)),
    name="security_camera",
)

dashcam_in_rain = chain(
    "Drive through rain with a camera behind the windscreen: falling rain, motion, drops on the glass.",
    (rain, (1, 2, 2, 3, 4)),
    (motion_blur, (0, 1, 1, 2, 2)),
    (raindrops, (1, 1, 2, 3, 4)),
    (jpeg_compression, (0, 1, 1, 1, 2)),
    name="dashcam_in_rain",
)

photographed_screen = chain(
    "Photograph a screen with a phone: coloured bands, slightly out of focus, wrong colours, dark corners.",
    (gaussian_blur, (0, 0, 1, 1, 2)),
    (moire, (1, 2, 3, 4, 5)),
    (vignette, (1, 1, 2, 2, 3)),
    (color_cast, (0, 1, 1, 2, 2)),
    (jpeg_compression, (0, 0, 1, 1, 1)),
    name="photographed_screen",
)

messenger_forward = chain(
    "Forward an image from messenger to messenger: shrunk, and compressed again each time.",
    (low_resolution, (0, 0, 1, 1, 2)),
    (jpeg_compression, (1, 2, 2, 3, 4)),
    (webp, (1, 1, 2, 3, 4)),
    (jpeg_compression, (1, 2, 3, 4, 5)),
    name="messenger_forward",
)

old_scan = chain(
    "Scan an old print: faded and yellowed, scanned at a slight angle through dusty glass, and compressed.",
    (fading, (1, 2, 3, 4, 5)),
    (scan, (1, 1, 2, 3, 4)),
    (jpeg_compression, (0, 0, 0, 1, 1)),
    name="old_scan",
)
