"""The air between the scene and the camera: haze that thickens with distance, and falling rain.

Both are drawn at the published size, on a `frame`, then fitted to the image. Light is added in linear light.
"""

import math

import cv2
import numpy as np

from vqttt.images.degradations.canvas import clouds, fit, frame, to_frame
from vqttt.images.ops import Floats, guided, to_linear, to_srgb
from vqttt.types import Image

# By severity: thickness of the air.
_HAZE = (0.35, 0.75, 1.35, 2.2, 3.8)
# The sky's colour in linear light, about as bright as white.
_AIR = np.array([0.90, 0.96, 1.04], np.float32)

# By severity: amount of rain, opacity of the veil.
_RAIN = ((0.35, 0.04), (0.7, 0.1), (1.2, 0.19), (2.0, 0.3), (3.0, 0.42))
# Far, middle and near drops: streaks per pixel, half their length, width (a standard deviation), opacity.
_LAYERS = ((7e-3, 5, 0.35, 0.25), (2.2e-3, 12, 0.5, 0.5), (4e-4, 26, 0.9, 0.8))


def haze(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Put haze between the scene and the camera: distant things turn pale and bluish, near ones stay clear.

    A share exp(-thickness * depth) of the light is left, and airlight takes the place of the rest (Koschmieder's law).
    Airlight is in equal parts as bright as the image's brightest places and as a pale sky. The depth of a single image
    is not known, so a plausible one is assumed: a plain that recedes toward the top of the image, nearer where the
    image is dark or colourful, in uneven air. Thickness by severity, where the depth at the top is about 1: 0.35, 0.75,
    1.35, 2.2, 3.8.
    Source: Koschmieder 1924; the depth follows the dark channel of He et al. 2009; strengths are our own choice.
    """
    shape = frame(image, unit)
    light = to_linear(image)
    scene = to_frame(light, shape)
    brightest = float(np.quantile(cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY)[::2, ::2], 0.98))
    air = _AIR * np.float32(0.5 * brightest + 0.36)
    left = fit(np.exp(-_HAZE[severity - 1] * _depth(scene, rng)), image)[..., None]
    return to_srgb(light * left + air * (1 - left))


def rain(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Let rain fall: bright streaks, longer the nearer they are, in front of the gray veil of distant rain.

    Rain falls within 20 degrees of the vertical, in three layers. Their streaks are 10, 24, 52 pixels times `unit`
    long, and the light of the sky in them hides up to 0.25, 0.5, 0.8 of the scene. By severity:

    - amount of rain, where 1 means 351, 110, 20 streaks on an image of 224 x 224: 0.35, 0.7, 1.2, 2, 3
    - opacity of the veil, which is about half as bright as the sky: 0.04, 0.1, 0.19, 0.3, 0.42

    Source: our own choice, after the model of Garg and Nayar 2007.
    """
    amount, veil = _RAIN[severity - 1]
    shape = frame(image, unit)
    fall = math.radians(90 + rng.uniform(-20, 20))
    clear = np.ones(shape, np.float32)
    for per_pixel, length, width, opacity in _LAYERS:
        # A draw below the chance of a drop is uniform between 0 and that chance: scaled, it also gives the brightness.
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


def _depth(scene: Floats, rng: np.random.Generator) -> Floats:
    """Return the amount of air in front of each pixel: about 1 at the top, a sixth of that at the bottom."""
    shape = scene.shape[0], scene.shape[1]
    plain = 1 / (1 + 5 * np.linspace(0, 1, shape[0], dtype=np.float32)[:, None])
    darkest = cv2.erode(scene.min(axis=2), np.ones((9, 9), np.uint8))
    gray = np.sqrt(cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY), dtype=np.float32)
    pale = guided(np.sqrt(darkest, dtype=np.float32), gray, 12, 0.01, cv2.BORDER_REPLICATE)
    drift = 1 + 0.14 * clouds(shape, 110, rng) + 0.06 * clouds(shape, 35, rng)
    return np.asarray(plain * (0.7 + 0.6 * pale) * np.clip(drift, 0.4, 1.6), np.float32)


def _streak(length: float, width: float, angle: float) -> Floats:
    """Return the streak of a falling drop: 1 along its middle, fading to both ends and sides."""
    x = np.arange(-math.ceil(length + 3 * width), math.ceil(length + 3 * width) + 1, dtype=np.float32)
    y = x[:, None]
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    profile = np.clip(1.2 * (1 - (along / length) ** 2), 0, 1)
    return np.asarray(profile * np.exp(-0.5 * (across / width) ** 2), np.float32)
