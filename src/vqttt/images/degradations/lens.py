"""The lens: colours that it bends differently, and drops, dust and grease that sit on it.

Whatever sits on the lens is drawn at the published size, on a `frame`, then fitted to the image.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.images.degradations.canvas import clouds, fit, fit_colours, frame, spread, to_frame
from vqttt.images.ops import Floats, to_linear, to_srgb, to_uint8
from vqttt.types import Image

# By severity: shift of red and blue in the corners, blur of red, blur of blue.
_FRINGES = ((1.5, 0.3, 0.5), (2.5, 0.5, 0.8), (4.0, 0.7, 1.1), (6.0, 1.0, 1.5), (9.0, 1.4, 2.1))

# By severity: drops on an image of 224 x 224, radius of the largest.
_DROPS = ((24, 9), (42, 12), (60, 15), (80, 17), (105, 20))
_SMALLEST_DROP = 2.5
# At its rim a drop of any size shows what lies this far away.
_REFRACTION = 70
# Height of the water away from all drops: below 0, so that the water ends at their rims.
_DRY = -2.0
# The reflection of the sky, and its light through the drop: slope that faces the light, width of the light, brightness.
_LIGHTS = ((0.45, 0.02, 200), (-0.5, 0.06, 70))

# By severity: density and darkness of the dust, share of the lens under grease, its opacity.
_DIRT = (
    (0.5, 0.7, 0.25, 0.45),
    (0.8, 0.9, 0.4, 0.6),
    (1.2, 1.1, 0.55, 0.75),
    (1.7, 1.4, 0.7, 0.88),
    (2.3, 1.8, 0.85, 1.0),
)
# Four sizes of dust: radius, number per pixel, largest opacity.
_SPECKS = ((2, 2e-4, 0.9), (4, 2e-4, 1.0), (8, 1e-4, 0.9), (15, 3e-5, 0.6))
# Light from outside the image that grease scatters, so that it shows on black as well.
_STRAY_LIGHT = 0.05


def chromatic_aberration(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Bend colours differently, as a simple lens does: red and blue fringes at edges, wider toward the corners.

    Red is magnified and blue shrunk about the centre, and both are a little out of focus; green stays. By severity:

    - shift of red and blue in the corners, in pixels times `unit`: 1.5, 2.5, 4, 6, 9
    - standard deviation of the blur, in pixels times `unit`: of red 0.3, 0.5, 0.7, 1, 1.4; of blue 0.5, 0.8, 1.1, 1.5,
      2.1

    Nothing is drawn from `rng`. Source: our own choice, after the theory of lateral and axial colour.
    """
    shift, *blurs = _FRINGES[severity - 1]
    zoom = 1 + shift * unit / (math.hypot(*image.shape[:2]) / 2)
    fringed = image.copy()
    for channel, magnified, blur in zip((0, 2), (zoom, 1 / zoom), blurs, strict=True):
        plane = image[..., channel].astype(np.float32)
        for _ in range(2):
            plane = np.ascontiguousarray(_magnified(plane, magnified).T)
        size = 2 * math.ceil(4 * blur * unit) + 1
        blurred = cv2.GaussianBlur(plane, (size, size), blur * unit, borderType=cv2.BORDER_REPLICATE)
        fringed[..., channel] = to_uint8(blurred)
    return fringed


def raindrops(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Put drops on the lens or the windscreen: each shows the scene small and upside down, within a dark rim.

    Drops are domes with irregular outlines that merge where they meet. They bend light as thin prisms do, in proportion
    to their slope: by 70 pixels times `unit` at the rim. Drops on an image of 224 x 224, by severity: 24, 42, 60, 80,
    105; their radii in pixels times `unit`: from 2.5 to 9, 12, 15, 17, 20, most of them small.
    Source: our own choice, after the model of Garg and Nayar 2007, in which a drop is a wide-angle lens.
    """
    number, largest = _DROPS[severity - 1]
    shape = frame(image, unit)
    rank = np.linspace(0, 1, max(round(number * shape[0] * shape[1] / 224**2), 2))
    water = _water(shape, _SMALLEST_DROP * (largest / _SMALLEST_DROP) ** rank**1.5, rng)
    cover = np.clip(water + 0.5, 0, 1)
    wet = np.nonzero(cover)
    layer = np.zeros((*shape, 3), np.float32)
    scene = to_frame(image, shape)
    layer[wet] = _refracted(scene, water, wet)
    layer *= cover[..., None]
    return to_uint8(image * (1 - fit(cover, image))[..., None] + fit_colours(layer, image))


def lens_dirt(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Look through a dirty lens: dust, far out of focus, leaves dark blots, and smeared grease veils the scene.

    Grease replaces light by that from its surroundings (blurs of standard deviation 4 and 16 pixels times `unit`), to a
    degree that varies along the streaks of two wipes. Specks of dust have radii of 2, 4, 8, 15 pixels times `unit` and
    lie in clusters. By severity:

    - density of the specks, where 1 means 27 on an image of 224 x 224: 0.5, 0.8, 1.2, 1.7, 2.3
    - their darkness, as an optical depth: 0.7, 0.9, 1.1, 1.4, 1.8
    - share of the lens under grease: 0.25, 0.4, 0.55, 0.7, 0.85; its opacity: 0.45, 0.6, 0.75, 0.88, 1

    Source: our own choice, after the image model of Gu et al. 2009 (attenuation and scattering by dirt).
    """
    density, darkness, share, opacity = _DIRT[severity - 1]
    shape = frame(image, unit)
    light = to_linear(image)
    scene = to_frame(light, shape)
    near, far = spread(scene, 4), spread(scene, 16)
    grease = opacity * _grease(shape, share, rng)
    milky = fit_colours((0.5 * near + 0.5 * far + _STRAY_LIGHT) * grease[..., None], image)
    left = np.exp(-darkness * _dust(shape, density, rng))
    return to_srgb((light * (1 - fit(grease, image))[..., None] + milky) * fit(left, image)[..., None])


def _magnified(rows: Floats, zoom: float) -> Floats:
    """Magnify rows about the middle one; beyond the edge the outermost row is repeated."""
    last = len(rows) - 1
    position = np.clip((np.arange(len(rows)) - last / 2) / zoom + last / 2, 0, last)
    above = np.minimum(position.astype(int), last - 1)
    part = (position - above)[:, None].astype(np.float32)
    return np.asarray(rows[above] * (1 - part) + rows[above + 1] * part, np.float32)


def _water(shape: tuple[int, int], radii: NDArray[np.float64], rng: np.random.Generator) -> Floats:
    """Return the height of the water: domes whose slope is 1 at their rim; below 0 where it is dry."""
    height, width = shape
    water = np.full(shape, _DRY, np.float32)
    waver_x, waver_y = 1.8 * clouds(shape, 24, rng), 1.8 * clouds(shape, 24, rng)
    for radius, across, down, tall, sag in np.column_stack([radii, rng.random((len(radii), 4))]):
        x, y, reach = across * width, down * height, 1.5 * radius + 4
        top, left = max(int(y - reach), 0), max(int(x - reach), 0)
        part = np.s_[top : int(y + reach) + 1, left : int(x + reach) + 1]
        rows, columns = water[part].shape
        v = (np.arange(top, top + rows)[:, None] - y + waver_y[part]) / (radius * (1 + 0.3 * tall))
        # Gravity pulls the water down, so that a drop is narrower at its top.
        u = (np.arange(left, left + columns) - x + waver_x[part]) / radius * (1 - 0.25 * sag * v)
        np.maximum(water[part], radius / 2 * (1 - u * u - v * v), out=water[part])
    return np.asarray(cv2.GaussianBlur(water, (0, 0), 0.7), np.float32)


def _refracted(scene: Floats, water: Floats, wet: tuple[NDArray[np.intp], ...]) -> Floats:
    """Return the colours of the water at the places `wet`: the scene seen through it, its rim and its highlights."""
    right, down = (cv2.Scharr(water, -1, *axis, scale=1 / 32)[wet] for axis in ((1, 0), (0, 1)))
    # The surface rises toward the drop's centre, so light comes from the far side of it: the view is upside down.
    source = (
        _mirrored(wet[0] + _REFRACTION * down, water.shape[0]),
        _mirrored(wet[1] + _REFRACTION * right, water.shape[1]),
    )
    sharp, soft = (spread(scene, sigma)[source] for sigma in (2, 10))
    # Small drops, and creases between drops, shrink the scene most; without a softer view they would flicker with
    # aliasing.
    curved = np.clip((np.abs(cv2.Laplacian(water, -1)[wet]) - 0.2) / 0.5, 0, 1)
    view = sharp + curved[:, None] * (soft - sharp)
    rim = smooth((np.hypot(right, down) - 0.6) / 0.4)
    lit = view * (1.2 - (0.85 - 0.3 * curved) * rim)[:, None]
    for slope, width, brightness in _LIGHTS:
        spark = np.exp(-((right - slope) ** 2 + (down - slope) ** 2) / width) * (1 - 0.8 * curved)
        lit += brightness * spark[:, None]
    return np.asarray(np.clip(lit, 0, 255), np.float32)


def _grease(shape: tuple[int, int], share: float, rng: np.random.Generator) -> Floats:
    """Return how much grease covers the lens, 0 to 1: two patchy wipes with streaks along their slightly bent paths."""
    y, x = np.arange(shape[0], dtype=np.float32)[:, None], np.arange(shape[1], dtype=np.float32)
    grease = np.zeros(shape, np.float32)
    for _ in range(2):
        patches = clouds(shape, 70, rng) + 0.35 * clouds(shape, 20, rng)
        edge = np.quantile(patches[::4, ::4], math.sqrt(1 - share))
        turn = rng.uniform(0, math.pi)
        across = x * math.sin(turn) + y * math.cos(turn) + 9 * clouds(shape, 90, rng)
        # The profile across the wipe has four values per pixel, so that no interpolation is needed.
        profile = sum(cv2.resize(rng.random((1, 1024 // width), np.float32), (4096, 1))[0] for width in (2, 6))
        streaks = np.take(0.5 + 0.25 * profile, (4 * across).astype(np.int32), mode="wrap")
        grease = np.maximum(grease, smooth((patches - edge) / 0.9 + 0.4) * streaks)
    return grease


def _dust(shape: tuple[int, int], density: float, rng: np.random.Generator) -> Floats:
    """Return the optical depth of the dust: overlapping discs, as specks far out of focus appear."""
    gathered = density * np.exp(0.8 * clouds(shape, 60, rng) - 0.3)
    dust = np.zeros(shape, np.float32)
    for radius, per_pixel, opacity in _SPECKS:
        # A draw below the chance of a speck is uniform between 0 and that chance: scaled, it also gives the opacity.
        draw = rng.random(shape, dtype=np.float32) / (gathered * per_pixel)
        specks = np.where(draw < 1, opacity * (0.2 + 0.8 * draw), np.float32(0)).astype(np.float32)
        x = np.arange(-2 * radius, 2 * radius + 1)
        dust += cv2.filter2D(specks, -1, smooth((1.5 * radius - np.hypot(x, x[:, None])) / radius))
    return dust


def _mirrored(position: NDArray[np.floating], length: int) -> NDArray[np.intp]:
    """Round to the nearest index, mirrored at the edges."""
    folded = np.abs((np.rint(position) + length - 0.5) % (2 * length) - length + 0.5)
    return np.asarray(np.minimum(folded, length - 1), np.intp)


def smooth(part: NDArray[np.floating]) -> Floats:
    """Rise smoothly from 0 to 1 as `part` does; constant beyond."""
    part = np.clip(part, 0, 1)
    return np.asarray(part * part * (3 - 2 * part), np.float32)
