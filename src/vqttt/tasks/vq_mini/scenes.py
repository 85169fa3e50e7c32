"""Random descriptions of VQ-Mini's scenes: what is in an image, before anything is drawn.

Three kinds of scene cover the eight categories of questions: `shapes` (existence, attribute, counting, spatial), `text`
(reading, comparison, arithmetic) and `chart` (chart, comparison). Everything here is our own choice.
"""

from dataclasses import dataclass

import numpy as np

SIDE = 224
COLORS = {
    "red": (212, 40, 44),
    "green": (36, 150, 62),
    "blue": (44, 84, 210),
    "yellow": (226, 186, 14),
    "purple": (142, 62, 172),
    "orange": (238, 128, 28),
}
SHAPES = ("circle", "square", "triangle", "star", "cross")
WORDS = (
    "bank", "bus", "cafe", "exit", "fire", "hotel", "menu", "milk",
    "north", "open", "park", "sale", "shop", "stop", "taxi", "zoo",
)  # fmt: skip
FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono-Bold", "DejaVuSerif", "DejaVuSerif-Bold",
    "DejaVuSans-BoldOblique", "STIXGeneralBol", "DejaVuSansMono",
)  # fmt: skip
BAR_VALUES = range(1, 9)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One object in a scene.

    Attributes:
        name: the name of a shape, the text that is written, or `bar`.
        color: a key of `COLORS`.
        x, y: centre in pixels.
        width, height: size in pixels; for a shape, both are its diameter.
        angle: rotation in degrees.
        stroke: line width of an outlined shape, in pixels; 0 for a filled one.
        font: one of `FONTS` for text; otherwise empty.
        value: the value of a bar, or the number that is written; otherwise 0.
    """

    name: str
    color: str
    x: float
    y: float
    width: float
    height: float
    angle: float = 0.0
    stroke: int = 0
    font: str = ""
    value: int = 0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The contents of an image; `seed` decides the background and small variations of the drawing."""

    kind: str
    items: tuple[Item, ...]
    seed: int
    horizontal: bool = False


def make_scene(kind: str, rng: np.random.Generator) -> Scene:
    """Draw a scene of `kind` (`shapes`, `text` or `chart`) from `rng`."""
    make = {"shapes": _shapes, "text": _text, "chart": _chart}[kind]
    return make(rng)


def _shapes(rng: np.random.Generator) -> Scene:
    # Only a few shapes and colours per scene, so that they repeat and counts are not all 1.
    names = rng.choice(SHAPES, size=rng.integers(2, 4), replace=False)
    colors = rng.choice(list(COLORS), size=rng.integers(2, 4), replace=False)
    boxes: list[tuple[float, float, float]] = []
    items = []
    for _ in range(int(rng.integers(2, 7))):
        box = _free_disc(boxes, rng)
        if box is None:
            continue
        boxes.append(box)
        x, y, diameter = box
        outlined = rng.random() < 0.25
        items.append(
            Item(
                name=str(rng.choice(names)),
                color=str(rng.choice(colors)),
                x=x,
                y=y,
                width=diameter,
                height=diameter,
                angle=float(rng.uniform(-25, 25)),
                stroke=int(rng.integers(5, 9)) if outlined else 0,
            )
        )
    return Scene(kind="shapes", items=tuple(items), seed=_seed(rng))


def _free_disc(taken: list[tuple[float, float, float]], rng: np.random.Generator) -> tuple[float, float, float] | None:
    for _ in range(40):
        diameter = rng.uniform(38, 66)
        x, y = rng.uniform(diameter / 2 + 4, SIDE - diameter / 2 - 4, size=2)
        if all(np.hypot(x - u, y - v) > (diameter + d) / 2 + 4 for u, v, d in taken):
            return float(x), float(y), float(diameter)
    return None


def _text(rng: np.random.Generator) -> Scene:
    """Draw a word, a word with a number, one number, or two numbers (of one or two digits)."""
    layout = rng.choice(["word", "word+number", "number", "digits", "numbers"], p=[0.2, 0.15, 0.1, 0.35, 0.2])
    texts = [str(rng.choice(WORDS)).upper()] if layout.startswith("word") else []
    if layout in ("word+number", "number", "numbers"):
        texts.append(str(rng.integers(10, 100)))
    if layout == "numbers":
        texts.append(str(rng.choice([n for n in range(10, 100) if str(n) != texts[0]])))
    if layout == "digits":
        texts += [str(n) for n in rng.choice(10, size=2, replace=False)]
    colors = rng.choice(list(COLORS), size=len(texts), replace=False)
    order = rng.permutation(len(texts))
    band = SIDE / len(texts)
    side_by_side = len(texts) == 2 and layout == "digits" and rng.random() < 0.5
    items = []
    for slot, index in enumerate(order):
        text, font = texts[index], str(rng.choice(FONTS))
        size = rng.uniform(40, 54) if text.isalpha() else rng.uniform(48, 76)
        width, height = 0.78 * size * len(text), size
        own, whole = (band * slot, band * (slot + 1)), (0.0, float(SIDE))
        x_range, y_range = (own, whole) if side_by_side else (whole, own)
        items.append(
            Item(
                name=text,
                color=str(colors[index]),
                x=_between(x_range, width / 2 + 4, rng),
                y=_between(y_range, height / 2 + 4, rng),
                width=width,
                height=height,
                angle=float(rng.uniform(-6, 6)),
                font=font,
                value=int(text) if text.isdigit() else 0,
            )
        )
    return Scene(kind="text", items=tuple(items), seed=_seed(rng))


def _chart(rng: np.random.Generator) -> Scene:
    count = int(rng.integers(2, 6))
    horizontal = bool(rng.random() < 0.35)
    colors = rng.choice(list(COLORS), size=count, replace=False)
    values = rng.choice(list(BAR_VALUES), size=count, replace=False)
    origin, length = float(rng.uniform(22, 30)), 168.0
    slot = (SIDE - origin - 12) / count
    thickness = min(float(rng.uniform(0.5, 0.8)) * slot, 36.0)
    items = []
    for index, (color, value) in enumerate(zip(colors, values, strict=True)):
        along, across = length * int(value) / max(BAR_VALUES), origin + slot * (index + 0.5)
        x, y = (origin + along / 2, across - origin + 12) if horizontal else (across, SIDE - origin - along / 2)
        width, height = (along, thickness) if horizontal else (thickness, along)
        items.append(Item(name="bar", color=str(color), x=x, y=y, width=width, height=height, value=int(value)))
    return Scene(kind="chart", items=tuple(items), seed=_seed(rng), horizontal=horizontal)


def _between(ends: tuple[float, float], margin: float, rng: np.random.Generator) -> float:
    """Draw a centre at least `margin` from both ends; if there is no room, take the middle."""
    low, high = ends
    if high - low <= 2 * margin:
        return (low + high) / 2
    return float(rng.uniform(low + margin, high - margin))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
