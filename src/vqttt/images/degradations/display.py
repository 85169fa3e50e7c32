"""Images of images, and things in the way: a photographed screen, a scanned page, a finger in front of the lens.

Whatever covers the image is drawn at the published size, on a `frame`, then fitted to it.
"""

import math
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.images.degradations.canvas import canvas, fit, fit_colours, frame
from vqttt.images.ops import Floats, to_linear, to_srgb, to_uint8
from vqttt.types import Image

# By severity: share of a sensor cell's width that collects light, distance of the bands in published pixels, light of
# the room.
_MOIRE = ((0.92, 15, 0.008), (0.88, 18, 0.013), (0.83, 22, 0.02), (0.76, 27, 0.028), (0.66, 33, 0.04))
# Of a screen pixel: width of a colour's stripe, and height of the lit part.
_STRIPE, _ROW = 0.28, 0.8
# Places within a screen pixel for which its light is tabulated.
_PHASES = 256
# Share of each colour that is replaced by the mean of the three, since the sensor's colour filters overlap.
_CROSSTALK = 0.25

# By severity: skew, spread of the ink, blackest black, saturation, print on the back; loss of the lamp's light, noise
# of the columns, grain, specks, hairs.
_SCAN = (
    (0.4, 0.5, 14, 0.95, 0.04, 0.08, 2.0, 2.0, 12, 1),
    (0.8, 0.7, 22, 0.88, 0.07, 0.14, 3.0, 3.5, 25, 2),
    (1.3, 0.9, 30, 0.8, 0.1, 0.22, 4.0, 5.0, 45, 4),
    (1.9, 1.2, 40, 0.7, 0.13, 0.32, 5.5, 7.0, 75, 6),
    (2.6, 1.5, 52, 0.6, 0.16, 0.45, 7.0, 9.5, 120, 9),
)
_PAPER = (252, 249, 240)

Thing: TypeAlias = tuple[Floats, Floats, float]
"""The size, in short sides, at which a thing reaches each place; its colour there; how round it looks, 0 to 1."""

_OCCLUDED = (0.05, 0.1, 0.2, 0.3, 0.45)
_SOFT_RIM = 0.02
_PALEST, _DARKEST = (240, 200, 175), (85, 52, 36)


def moire(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Photograph a screen: its red, green and blue stripes interfere with the camera's sensor cells in coloured bands.

    A screen pixel has a stripe of each colour and a dark gap below, and is about as large as a sensor cell. The camera
    is rotated, not quite parallel to the screen, and its lens bends lines. By severity:

    - share of a sensor cell's width that collects light (the smaller, the stronger the bands): 0.92, 0.88, 0.83, 0.76,
      0.66
    - distance of the bands in the centre, in pixels times `unit`: 15, 18, 22, 27, 33
    - light of the room that the screen reflects, where white is 1: 0.008, 0.013, 0.02, 0.028, 0.04

    Source: after the synthesis of Liu, Shu and Wu 2018; strengths are our own choice.
    """
    opening, distance, veil = _MOIRE[severity - 1]
    height, width = frame(image, unit)
    side = max(height, width)
    x, y = (np.arange(length, dtype=np.float32) - length / 2 for length in (width, height))
    y = y[:, None]

    # How far each sensor cell is from the screen pixel of its own number, in screen pixels; only the fraction shows.
    turn, (tilt, pan, bend) = rng.uniform(0, 2 * math.pi), rng.normal(0, 1, 3).tolist()
    far = (x * x + y * y) / side**2
    view = 1 + (tilt * x + pan * y) / side + bend * far
    across = (math.cos(turn) * x - math.sin(turn) * y) / distance * view
    down = (math.sin(turn) * x + math.cos(turn) * y) / distance * view
    stripes, rows = _collected(_STRIPE, opening), _collected(_ROW, opening)
    light = np.stack([stripes[_phase(across + offset)] for offset in (-1 / 3, 0, 1 / 3)], axis=2)
    light += _CROSSTALK * (light.mean(axis=2, keepdims=True) - light)
    light *= rows[_phase(down)][..., None]
    return to_srgb(to_linear(image) * fit_colours(light, image) * (1 - veil) + veil)


def scan(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Scan or photocopy a printed page: skewed, ink bled into the paper, print showing through, dust on the glass.

    By severity:

    - skew in degrees to either side, less for a long image: 0.4, 0.8, 1.3, 1.9, 2.6; the corners show paper
    - spread of the ink in pixels times `unit`: 0.5, 0.7, 0.9, 1.2, 1.5; blackest black: 14, 22, 30, 40, 52; saturation
      left: 0.95, 0.88, 0.8, 0.7, 0.6; darkness of the print on the back: 0.04, 0.07, 0.1, 0.13, 0.16
    - loss of light toward one side, mostly at the fold of the book: 0.08, 0.14, 0.22, 0.32, 0.45
    - standard deviation of the noise of the sensor's columns: 2, 3, 4, 5.5, 7 (of its rows: a quarter of that); of the
      grain: 2, 3.5, 5, 7, 9.5
    - specks of dust on a square image: 12, 25, 45, 75, 120; hairs: 1, 2, 4, 6, 9

    Source: our own choice, after the document degradation of Baird 1992.
    """
    skew, spread, black, colour, reverse, fall, columns, grain, specks, hairs = _SCAN[severity - 1]
    angle = rng.choice([-1, 1]) * rng.uniform(0.8, 1.2) * skew * min(image.shape[:2]) / max(image.shape[:2])
    shape = frame(image, unit)
    ink = 1 - reverse * fit(_print(shape, rng), image)
    paper = np.array(_PAPER, np.float32)

    def printed(pixels: Floats, unit: float) -> Floats:
        gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None]
        faded = gray + colour * (pixels - gray)
        bled = np.minimum(faded, cv2.GaussianBlur(faded, (0, 0), spread * unit, borderType=cv2.BORDER_REPLICATE))
        page = black + bled * ((paper - black) / 255)
        height, width = page.shape[:2]
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1 - abs(angle) / 100)
        return np.asarray(cv2.warpAffine(page, turn, (width, height), borderValue=_PAPER), np.float32)

    page = canvas(image, unit, printed) * ink[..., None]
    light = fit(_lamp(shape, fall, rng) * (1 - 0.8 * _dust(shape, specks, hairs, rng)), image)
    streaks, jitter = rng.standard_normal(shape[1]), rng.standard_normal((shape[0], 1))
    # Squared, because most columns of the sensor read correctly and a few are dirty.
    lines = columns * (streaks * np.abs(streaks) / math.sqrt(3) + jitter / 4)
    noise = fit(lines.astype(np.float32), image) + grain * rng.standard_normal(image.shape[:2], dtype=np.float32)
    return to_uint8(page * light[..., None] + noise[..., None])


def occlusion(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Hold something in front of the camera: a finger, a leaf, a card or a dark lump, too near to be sharp.

    One to three things, enlarged until together they hide a given share of the image; by severity: 0.05, 0.1, 0.2, 0.3,
    0.45. This is already relative to the image, so `unit` is not used.
    Source: our own choice, after DeVries and Taylor 2017.
    """
    # The size of an image of 224 x 224; at most about a million pixels for a long strip.
    height, width = frame(image, max(min(image.shape[:2]) / 224, math.sqrt(image.size / 3) / 1024))
    side = min(height, width)
    x, y = ((np.arange(length, dtype=np.float32) - length / 2) / side for length in (width, height))
    y = y[:, None]
    things = []
    for _ in range(rng.integers(1, 4)):
        across, down = rng.uniform(-0.35, 0.35) * width / side, rng.uniform(-0.35, 0.35) * height / side
        # It is held from outside the image.
        turn = math.atan2(down, across) + rng.uniform(-0.6, 0.6)
        along = np.asarray(math.cos(turn) * (x - across) + math.sin(turn) * (y - down), np.float32)
        aside = np.asarray(math.cos(turn) * (y - down) - math.sin(turn) * (x - across), np.float32)
        things.append(_THINGS[rng.integers(len(_THINGS))](along, aside, rng))

    reaches = [reach for reach, *_ in things]
    size = float(np.quantile(np.minimum.reduce(reaches), _OCCLUDED[severity - 1]))
    colours, cover = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    for reach, colour, depth in things:
        roundness = 1 - depth + depth * np.sqrt(np.maximum(1 - (reach / size) ** 2, 0))
        here = np.clip((size - reach) / _SOFT_RIM + 0.5, 0, 1)
        colours += here[..., None] * (roundness[..., None] * colour - colours)
        cover += here * (1 - cover)
    return to_uint8(image * (1 - fit(cover, image))[..., None] + fit_colours(colours, image))


def _finger(along: Floats, aside: Floats, rng: np.random.Generator) -> Thing:
    skin = np.add(_PALEST, rng.random() * np.subtract(_DARKEST, _PALEST))
    return np.hypot(np.minimum(along, 0), aside), np.asarray(skin, np.float32), 0.45


def _leaf(along: Floats, aside: Floats, rng: np.random.Generator) -> Thing:
    """The overlap of two discs, one half darker than the other, with a pale rib between them."""
    length = rng.uniform(1.8, 3.2)
    far = (length**2 - 1) / 2 * np.abs(aside)  # the first part is a disc's distance from the rib, for a half-width of 1
    reach = np.asarray((far + np.sqrt(far**2 + length**2 * (along**2 + aside**2))) / length**2, np.float32)
    green = rng.uniform((40, 80, 20), (130, 140, 50)).astype(np.float32)
    shade = np.where(aside > 0, np.float32(1), np.float32(0.8)) + np.float32(0.4) * (np.abs(aside) < 0.006)
    return reach, shade[..., None] * green, 0.1


def _card(along: Floats, aside: Floats, rng: np.random.Generator) -> Thing:
    reach = np.maximum(np.abs(along) / rng.uniform(1, 1.8), np.abs(aside))
    plain = (rng.uniform(60, 190) + rng.uniform(-70, 70, 3)).astype(np.float32)
    return reach, np.clip(1 + 0.3 * along, 0.7, 1.3)[..., None] * plain, 0.0


def _lump(along: Floats, aside: Floats, rng: np.random.Generator) -> Thing:
    """A disc whose rim wavers."""
    angle, radius = np.arctan2(aside, along), np.ones_like(along)
    for wave in (1, 2, 3, 4):
        radius += rng.uniform(0, 0.35) / wave * np.cos(wave * angle + rng.uniform(0, 2 * math.pi))
    reach = np.asarray(np.hypot(along, aside) / np.maximum(radius, 0.2), np.float32)
    return reach, rng.uniform(15, 80, 3).astype(np.float32), 0.3


_THINGS = (_finger, _leaf, _card, _lump)


def _print(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Draw lines of blurred words, 12 pixels apart: 1 is ink."""
    lines, columns = shape[0] // 12 + 1, shape[1] // 2 + 2
    letters = rng.random((lines, 3, columns), dtype=np.float32) < 0.65
    gaps = rng.random((lines, 1, columns), dtype=np.float32) < 0.08
    strips = np.zeros((lines, 6, columns), np.float32)
    strips[:, 1:4] = letters & ~gaps & ~np.roll(gaps, 1, axis=2) & ~np.roll(gaps, 2, axis=2)
    drawn = cv2.resize(strips.reshape(-1, columns), (2 * columns, 12 * lines), interpolation=cv2.INTER_LINEAR)
    return np.asarray(drawn[: shape[0], : shape[1]], np.float32)


def _lamp(shape: tuple[int, int], fall: float, rng: np.random.Generator) -> Floats:
    """Light a page: less toward one side, where the page lifts off the glass at the fold."""
    away = np.linspace(0, 1, shape[1], dtype=np.float32)[:: rng.choice([-1, 1])]
    uneven = 0.3 * (1 - away) + 0.7 * np.exp(-away / 0.12)
    above, below = rng.uniform(-2, 2, 2).tolist()
    ends = 0.15 - 0.15 * np.cos(np.linspace(above, below, shape[0], dtype=np.float32))
    return np.asarray(1 - fall * (uneven + ends[:, None]), np.float32)


def _dust(shape: tuple[int, int], specks: int, hairs: int, rng: np.random.Generator) -> Floats:
    """Draw specks and curled hairs: 1 is opaque."""
    drawn = np.zeros(shape, np.uint8)
    area = shape[0] * shape[1] / 224**2
    count = max(round(specks * area), 1)
    places, radii = rng.uniform(0, shape[::-1], (count, 2)), rng.exponential(0.4, count) + 0.3
    circles = np.column_stack([16 * places, 16 * radii, rng.integers(120, 256, count)])  # in sixteenths of a pixel
    for x, y, radius, opacity in circles.astype(int).tolist():
        cv2.circle(drawn, (x, y), radius, opacity, -1, cv2.LINE_AA, shift=4)
    count = max(round(hairs * area), 1)
    start, bend = rng.uniform(0, shape[::-1], (count, 1, 2)), rng.normal(0, 0.1, (count, 1))
    turn = rng.uniform(0, 2 * math.pi, (count, 1)) + np.cumsum(bend + rng.normal(0, 0.12, (count, 20)), axis=1)
    curls = start + np.cumsum(2 * np.stack([np.cos(turn), np.sin(turn)], axis=2), axis=1)
    cv2.polylines(drawn, list((curls * 16).astype(np.int32)), False, 200, 1, cv2.LINE_AA, shift=4)
    return np.asarray(cv2.GaussianBlur(drawn, (0, 0), 0.5) / np.float32(255), np.float32)


def _collected(lit: float, opening: float) -> Floats:
    """Return the light (mean 1) that a sensor cell collects, for `_PHASES` places of the cell on a screen pixel."""
    place = (np.arange(_PHASES) + 0.5) / _PHASES
    light = (np.abs(place - 0.5) < lit / 2) / lit
    width = round(opening * _PHASES)
    total = np.cumsum(np.concatenate([light, light, light]))
    start = _PHASES - width // 2
    return np.asarray((total[start + width :][:_PHASES] - total[start:][:_PHASES]) / width, np.float32)


def _phase(turns: Floats) -> NDArray[np.int32]:
    """Return the index of the fraction of `turns` in a table of `_PHASES`."""
    return (turns * _PHASES).astype(np.int32) & (_PHASES - 1)
