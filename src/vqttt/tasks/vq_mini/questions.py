"""The questions about a scene, by category; each has exactly one right answer, which follows from the scene."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vqttt.tasks.vq_mini.scenes import COLORS, SHAPES, Item, Scene

CATEGORIES = ("existence", "attribute", "counting", "spatial", "reading", "chart", "comparison", "arithmetic")
MARGIN = 22.0  # pixels by which "left of", "above" and "furthest" must be true


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question, its answer, and the template (`type`) from which it was made."""

    text: str
    answer: str
    category: str
    type: str


Maker = Callable[[Scene, np.random.Generator], tuple[str, str] | None]
_MAKERS: dict[str, tuple[str, str, Maker]] = {}  # type -> category, kind of scene, maker


def question_types(kind: str, category: str | None = None) -> list[str]:
    """Return the question types for scenes of `kind`, in one category or in all."""
    return [name for name, (cat, of, _) in _MAKERS.items() if of == kind and category in (None, cat)]


def kinds_for(category: str) -> list[str]:
    """Return the kinds of scene that have questions of `category`."""
    return sorted({kind for cat, kind, _ in _MAKERS.values() if cat == category})


def ask(scene: Scene, question_type: str, rng: np.random.Generator) -> Question | None:
    """Make a question of the given type, or return None if the scene allows no unambiguous one."""
    category, _, maker = _MAKERS[question_type]
    made = maker(scene, rng)
    return made and Question(text=made[0], answer=made[1], category=category, type=question_type)


def _maker(category: str, kind: str) -> Callable[[Maker], Maker]:
    def register(maker: Maker) -> Maker:
        _MAKERS[maker.__name__] = (category, kind, maker)
        return maker

    return register


def _pick(options: list[Item], rng: np.random.Generator) -> Item | None:
    return options[rng.integers(len(options))] if options else None


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


@_maker("existence", "shapes")
def exists(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Ask for a colour with a shape; half of the time the pair is absent, though one of the two is present."""
    present = {(item.color, item.name) for item in scene.items}
    if rng.random() < 0.5:
        color, name = sorted(present)[rng.integers(len(present))]
    else:
        shown_colors, shown_names = {c for c, _ in present}, {n for _, n in present}
        absent = [
            (c, n) for c in COLORS for n in SHAPES if (c, n) not in present and (c in shown_colors or n in shown_names)
        ]
        color, name = absent[rng.integers(len(absent))]
    return f"is there any {color} {name}?", _yes((color, name) in present)


@_maker("attribute", "shapes")
def color_of(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Ask for the colour of an object whose shape is unique."""
    names = [item.name for item in scene.items]
    item = _pick([item for item in scene.items if names.count(item.name) == 1], rng)
    return (f"what color is the {item.name}?", item.color) if item else None


@_maker("attribute", "shapes")
def shape_of(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Ask for the shape of an object whose colour is unique."""
    colors = [item.color for item in scene.items]
    item = _pick([item for item in scene.items if colors.count(item.color) == 1], rng)
    return (f"what shape is the {item.color} object?", item.name) if item else None


@_maker("counting", "shapes")
def count_all(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Count all objects."""
    return "how many objects are there?", str(len(scene.items))


@_maker("counting", "shapes")
def count_color(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Count the objects of a colour that occurs."""
    colors = [item.color for item in scene.items]
    color = sorted(set(colors))[rng.integers(len(set(colors)))]
    return f"how many {color} objects are there?", str(colors.count(color))


@_maker("counting", "shapes")
def count_shape(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Count the objects of a shape that occurs."""
    names = [item.name for item in scene.items]
    name = sorted(set(names))[rng.integers(len(set(names)))]
    plural = "crosses" if name == "cross" else f"{name}s"
    return f"how many {plural} are there?", str(names.count(name))


@_maker("spatial", "shapes")
def relation(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Ask whether one object is left of, right of, above or below another."""
    pairs = [(item.color, item.name) for item in scene.items]
    unique = [item for item in scene.items if pairs.count((item.color, item.name)) == 1]
    words = {"to the left of": (-1, 0), "to the right of": (1, 0), "above": (0, -1), "below": (0, 1)}
    options = []
    for one in unique:
        for other in unique:
            for word, (dx, dy) in words.items():
                distance = dx * (one.x - other.x) + dy * (one.y - other.y)
                if one is not other and abs(distance) >= MARGIN:
                    options.append((one, word, other, distance > 0))
    if not options:
        return None
    one, word, other, truth = options[rng.integers(len(options))]
    return f"is the {one.color} {one.name} {word} the {other.color} {other.name}?", _yes(truth)


def _furthest(scene: Scene, rng: np.random.Generator) -> tuple[str, Item] | None:
    words = {"furthest left": (-1, 0), "furthest right": (1, 0), "at the top": (0, -1), "at the bottom": (0, 1)}
    word = list(words)[rng.integers(len(words))]
    dx, dy = words[word]
    ranked = sorted(scene.items, key=lambda item: dx * item.x + dy * item.y)
    if len(ranked) < 2 or dx * (ranked[-1].x - ranked[-2].x) + dy * (ranked[-1].y - ranked[-2].y) < MARGIN / 2:
        return None
    return word, ranked[-1]


@_maker("spatial", "shapes")
def color_at(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Ask for the colour of the object furthest in one direction."""
    found = _furthest(scene, rng)
    return found and (f"what color is the object {found[0]}?", found[1].color)


@_maker("spatial", "shapes")
def shape_at(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Ask for the shape of the object furthest in one direction."""
    found = _furthest(scene, rng)
    return found and (f"what shape is the object {found[0]}?", found[1].name)


def _numbers(scene: Scene) -> list[Item]:
    return [item for item in scene.items if item.name.isdigit()]


@_maker("reading", "text")
def word(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Read the word."""
    item = _pick([item for item in scene.items if item.name.isalpha()], rng)
    return ("what word is written?", item.name.lower()) if item else None


@_maker("reading", "text")
def number(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Read the only number, or the one of a given colour."""
    numbers = _numbers(scene)
    item = _pick(numbers, rng)
    if item is None:
        return None
    return ("what number is shown?" if len(numbers) == 1 else f"what is the {item.color} number?"), item.name


@_maker("chart", "chart")
def extreme_bar(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Ask for the colour of the largest or the smallest bar."""
    ranked = sorted(scene.items, key=lambda item: item.value)
    largest = rng.random() < 0.5
    word = "largest" if largest else "smallest"
    return f"what color is the {word} bar?", ranked[-1 if largest else 0].color


@_maker("chart", "chart")
def bar_value(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Read the value of a bar, 1 to 8, from its length."""
    item = scene.items[rng.integers(len(scene.items))]
    return f"what is the value of the {item.color} bar?", str(item.value)


@_maker("chart", "chart")
def count_bars(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Count the bars."""
    return "how many bars are there?", str(len(scene.items))


@_maker("comparison", "chart")
def larger_bar(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Ask which of two bars is larger."""
    one, other = (scene.items[i] for i in rng.choice(len(scene.items), size=2, replace=False))
    return f"which bar is larger, {one.color} or {other.color}?", max(one, other, key=lambda item: item.value).color


@_maker("comparison", "text")
def larger_number(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Ask which of two numbers is larger."""
    numbers = _numbers(scene)
    if len(numbers) != 2:
        return None
    one, other = (numbers[i] for i in rng.permutation(2))
    return f"which number is larger, {one.color} or {other.color}?", max(one, other, key=lambda item: item.value).color


@_maker("arithmetic", "text")
def addition(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Add two digits."""
    numbers = _numbers(scene)
    if len(numbers) != 2 or any(item.value > 9 for item in numbers):
        return None
    return "what is the sum of the two numbers?", str(numbers[0].value + numbers[1].value)


@_maker("arithmetic", "text")
def subtraction(scene: Scene, rng: np.random.Generator) -> tuple[str, str] | None:
    """Subtract the smaller of two digits from the larger; they are named by colour."""
    numbers = sorted(_numbers(scene), key=lambda item: -item.value)
    if len(numbers) != 2 or numbers[0].value > 9:
        return None
    one, other = numbers
    return f"what is the {one.color} number minus the {other.color} number?", str(one.value - other.value)
