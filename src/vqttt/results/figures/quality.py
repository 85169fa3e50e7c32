"""Figures of how image quality affects the untuned model: the quality paradox."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from vqttt.results.figures.drawing import (
    BAD,
    COLOURS,
    FAINT,
    GOOD,
    INK,
    SOFT,
    Axes,
    Mark,
    Panel,
    arms,
    around,
    margin,
    percents,
    rows,
)
from vqttt.results.quality_correlation import BINS
from vqttt.results.tables import label, verdict

VERDICTS = {
    "hurts": Mark(BAD, "v", "▼"),
    "helps": Mark(GOOD, "^", "▲"),
    "no effect": Mark(INK, "s", "■"),
    "undecided": Mark(SOFT, "o", "●"),
    "uninformative": Mark(SOFT, "x", "×"),
}
"""How a verdict of `paradox.quality_effect` is drawn."""

_LEGEND = {verdict(name): mark for name, mark in VERDICTS.items()}

_VERSIONS = {
    "clean": Mark(SOFT, "o", "●"),
    "chosen condition": Mark(COLOURS[0], "D", "◆"),
    "oracle": Mark(COLOURS[2], "P", "✚"),
}
_CORRECTED = {"by degradation": Mark(GOOD, "s", "■"), "by another seed": Mark(SOFT, "s", "■")}

SMALL = 2.5
"""Width of a small panel, in inches; several stand side by side where one other panel would."""

MOST = 40
"""Maximum number of conditions in a forest plot; if there are more, those of the largest losses and gains are shown."""


def forest_panel(effect: pl.DataFrame, limits: tuple[float, float], title: str) -> Panel:
    """Draw the change of accuracy under every condition with its interval.

    Args:
        effect: rows of one model and task from `paradox.quality_effect`, in the order in which they are drawn.
        limits: limits of the horizontal axis, in points.
        title: title of the panel.
    """
    if len(effect) > MOST:
        title += f", {MOST} of {len(effect)} conditions"
        rank = pl.col("delta").rank("ordinal")
        effect = effect.filter((rank <= MOST // 2) | (rank > len(effect) - MOST // 2))
    differ = [name for name in ("restorer", "scale", "seed") if effect[name].n_unique() > 1]
    names = [
        " ".join([label(row["degradation"]), str(row["severity"]), *(f"· {name} {row[name]}" for name in differ)])
        for row in effect.to_dicts()
    ]

    def paint(axes: Axes) -> None:
        axes.axvline(0, color=INK, linewidth=1)
        for name, mark in VERDICTS.items():
            of = (effect["verdict"] == name).to_numpy()
            if of.any():
                x, low, high = (100 * effect[name].to_numpy()[of] for name in ("delta", "ci_low", "ci_high"))
                style = {"fmt": mark.marker, "color": mark.colour, "elinewidth": 1.2, "markersize": 4.5}
                axes.errorbar(x, np.flatnonzero(of), xerr=arms(x, low, high), **style)
        rows(axes, names)
        axes.set(xlabel="degraded minus clean (points)", xlim=limits)
        axes.locator_params(axis="x", nbins=5)

    return Panel(title=title, paint=paint, height=0.85 + 0.17 * len(names), left=margin(names), legend=_LEGEND)


def headroom_panel(headroom: pl.DataFrame, title: str) -> Panel:
    """Draw accuracy on clean images, under the chosen condition, and of an oracle, a row per task.

    Args:
        headroom: rows of one model from `paradox.headroom`.
        title: title of the panel.
    """
    names = headroom["task"].to_list()
    chosen = headroom.with_columns((pl.col("clean") + pl.col("delta")).alias("chosen condition"))

    def paint(axes: Axes) -> None:
        for i, row in enumerate(chosen.to_dicts()):
            axes.plot((100 * row["clean"], 100 * row["oracle"]), (i, i), color=FAINT, linewidth=3, zorder=1)
        for name, mark in _VERSIONS.items():
            axes.plot(100 * chosen[name].to_numpy(), range(len(names)), mark.marker, color=mark.colour, markersize=7)
        rows(axes, names)
        axes.set(xlabel="accuracy (%)")
        values = 100 * chosen.select(*_VERSIONS).to_numpy()
        percents(axes, "x", around(values.min(), values.max(), least=2))

    return Panel(title=title, paint=paint, height=0.9 + 0.36 * len(names), left=margin(names), legend=_VERSIONS)


def redraw_panel(redraws: pl.DataFrame, title: str) -> Panel:
    """Draw the share of answers that degradation corrected beside the share that redrawing it corrects.

    Args:
        redraws: rows of one model from `paradox.redraws`.
        title: title of the panel.
    """
    names = redraws["task"].to_list()

    def paint(axes: Axes) -> None:
        at = np.arange(len(names))
        axes.barh(at - 0.2, 100 * redraws["corrective_share"].to_numpy(), 0.36, color=GOOD)
        axes.barh(at + 0.2, 100 * redraws["redrawn_share"].to_numpy(), 0.36, color=SOFT)
        rows(axes, names)
        axes.set(xlabel="corrected per 100 answers")

    return Panel(title=title, paint=paint, height=0.9 + 0.36 * len(names), left=margin(names), legend=_CORRECTED)


def quality_panel(bins: pl.DataFrame, drawn: Mapping[str, Mark], limits: tuple[float, float], title: str) -> Panel:
    """Draw accuracy against one quality measure, a line per task or model.

    Args:
        bins: rows of one measure from `quality_correlation.accuracy_by_quality`, with the column `line`.
        drawn: how each line is drawn, by its value of `line`.
        limits: limits of the vertical axis, in percent.
        title: title of the panel.
    """

    def paint(axes: Axes) -> None:
        for name, mark in drawn.items():
            line = bins.filter(pl.col("line") == name).sort("bin")
            x = 100 * (line["bin"].to_numpy() + 0.5) / BINS
            axes.plot(x, 100 * line["accuracy"].to_numpy(), color=mark.colour, marker=mark.marker, markersize=4)
        axes.set(xlabel="images, from low to high", ylabel="accuracy (%)", xlim=(0, 100), xticks=[])
        percents(axes, "y", limits)

    return Panel(title=title, paint=paint, width=SMALL, height=2.0, legend=drawn)
