"""The place in a VQ-Mini scene of the thing that a question asks about."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqttt.tasks.vq_mini.questions import Question
from vqttt.tasks.vq_mini.scenes import SIDE, Item, Scene

_DIRECTIONS = {"furthest left": (-1, 0), "furthest right": (1, 0), "at the top": (0, -1), "at the bottom": (0, 1)}


def _at(scene: Scene, text: str) -> Item:
    dx, dy = next(direction for words, direction in _DIRECTIONS.items() if words in text)
    return max(scene.items, key=lambda item: dx * item.x + dy * item.y)


def _extreme(scene: Scene, text: str) -> Item:
    return (max if "largest" in text else min)(scene.items, key=lambda item: item.value)


_ASKED: dict[str, Callable[[Scene, Item, str], bool]] = {
    "exists": lambda scene, item, text: f"{item.color} {item.name}?" in text,
    "color_of": lambda scene, item, text: f" {item.name}?" in text,
    "shape_of": lambda scene, item, text: f" {item.color} " in text,
    "color_at": lambda scene, item, text: item is _at(scene, text),
    "shape_at": lambda scene, item, text: item is _at(scene, text),
    "word": lambda scene, item, text: item.name.isalpha(),
    "number": lambda scene, item, text: item.name.isdigit() and ("shown" in text or item.color in text),
    "extreme_bar": lambda scene, item, text: item is _extreme(scene, text),
    "bar_value": lambda scene, item, text: f" {item.color} " in text,
}
"""Question types about a single thing; all others are about several things, or all."""


def asked(scene: Scene, question: Question) -> Item | None:
    """Return the single thing that a question is about; None if it is about none or several."""
    about = _ASKED.get(question.type, lambda *_: False)
    found = [item for item in scene.items if about(scene, item, question.text)]
    return found[0] if len(found) == 1 else None


def box(item: Item) -> NDArray[np.bool_]:
    """Return a mask (224, 224) of the pixels in an item's box. A text's box has the greatest width it may have."""
    centres, edge = np.arange(SIDE) + 0.5, item.stroke / 2 + 1  # an outline is drawn on both sides of the edge
    rows, columns = (
        abs(centres - middle) <= extent / 2 + edge for middle, extent in ((item.y, item.height), (item.x, item.width))
    )
    return rows[:, None] & columns


def share_inside(weights: NDArray[Any], inside: NDArray[np.bool_]) -> float:
    """Return the share, 0 to 1, of a map (rows, columns) spread over the image that falls on the pixels `inside`."""
    rows, columns = (SIDE // edge for edge in weights.shape)
    spread = np.kron(weights, np.ones((rows, columns)))
    return float(spread[inside].sum() / spread.sum())
