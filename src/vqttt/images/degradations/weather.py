"""Snow, fog and spatter.

All are drawn at the published size, on a `frame`, then fitted to the image. So flakes, clouds and drops keep their size
relative to the scene, and a thumbnail shows the same weather as a full-size image.
"""

import math

import cv2
import numpy as np

from vqttt.images.degradations.canvas import fit, frame
from vqttt.images.ops import Floats, smear, to_uint8
from vqttt.types import Image

# By severity: mean and standard deviation of the flakes' field, their size, threshold, radius and standard deviation of
# the smear, weight of the scene.
_SNOW = (
    (0.1, 0.3, 3.0, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2.0, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4.0, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
_FOG_DENSITY_DECAY = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))
# Octaves finer than 1/1024 of the map would be too faint to see, and cost the square of the side.
_MAX_OCTAVES = 10

# By severity: mean and standard deviation of the liquid's field, its blur, threshold, opacity (of mud: blur of the
# rim), whether it is mud.
_SPATTER = (
    (0.65, 0.3, 4.0, 0.69, 0.6, False),
    (0.65, 0.3, 3.0, 0.68, 0.6, False),
    (0.65, 0.3, 2.0, 0.68, 0.5, False),
    (0.65, 0.3, 1.0, 0.65, 1.5, True),
    (0.67, 0.4, 1.0, 0.65, 1.5, True),
)
_WATER, _MUD = (175, 238, 238), (63, 42, 20)
# Responds to surfaces that face the upper left, where the light comes from.
_RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32)


def snow(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Let snow fall in front of a whitened scene.

    Flakes are a coarse Gaussian field, set to 0 below a threshold and smeared along the fall, which is within 45
    degrees of the vertical. A second layer is the first one turned by 180 degrees. The scene is blended with the
    lighter of itself and 1.5 gray + 0.5, where white is 1. By severity:

    - mean of the field, whose standard deviation is 0.3: 0.1, 0.2, 0.55, 0.55, 0.55; threshold: 0.5, 0.5, 0.9, 0.85,
      0.85
    - size of a flake in pixels times `unit`: 3, 2, 4, 4.5, 2.5
    - radius and standard deviation of the smear in pixels times `unit`: (10, 4), (12, 4), (12, 8), (12, 8), (12, 12)
    - weight of the scene in the blend: 0.8, 0.7, 0.7, 0.65, 0.55

    Source: ImageNet-C.
    """
    mean, spread, size, threshold, radius, sigma, scene = _SNOW[severity - 1]
    height, width = frame(image, unit)
    cells = math.ceil(height / size), math.ceil(width / size)
    coarse = mean + spread * rng.standard_normal(cells, dtype=np.float32)
    field = _magnify(_magnify(coarse, size).T, size).T[:height, :width]
    flakes = np.where(field < threshold, np.float32(0), np.clip(field, 0, 1))
    flakes = smear(flakes, radius, sigma, rng.uniform(45, 135))
    flakes = fit(flakes + np.rot90(flakes, 2), image)

    pixels = image.astype(np.float32)
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    whitened = np.maximum(pixels, (1.5 * gray + 127.5)[..., None])
    return to_uint8(scene * pixels + (1 - scene) * whitened + 255 * flakes[..., None])


def fog(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Add a cloudy veil to the scene, then darken both so that the brightest pixel is no brighter than before.

    The veil is a `plasma` map times the density (white is 1). Density and decay by severity: (1.5, 2), (2, 2), (2.5,
    1.7), (2.5, 1.5), (3, 1.4). Source: ImageNet-C.
    """
    density, decay = _FOG_DENSITY_DECAY[severity - 1]
    height, width = frame(image, unit)
    octaves = (max(height, width) - 1).bit_length()
    cell = 2 ** max(octaves - _MAX_OCTAVES, 0)
    veil = plasma(min(octaves, _MAX_OCTAVES), decay, rng)[: math.ceil(height / cell), : math.ceil(width / cell)]
    brightest = float(image.max())
    pixels = image + (255 * density) * fit(veil, image)[..., None]
    return to_uint8(pixels * (brightest / (brightest + 255 * density)))


def spatter(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Spatter the lens with water (severity 1 to 3) or mud (4 and 5).

    There are drops where a blurred Gaussian field exceeds a threshold. Water is lit from one side; mud is opaque.
    By severity:

    - mean and standard deviation of the field: (0.65, 0.3), and (0.67, 0.4) at 5
    - its blur in pixels times `unit`: 4, 3, 2, 1, 1; threshold: 0.69, 0.68, 0.68, 0.65, 0.65
    - opacity of the water: 0.6, 0.6, 0.5; standard deviation of the mud's rim, in pixels times `unit`: 1.5, 1.5

    Source: ImageNet-C.
    """
    mean, spread, sigma, threshold, last, muddy = _SPATTER[severity - 1]
    noise = mean + spread * rng.standard_normal(frame(image, unit), dtype=np.float32)
    field = cv2.GaussianBlur(noise, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    pixels = image.astype(np.float32)
    if muddy:
        mud = cv2.GaussianBlur((field > threshold).astype(np.float32), (0, 0), last, borderType=cv2.BORDER_REPLICATE)
        cover = fit(np.where(mud < 0.8, np.float32(0), mud), image)[..., None]
        return to_uint8(pixels + cover * (np.array(_MUD, np.float32) - pixels))
    light = _wet(np.where(field < threshold, np.float32(0), field))
    light *= last / max(float(light.max()), 1e-6)
    return to_uint8(pixels + fit(light, image)[..., None] * np.array(_WATER, np.float32))


def plasma(octaves: int, decay: float, rng: np.random.Generator) -> Floats:
    """Draw clouds by the diamond-square algorithm (Fournier, Fussell and Carpenter 1982) on a torus.

    Args:
        octaves: how often the grid is refined; the map has sides of 2**octaves.
        decay: every octave divides the random part by the square of this, as in ImageNet-C's code; higher is smoother.
        rng: source of the random part.

    Returns:
        The map, stretched to span 0 to 1.
    """
    grid = np.zeros((1, 1), np.float32)
    amplitude = 1.0
    for _ in range(octaves):
        at_centre, at_right, at_bottom = amplitude * (2 * rng.random((3, *grid.shape), dtype=np.float32) - 1)
        right, below = np.roll(grid, -1, axis=1), np.roll(grid, -1, axis=0)
        centre = (grid + right + below + np.roll(right, -1, axis=0)) / 4 + at_centre
        finer = np.empty((2 * len(grid), 2 * len(grid)), np.float32)
        finer[::2, ::2] = grid
        finer[1::2, 1::2] = centre
        finer[::2, 1::2] = (grid + right + centre + np.roll(centre, 1, axis=0)) / 4 + at_right
        finer[1::2, ::2] = (grid + below + centre + np.roll(centre, 1, axis=1)) / 4 + at_bottom
        grid = finer
        amplitude /= decay**2
    lowest, highest = grid.min(), grid.max()
    stretched: Floats = (grid - lowest) / (highest - lowest)
    return stretched


def _wet(drops: Floats) -> Floats:
    """Light drops from the upper left, more strongly the thicker they are."""
    depth = np.minimum(drops * 255, 255).astype(np.uint8)
    rim = 255 - cv2.Canny(depth, 50, 150)
    distance = np.minimum(cv2.distanceTransform(rim, cv2.DIST_L2, 5), 20)
    relief = cv2.equalizeHist(cv2.blur(distance, (3, 3)).astype(np.uint8))
    relief = cv2.filter2D(relief, cv2.CV_8U, _RELIEF)
    return np.asarray(depth * cv2.blur(relief, (3, 3)).astype(np.float32), np.float32)


def _magnify(rows: Floats, factor: float) -> Floats:
    """Interpolate linearly between rows until there are `factor` times as many; the outermost stay where they are.

    With corners aligned, pixels fall between cells at every phase, so the field keeps its variance. OpenCV aligns edges
    instead: at a factor of 2 no pixel would fall on a cell, and few flakes would pass the threshold.
    """
    position = np.linspace(0, len(rows) - 1, round(len(rows) * factor), dtype=np.float32)
    above = np.minimum(position.astype(int), len(rows) - 2)
    part = (position - above)[:, None].astype(np.float32)
    magnified: Floats = rows[above] * (1 - part) + rows[above + 1] * part
    return magnified
