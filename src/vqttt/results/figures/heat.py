"""Heat maps of changes by degradation and severity: shaded numbers, as a table in a page or a figure in a file.

Blue is better and orange is worse, which colour-blind readers can distinguish; the sign of the number repeats it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from vqttt.results.figures.drawing import BAD, GOOD, INK, Axes, Panel, margin
from vqttt.results.tables import label, points


class Spot(NamedTuple):
    """One number of a heat map: its text, how strongly it is shaded (-1 to 1), and whether it is beyond chance."""

    text: str
    shade: float
    beyond: bool


@dataclass(frozen=True, kw_only=True)
class HeatMap:
    """Changes of one model and task; `spots` holds a row for each of `rows`, with None where nothing was run."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[int, ...]
    spots: tuple[tuple[Spot | None, ...], ...]

    def panel(self) -> Panel:
        """Draw as a figure for a file."""
        names = [label(name) for name in self.rows]
        left, wide, high = margin(names), 0.52, 0.27
        width, height = left + wide * len(self.columns) + 0.14, 0.76 + high * len(names)
        return Panel(title=self.title, paint=self._paint, left=left, width=width, height=height)

    def _paint(self, axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        for y, row in enumerate(self.spots):
            for x, spot in enumerate(row):
                if spot is None:
                    continue
                colour = GOOD if spot.shade > 0 else BAD
                corner, strength = (x - 0.48, y - 0.46), 0.75 * abs(spot.shade)
                axes.add_patch(Rectangle(corner, 0.96, 0.92, facecolor=colour, alpha=strength, linewidth=0))
                weight = "bold" if spot.beyond else "normal"
                text = spot.text + "*" * spot.beyond
                axes.text(x, y, text, ha="center", va="center", fontsize=8.5, color=INK, fontweight=weight)
        axes.set_yticks(range(len(self.rows)), [label(name) for name in self.rows])
        axes.set_xticks(range(len(self.columns)), list(map(str, self.columns)))
        axes.set(xlim=(-0.5, len(self.columns) - 0.5), ylim=(len(self.rows) - 0.5, -0.5), xlabel="severity")
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)


def heat_map(changes: pl.DataFrame, rows: Sequence[str], columns: Sequence[int], reach: float, title: str) -> HeatMap:
    """Arrange changes in a grid.

    Args:
        changes: rows of one model, task and method from `by_severity`.
        rows: the degradations, in order.
        columns: the severities, in order.
        reach: the change, 0 to 1, with the strongest shade.
        title: title of the heat map.
    """
    spots = {
        (name, severity): Spot(points(delta), max(-1.0, min(1.0, delta / reach)), beyond)
        for name, severity, delta, beyond in changes.select("degradation", "severity", "delta", "beyond").iter_rows()
    }
    grid = tuple(tuple(spots.get((name, severity)) for severity in columns) for name in rows)
    return HeatMap(title=title, rows=tuple(rows), columns=tuple(columns), spots=grid)
