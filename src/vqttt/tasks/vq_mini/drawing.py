"""From scenes to images of 224 x 224 px: anti-aliased shapes, text and bars on textured backgrounds with a gradient.

`draw` also labels every pixel with what is drawn there. Only training uses these labels, for an auxiliary loss.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from vqttt.tasks.vq_mini.scenes import COLORS, SHAPES, SIDE, Item, Scene
from vqttt.types import Image

CONTENTS = ("nothing", *SHAPES, "bar", *"0123456789", *"ABCDEFGHIKLMNOPRSTUXZ")
COLOR_LABELS = ("nothing", *COLORS)
_SHIFT = 4  # fractional bits of OpenCV's sub-pixel coordinates
_MARGIN = 6
_GRID = np.arange(SIDE, dtype=np.float32) / SIDE


def draw(scene: Scene) -> tuple[Image, NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw `scene`.

    Returns:
        The image of shape (224, 224, 3), and two label maps of shape (224, 224): what is drawn at each pixel, as an
        index into `CONTENTS`, and its colour, as an index into `COLOR_LABELS`.
    """
    rng = np.random.default_rng(scene.seed)
    canvas = _background(rng, scene.kind)
    contents = np.zeros((SIDE, SIDE), np.uint8)
    colors = np.zeros((SIDE, SIDE), np.uint8)
    if scene.kind == "chart":
        _axes(canvas, scene, rng)
    for item in scene.items:
        mask, labels = _text_mask(item) if item.font else _shape_mask(item)
        color = np.clip(np.array(COLORS[item.color]) + rng.uniform(-14, 14, 3), 0, 255).astype(np.float32)
        left, top, width, height = cv2.boundingRect(mask)
        box = np.s_[top : top + height, left : left + width]
        alpha = (mask[box].astype(np.float32) / 255)[..., None]
        canvas[box] += (color - canvas[box]) * alpha
        covered = mask[box] > 127
        contents[box][covered] = labels[box][covered]
        colors[box][covered] = COLOR_LABELS.index(item.color)
    return np.clip(canvas + 0.5, 0, 255).astype(np.uint8), contents, colors


def _background(rng: np.random.Generator, kind: str) -> NDArray[np.float32]:
    """Draw a light or dark background: a colour gradient with a texture of low contrast."""
    light = rng.random() < (0.75 if kind == "chart" else 0.6)
    level = rng.uniform(190, 245) if light else rng.uniform(15, 70)
    start, end = ((level + rng.uniform(-12, 12, 3)).astype(np.float32) for _ in range(2))
    change = end - start + np.float32(rng.uniform(-15, 15))
    angle = rng.uniform(0, 2 * np.pi)
    x: Any = _GRID
    y: Any = _GRID[:, None]
    ramp = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
    wash: NDArray[np.float32] = start + change * ramp[..., None]
    wash += _texture(rng, x, y)[..., None]
    return wash


def _texture(rng: np.random.Generator, x: Any, y: Any) -> NDArray[np.float32]:
    strength = rng.uniform(3, 11)
    texture: Any = np.zeros((SIDE, SIDE), np.float32)
    match rng.choice(["plain", "cloud", "stripes", "checks", "weave"]):
        case "cloud":
            cells = int(rng.choice([7, 14, 28, 56]))
            coarse = rng.standard_normal((cells, cells)).astype(np.float32)
            texture = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        case "stripes":
            angle, waves = rng.uniform(0, np.pi), rng.uniform(4, 28)
            along, across = (np.float32(2 * np.pi * waves * part) for part in (np.cos(angle), np.sin(angle)))
            texture = np.sin(along * x + across * y)
        case "checks":
            frequency = np.float32(np.pi * rng.integers(4, 16))
            texture = np.sign(np.sin(frequency * x)) * np.sign(np.sin(frequency * y))
        case "weave":
            frequency = np.float32(2 * np.pi * rng.uniform(10, 32))
            texture = np.float32(0.5) * (np.sin(frequency * x) + np.sin(frequency * y))
    return np.asarray(np.float32(strength) * texture, np.float32)


def _axes(canvas: NDArray[np.float32], scene: Scene, rng: np.random.Generator) -> None:
    ink = 40.0 if canvas.mean() > 128 else 215.0
    origin = round(scene.items[0].x - scene.items[0].width / 2) if scene.horizontal else 0
    floor = SIDE if scene.horizontal else round(scene.items[0].y + scene.items[0].height / 2)
    width = int(rng.integers(1, 4))
    if rng.random() < 0.6:
        grid = 0.7 * float(canvas.mean()) + 0.3 * ink
        for step in range(2, 9, 2):
            offset = round(168 * step / 8)
            _rule(canvas, origin + offset if scene.horizontal else floor - offset, scene.horizontal, grid, 1)
    _rule(canvas, origin if scene.horizontal else floor, scene.horizontal, ink, width)


def _rule(canvas: NDArray[np.float32], at: int, upright: bool, ink: float, width: int) -> None:
    start, end = ((at, 0), (at, SIDE)) if upright else ((0, at), (SIDE, at))
    cv2.line(canvas, start, end, (ink, ink, ink), width)


def _shape_mask(item: Item) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    outline = _outline(item.name) * (item.width / 2, item.height / 2)
    turn = np.deg2rad(item.angle)
    turned = outline @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = np.round((turned + np.array([item.x, item.y])) * 2**_SHIFT).astype(np.int32)
    if item.stroke:
        cv2.polylines(mask, [points], True, 255, item.stroke, cv2.LINE_AA, _SHIFT)
    else:
        cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, _SHIFT)
    return mask, np.full((SIDE, SIDE), CONTENTS.index(item.name), np.uint8)


@lru_cache
def _outline(name: str) -> NDArray[np.float64]:
    """Return the corners of a shape that fills [-1, 1] x [-1, 1], as (corners, 2)."""
    if name in ("square", "bar"):
        reach = 1.0 if name == "bar" else 0.84
        return reach * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
    if name == "cross":
        arm = 0.34
        quarter = np.array([(arm, -1), (arm, -arm), (1, -arm)])
        turns = [np.array([[0, -1], [1, 0]]), np.array([[-1, 0], [0, -1]]), np.array([[0, 1], [-1, 0]])]
        return np.concatenate([quarter, *(quarter @ turn.T for turn in turns)])
    corners = {"circle": 40, "triangle": 3, "star": 10}[name]
    angles = 2 * np.pi * np.arange(corners) / corners - np.pi / 2
    radii = np.where(np.arange(corners) % 2, 0.45, 1.0) if name == "star" else np.ones(corners)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _text_mask(item: Item) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw text centred on the item, shrunk if the image is too narrow; each column is labelled with its character."""
    font = _font(item.font, round(item.height))
    width = font.getlength(item.name)
    if width > SIDE - 2 * _MARGIN:
        font = _font(item.font, int(item.height * (SIDE - 2 * _MARGIN) / width))
        width = font.getlength(item.name)
    ends = [font.getlength(item.name[: n + 1]) for n in range(len(item.name))]
    x = float(np.clip(item.x, width / 2 + _MARGIN, SIDE - width / 2 - _MARGIN))
    image = PILImage.new("L", (SIDE, SIDE))
    ImageDraw.Draw(image).text((x, item.y), item.name, fill=255, font=font, anchor="mm")
    columns = np.minimum(np.searchsorted(ends, np.arange(SIDE) - (x - width / 2), side="right"), len(ends) - 1)
    indices = np.array([CONTENTS.index(character) for character in item.name], np.uint8)
    labels: NDArray[np.uint8] = np.broadcast_to(indices[columns], (SIDE, SIDE))
    turn = cv2.getRotationMatrix2D((x, item.y), item.angle, 1.0)
    mask = cv2.warpAffine(np.asarray(image), turn, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    turned = cv2.warpAffine(np.ascontiguousarray(labels), turn, (SIDE, SIDE), flags=cv2.INTER_NEAREST)
    return np.asarray(mask, np.uint8), np.asarray(turned, np.uint8)


@lru_cache(maxsize=512)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Load one of matplotlib's fonts, without importing matplotlib."""
    spec = find_spec("matplotlib")
    assert spec is not None and spec.origin is not None, "matplotlib is a dependency of vqttt"
    return ImageFont.truetype(str(Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf"), size)
