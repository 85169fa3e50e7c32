"""Exposure and colour: too little light, too much, light of the wrong colour, or less of it toward the corners.

Sensors count photons, so all of this is computed in linear light, with the curve of sRGB undone.
"""

import math

import cv2
import numpy as np

from vqttt.images.degradations.canvas import fit_colours, frame, spread, to_frame
from vqttt.images.ops import DECODED, to_linear, to_srgb
from vqttt.types import Image

# By severity: exposure, gain of the camera.
_LOW_LIGHT = ((0.3, 1.4), (0.13, 1.8), (0.06, 2.4), (0.03, 3.3), (0.016, 4.5))
# Photons of each colour where white is fully exposed, and the standard deviation of the readout in photons.
_PHOTONS, _READ_NOISE = 800, 2.0
_STOPS_OVER = (0.8, 1.3, 1.9, 2.6, 3.4)
# Share of the light that glows, and standard deviation of the glow in published pixels.
_BLOOM = ((0.06, 4), (0.04, 20))
_CAST = (0.3, 0.55, 0.85, 1.25, 1.8)
_MAX_TINT = math.radians(25)
# In stops of red, green and blue: tungsten light against daylight, and green against magenta.
_WARM, _GREEN = np.array([0.6, 0.0, -1.2]), np.array([-0.5, 0.7, -0.5])
# By severity: tangent of the angle at the corners; where the barrel begins to cover the image, and where it covers it
# fully, as shares of the way to the corners.
_VIGNETTE = ((0.8, 0.8, 1.7), (1.05, 0.6, 1.45), (1.3, 0.4, 1.25), (1.6, 0.28, 1.1), (1.9, 0.15, 0.95))


def low_light(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Photograph in too little light: dark, and grainy because the camera's gain makes up for part of the exposure.

    Photons are counted (Poisson; 800 of each colour where white is fully exposed), the readout adds Gaussian noise with
    a standard deviation of 2 photons, and the gain amplifies both; all in linear light. Exposure and gain by severity:
    (0.3, 1.4), (0.13, 1.8), (0.06, 2.4), (0.03, 3.3), (0.016, 4.5). Noise has no length, so `unit` is not used.
    Source: the noise model of Foi et al. 2008; strengths are our own choice.
    """
    exposure, gain = _LOW_LIGHT[severity - 1]
    expected = DECODED.astype(np.float64) * (exposure * _PHOTONS)
    counted = rng.poisson(expected[image]).astype(np.float32)
    counted += _READ_NOISE * rng.standard_normal(image.shape, dtype=np.float32)
    return to_srgb(counted * (gain / _PHOTONS))


def overexposure(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Expose too long: highlights clip to white, pale tones lose their colour, and bright parts glow a little.

    Linear light is raised by 0.8, 1.3, 1.9, 2.6, 3.4 stops by severity (a stop doubles it). The glow spreads 6% of it
    over a standard deviation of 4 pixels times `unit`, and another 4% over 20. Nothing is drawn from `rng`.
    Source: our own choice.
    """
    light = to_linear(image) * np.float32(2 ** _STOPS_OVER[severity - 1])
    scene = to_frame(light, frame(image, unit))
    lit = light * (1 - sum(share for share, _ in _BLOOM))
    for share, sigma in _BLOOM:
        lit += share * fit_colours(spread(scene, sigma), image)
    return to_srgb(lit)


def color_cast(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Set the wrong white balance, as under a lamp or in shade: everything turns orange or blue.

    The colours of linear light are multiplied so that gray keeps its brightness. At strength 1, red is raised by 0.6
    stops against green and blue lowered by 1.2, or the reverse. This direction is turned at random by up to 25 degrees
    toward green or magenta. Strength by severity: 0.3, 0.55, 0.85, 1.25, 1.8. It has no length, so `unit` is not used.
    Source: our own choice.
    """
    turn = rng.uniform(-_MAX_TINT, _MAX_TINT) + math.pi * rng.integers(2)
    gains = 2 ** (_CAST[severity - 1] * (math.cos(turn) * _WARM + math.sin(turn) * _GREEN))
    gains /= gains @ (0.2126, 0.7152, 0.0722)
    tables = to_srgb((DECODED[:, None] * gains).astype(np.float32))
    return np.asarray(cv2.LUT(np.ascontiguousarray(image), tables[None]), np.uint8)


def vignette(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Lose light toward the corners, as with any wide lens, and with a barrel whose rim blocks the view.

    Light falls with the fourth power of the cosine of the angle to the axis, whose tangent in the corners is, by
    severity: 0.8, 1.05, 1.3, 1.6, 1.9. The barrel begins to cover the image at 0.8, 0.6, 0.4, 0.28, 0.15 of the way to
    the corners, and covers it fully at 1.7, 1.45, 1.25, 1.1, 0.95. All this is relative, so `unit` is not used.
    Nothing is drawn from `rng`. Source: the cosine law of illumination; strengths are our own choice.
    """
    tangent, begins, ends = _VIGNETTE[severity - 1]
    height, width = image.shape[:2]
    y, x = ((np.arange(length, dtype=np.float32) + 0.5) / length * 2 - 1 for length in (height, width))
    away = ((x * width) ** 2 + ((y * height) ** 2)[:, None]) / (width**2 + height**2)
    covered = np.clip((np.sqrt(away) - begins) / (ends - begins), 0, 1)
    left = (1 - covered * covered * (3 - 2 * covered)) / (1 + tangent**2 * away) ** 2
    return to_srgb(to_linear(image) * left[..., None])
