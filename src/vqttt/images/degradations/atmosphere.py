"""The air between the scene and the camera: haze that thickens with distance, and falling rain.

Both are drawn at the published size, on a `frame`, and then fitted to the image; light is added in linear light.
"""

import math

import cv2
import numpy as np

from vqttt.images.degradations.canvas import clouds, fit, frame
from vqttt.images.ops import Floats, guided, to_linear, to_srgb
from vqttt.types import Image

_HAZE = (0.35, 0.75, 1.35, 2.2, 3.8)
# The sky's colour, of about the brightness of white.
_AIR = np.array([0.90, 0.96, 1.04], np.float32)

# how much rain falls, share of the veil
_RAIN = ((0.35, 0.04), (0.7, 0.1), (1.2, 0.19), (2.0, 0.3), (3.0, 0.42))
# far, middle and near: streaks per pixel, half their length, width (a standard deviation), opacity
_LAYERS = ((7e-3, 5, 0.35, 0.25), (2.2e-3, 12, 0.5, 0.5), (4e-4, 26, 0.9, 0.8))


def haze(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Let haze lie between the scene and the camera: what is far turns pale and bluish, what is near stays clear.

    Light is dimmed to exp(-thickness * depth), and airlight, half as bright as the image's brightest parts and half
    of a pale sky, takes the rest (Koschmieder's law). A single image has no depth, so a plausible one is made: a
    plain seen from above that rises to the top, nearer where it is dark or colourful, in uneven air. Thickness, where
    depth at the top is about 1, by severity: 0.35, 0.75, 1.35, 2.2, 3.8.
    Source: Koschmieder 1924; the guess at depth follows the dark channel of He et al. 2009; strengths are our own.
    """
    shape = frame(image, unit)
    light = to_linear(image)
    seen = np.asarray(cv2.resize(light, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
    brightest = float(np.quantile(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY)[::2, ::2], 0.98))
    air = _AIR * np.float32(0.5 * brightest + 0.36)
    left = fit(np.exp(-_HAZE[severity - 1] * _depth(seen, rng)), image)[..., None]
    return to_srgb(light * left + air * (1 - left))


def rain(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Let rain fall: bright streaks along the fall, long where they are near, before the gray veil of distant rain.

    Three layers fall within 20 degrees of the vertical. Their streaks are 10, 24, 52 pixels times `unit` long and hide
    up to 0.25, 0.5, 0.8 of the scene behind light of the sky. By severity:

    - how much rain falls, where 1 means 351, 110, 20 streaks on an image of 224 x 224: 0.35, 0.7, 1.2, 2, 3
    - share of the veil, about half as bright as the sky: 0.04, 0.1, 0.19, 0.3, 0.42

    Source: our own choice, after the model of Garg and Nayar 2007.
    """
    amount, veil = _RAIN[severity - 1]
    shape = frame(image, unit)
    fall = math.radians(90 + rng.uniform(-20, 20))
    clear = np.ones(shape, np.float32)
    for per_pixel, length, width, opacity in _LAYERS:
        # Among draws below the chance, their part of it is uniform too, and serves as the brightness.
        draw = rng.random(shape, dtype=np.float32) / np.float32(amount * per_pixel)
        drops = np.where(draw < 1, 0.4 + 0.6 * draw, np.float32(0)).astype(np.float32)
        streak = _streak(length, width, fall + math.radians(rng.uniform(-2, 2)))
        clear *= 1 - opacity * np.minimum(cv2.filter2D(drops, -1, streak), 1)
    light = to_linear(image)
    sky = _AIR * np.float32(0.35 + 0.5 * np.quantile(light[::3, ::3], 0.9))
    mist = fit(veil * (1 + 0.15 * clouds(shape, 80, rng)), image)[..., None]
    behind = light * (1 - mist) + 0.45 * sky * mist
    left = fit(clear, image)[..., None]
    return to_srgb(behind * left + sky * (1 - left))


def _depth(seen: Floats, rng: np.random.Generator) -> Floats:
    """Return how much air lies before each pixel: 1 or so at the top, a sixth of it at the bottom."""
    shape = seen.shape[0], seen.shape[1]
    plain = 1 / (1 + 5 * np.linspace(0, 1, shape[0], dtype=np.float32)[:, None])
    darkest = cv2.erode(seen.min(axis=2), np.ones((9, 9), np.uint8))
    gray = np.sqrt(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY), dtype=np.float32)
    pale = guided(np.sqrt(darkest, dtype=np.float32), gray, 12, 0.01, cv2.BORDER_REPLICATE)
    drift = 1 + 0.14 * clouds(shape, 110, rng) + 0.06 * clouds(shape, 35, rng)
    return np.asarray(plain * (0.7 + 0.6 * pale) * np.clip(drift, 0.4, 1.6), np.float32)


def _streak(length: float, width: float, angle: float) -> Floats:
    """Return what a falling drop leaves on the image: brightest in the middle of its way, 1 there."""
    x = np.arange(-math.ceil(length + 3 * width), math.ceil(length + 3 * width) + 1, dtype=np.float32)
    y = x[:, None]
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    profile = np.clip(1.2 * (1 - (along / length) ** 2), 0, 1)
    return np.asarray(profile * np.exp(-0.5 * (across / width) ** 2), np.float32)
