"""The figure on a report's first screen: accuracy against image quality, for one model."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from vqttt.results.figures.drawing import COLOURS, FAINT, GOOD, INK, SOFT, Axes, Panel, shortened

WIDTH, HEIGHT = 5.0, 2.35
"""Size in inches: text is legible both on a phone and where the figure takes half a screen."""

_LEFT, _FONT = 0.36, 8.5
_LETTER = 4.7
"""Width of a letter of the labels, in points, on average and rounded up."""


class Line(NamedTuple):
    """A line with its name beside its end.

    Attributes:
        name: what the line is.
        points: rows of `severity` (0 is clean) and `accuracy`, 0 to 1.
        colour: one of the colours of `drawing`.
        style: matplotlib's line style.
    """

    name: str
    points: pl.DataFrame
    colour: str
    style: str = "-"


def best_line(name: str, points: pl.DataFrame) -> Line:
    """Return the line of the degradation that helps most."""
    return Line(name, points, GOOD)


def remedy_line(name: str, points: pl.DataFrame, number: int) -> Line:
    """Return the line of the first, second, ... remedy."""
    return Line(name, points, (COLOURS[2], COLOURS[4])[number % 2], ("--", "-.")[number % 2])


def curve_panel(
    mean: pl.DataFrame, each: pl.DataFrame, lines: Sequence[Line], limits: tuple[float, float], title: str
) -> Panel:
    """Draw one model's accuracy against severity: the mean with a band for its interval, and each degradation faintly.

    Args:
        mean: rows of `severity` (0 is clean) and `accuracy`, `accuracy_low`, `accuracy_high`, 0 to 1.
        each: rows of `degradation`, `severity` and `accuracy`.
        lines: further lines, named at their ends.
        limits: limits of the vertical axis, in percent.
        title: title of the panel.
    """
    severities = mean["severity"].to_list()
    named = [Line("untuned", mean, INK), *lines]

    def paint(axes: Axes) -> None:
        for one in each.partition_by("degradation", maintain_order=True):
            axes.plot(one["severity"].to_numpy(), 100 * one["accuracy"].to_numpy(), color=FAINT, linewidth=0.9)
        low, high = (100 * mean[f"accuracy_{end}"].to_numpy() for end in ("low", "high"))
        axes.fill_between(severities, low, high, color=SOFT, alpha=0.22, linewidth=0)
        for line in reversed(named):
            x, y = line.points["severity"].to_numpy(), 100 * line.points["accuracy"].to_numpy()
            width, size = (2.6, 4.5) if line is named[0] else (1.7, 3)
            axes.plot(x, y, line.style, color=line.colour, linewidth=width, marker="o", markersize=size)
        axes.set_xticks(severities, ["clean" if severity == 0 else str(severity) for severity in severities])
        axes.set(ylim=limits, xlim=_horizontal(severities, named))
        axes.set_xlabel("severity of degradation", x=0, ha="left")
        axes.grid(axis="x", visible=False)
        _name_ends(axes, named, limits)

    return Panel(title=title, paint=paint, width=WIDTH, height=HEIGHT, left=_LEFT)


def _horizontal(severities: Sequence[int], lines: Sequence[Line]) -> tuple[float, float]:
    """Return the limits of the horizontal axis, with room for the names of lines at its right."""
    first, last = severities[0], severities[-1]
    width = 72 * (WIDTH - _LEFT - 0.14)
    names = 10 + _LETTER * max(len(shortened(line.name)) for line in lines)
    room = 0.03 * (last - first)
    return first - room, last + room + (last - first) * names / (width - names)


def _name_ends(axes: Axes, lines: Sequence[Line], limits: tuple[float, float]) -> None:
    """Write the name of each line beside its end; names that would overlap are moved apart."""
    ends = [100 * float(line.points["accuracy"][-1]) for line in lines]
    gap = 1.25 * _FONT * (limits[1] - limits[0]) / (72 * (HEIGHT - 0.76))
    for line, end in zip(lines, apart(ends, gap, limits), strict=True):
        spot = (line.points["severity"][-1], end)
        weight = "bold" if line is lines[0] else "normal"
        style = {"textcoords": "offset points", "va": "center", "fontsize": _FONT, "fontweight": weight}
        axes.annotate(shortened(line.name), spot, (7, 0), color=line.colour, **style)


def apart(places: Iterable[float], gap: float, limits: tuple[float, float]) -> list[float]:
    """Move places apart until they differ by `gap`, in their order and within the limits if they fit there.

    Args:
        places: where things would stand.
        gap: smallest distance of two of them.
        limits: the lowest and the highest place.

    Returns:
        The new places, in the order of the arguments.
    """
    old = np.array(list(places), np.float64)
    order = np.argsort(old, kind="stable")
    new = old[order]
    for i in range(1, len(new)):
        new[i] = max(new[i], new[i - 1] + gap)
    if len(new):  # push down what was pushed out at the top
        new[-1] = min(new[-1], max(limits[1], limits[0] + gap * (len(new) - 1)))
    for i in range(len(new) - 2, -1, -1):
        new[i] = min(new[i], new[i + 1] - gap)
    moved = np.empty_like(new)
    moved[order] = new
    return [float(place) for place in moved]
