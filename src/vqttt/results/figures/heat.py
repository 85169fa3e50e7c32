"""Heat maps of changes by degradation and severity: shaded numbers, as a table in a page or a figure in a file.

Blue is better and orange is worse, which colour-blind readers can distinguish; the sign of the number repeats it. The
shade is in proportion to the change, and the legend has numbers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import polars as pl

from vqttt.results.figures.drawing import BAD, GOOD, INK, SOFT, Axes, Panel, margin
from vqttt.results.tables import label, points

_WIDE, _HIGH = 0.68, 0.27
"""Size of a cell in a figure, in inches; "−100.0*" fits."""

_SWATCH, _FOOT = 0.42, 0.42
"""Width of a swatch of the legend in a figure, and the space below the map for it, in inches."""

_STRONGEST = 0.75
"""Opacity of the strongest shade."""


class Spot(NamedTuple):
    """One number of a heat map: its text, how strongly it is shaded (-1 to 1), and whether it is beyond chance."""

    text: str
    shade: float
    beyond: bool

    @property
    def shown(self) -> str:
        """The text with a star if it is beyond chance."""
        return self.text + "*" * self.beyond


@dataclass(frozen=True, kw_only=True)
class HeatMap:
    """Changes of one model and task; `spots` holds a row for each of `rows`, with None where nothing was run.

    `reach` is the change, 0 to 1, that has the strongest shade; no change is larger.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[int, ...]
    spots: tuple[tuple[Spot | None, ...], ...]
    reach: float

    @property
    def legend(self) -> tuple[Spot, ...]:
        """Which colour is how many points, from the worst to the best."""
        shades = (-1.0, -0.5, 0.0, 0.5, 1.0)
        return tuple(Spot(points(shade * self.reach).removesuffix(".0"), shade, False) for shade in shades)

    def panel(self) -> Panel:
        """Draw as a figure for a file."""
        names = [label(name) for name in self.rows]
        left = margin(names)
        width = max(left + _WIDE * len(self.columns), 0.6 + _SWATCH * len(self.legend)) + 0.14
        height = 0.76 + _FOOT + _HIGH * len(names)
        return Panel(title=self.title, paint=self._paint, left=left, width=width, height=height, foot=_FOOT)

    def _paint(self, axes: Axes) -> None:
        for y, row in enumerate(self.spots):
            _shade(axes, y, row)
        axes.set_yticks(range(len(self.rows)), [label(name) for name in self.rows])
        axes.set_xticks(range(len(self.columns)), list(map(str, self.columns)))
        axes.set(xlim=(-0.5, len(self.columns) - 0.5), ylim=(len(self.rows) - 0.5, -0.5), xlabel="severity")
        _plain(axes)
        self._paint_legend(axes)

    def _paint_legend(self, axes: Axes) -> None:
        """Paint the swatches at the foot of the figure."""
        figure, spots = axes.figure, self.legend
        width, height = figure.get_size_inches()
        box = (0.6 / width, 0.1 / height, _SWATCH * len(spots) / width, 0.2 / height)
        scale = figure.add_axes(box)
        _shade(scale, 0, spots, size=7.5)
        scale.set(xlim=(-0.5, len(spots) - 0.5), ylim=(0.5, -0.5), xticks=[], yticks=[])
        scale.text(-0.62, 0, "points", ha="right", va="center", fontsize=7.5, color=SOFT)
        _plain(scale)


def _shade(axes: Axes, y: int, row: Sequence[Spot | None], size: float = 8.5) -> None:
    """Paint a row of shaded numbers."""
    from matplotlib.patches import Rectangle

    for x, spot in enumerate(row):
        if spot is None:
            continue
        colour, strength = GOOD if spot.shade > 0 else BAD, _STRONGEST * abs(spot.shade)
        axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour, alpha=strength, linewidth=0))
        weight = "bold" if spot.beyond else "normal"
        axes.text(x, y, spot.shown, ha="center", va="center", fontsize=size, color=INK, fontweight=weight)


def _plain(axes: Axes) -> None:
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def reach_of(changes: Iterable[float]) -> float:
    """Return the change, 0 to 1, with the strongest shade: the largest of `changes`, rounded up to a round number."""
    most = max((abs(change) for change in changes), default=0.0)
    step = 2 if most <= 0.2 else 10
    return max(step, step * ceil(round(100 * most / step, 6))) / 100


def heat_map(changes: pl.DataFrame, rows: Sequence[str], columns: Sequence[int], reach: float, title: str) -> HeatMap:
    """Arrange changes in a grid.

    Args:
        changes: rows of one model, task and method from `by_severity`.
        rows: the degradations, in order.
        columns: the severities, in order.
        reach: the change, 0 to 1, with the strongest shade; see `reach_of`.
        title: title of the heat map.

    Raises:
        ValueError: if a change is beyond `reach`, because its colour would say otherwise.
    """
    spots = {
        (name, severity): Spot(points(delta), delta / reach, beyond)
        for name, severity, delta, beyond in changes.select("degradation", "severity", "delta", "beyond").iter_rows()
    }
    if any(abs(spot.shade) > 1 + 1e-9 for spot in spots.values()):
        raise ValueError(f"the strongest shade stands for {reach}, which must be at least the largest change")
    grid = tuple(tuple(spots.get((name, severity)) for severity in columns) for name in rows)
    return HeatMap(title=title, rows=tuple(rows), columns=tuple(columns), spots=grid, reach=reach)
