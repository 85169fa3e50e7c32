"""Figures of what methods do: accuracy, gains, flips, cost."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from vqttt.results.figures.drawing import BAD, CARD, GOOD, INK, Axes, Mark, Panel, arms, margin, offset, rows
from vqttt.runs.records import CLEAN


def accuracy_panel(points: pl.DataFrame, drawn: Mapping[str, Mark], limits: tuple[float, float], title: str) -> Panel:
    """Draw accuracy against severity, a line per method.

    Args:
        points: rows of `method`, `severity` (0 is clean), and `accuracy`, `accuracy_low`, `accuracy_high` in 0 to 1.
        drawn: how each method is drawn, in order.
        limits: limits of the vertical axis, in percent.
        title: title of the panel.
    """

    def paint(axes: Axes) -> None:
        for i, (method, mark) in enumerate(drawn.items()):
            line = points.filter(pl.col("method") == method).sort("severity")
            # Shifted sideways, or the intervals would hide each other.
            x = line["severity"].to_numpy() + 0.11 * (i - (len(drawn) - 1) / 2)
            y, low, high = (100 * line[f"accuracy{end}"].to_numpy() for end in ("", "_low", "_high"))
            style = {"color": mark.colour, "marker": mark.marker, "elinewidth": 1, "zorder": 3 + i}
            axes.errorbar(x, y, yerr=arms(y, low, high), linestyle="--" if i == 0 else "-", **style)
        severities = sorted(set(points["severity"]))
        axes.set_xticks(severities, ["clean" if severity == 0 else str(severity) for severity in severities])
        axes.set(xlabel="severity", ylabel="accuracy (%)", ylim=limits)
        axes.set_xlim(min(severities) - 0.5, max(severities) + 0.5)
        axes.grid(axis="x", visible=False)

    return Panel(title=title, paint=paint, legend=drawn)


def gain_panel(gains: pl.DataFrame, drawn: Mapping[str, Mark], limit: float, title: str) -> Panel:
    """Draw the gain of each method by degradation, as dots with intervals around a line at zero.

    Args:
        gains: rows of `method`, `degradation`, and `delta`, `ci_low`, `ci_high` in -1 to 1.
        drawn: how each method is drawn, in order; methods without rows, such as the baseline, are left out.
        limit: limit of the horizontal axis in both directions, in points.
        title: title of the panel.
    """
    names = _names(gains)
    shown = {method: mark for method, mark in drawn.items() if method in set(gains["method"])}

    def paint(axes: Axes) -> None:
        axes.axvline(0, color=INK, linewidth=1)
        for i, (method, mark) in enumerate(shown.items()):
            dots = gains.filter(pl.col("method") == method)
            y = np.array([names.index(name) for name in dots["degradation"]]) + offset(i, len(shown))
            x, low, high = (100 * dots[name].to_numpy() for name in ("delta", "ci_low", "ci_high"))
            axes.errorbar(x, y, xerr=arms(x, low, high), fmt=mark.marker, color=mark.colour, elinewidth=1.4)
        rows(axes, names)
        axes.set(xlabel="gain in accuracy (points)", xlim=(-limit, limit))

    height = 0.9 + 0.2 * len(names) * max(len(shown), 1.5)
    return Panel(title=title, paint=paint, height=height, left=margin(names), legend=shown)


def flip_panel(flips: pl.DataFrame, drawn: Mapping[str, Mark], limit: float, title: str) -> Panel:
    """Draw how many of a hundred answers were corrected (to the right) and broken (to the left).

    Args:
        flips: rows of `method`, `degradation`, and `corrective` and `destructive` as rates in 0 to 1.
        drawn: how each method is drawn, in order; its marker shows the difference.
        limit: limit of the horizontal axis in both directions, in answers per hundred.
        title: title of the panel.
    """
    names = _names(flips)
    shown = {method: mark for method, mark in drawn.items() if method in set(flips["method"])}

    def paint(axes: Axes) -> None:
        height = 0.8 / max(len(shown), 1)
        for i, (method, mark) in enumerate(shown.items()):
            bars = flips.filter(pl.col("method") == method)
            y = np.array([names.index(name) for name in bars["degradation"]]) + offset(i, len(shown))
            good, bad = (100 * bars[name].to_numpy() for name in ("corrective", "destructive"))
            axes.barh(y, good, height * 0.8, color=GOOD)
            axes.barh(y, -bad, height * 0.8, color=BAD)
            axes.plot(good - bad, y, mark.marker, color=mark.colour, markeredgecolor=CARD, markersize=6)
        axes.axvline(0, color=INK, linewidth=1)
        rows(axes, names)
        axes.set(xlabel="← broken · per 100 · corrected →", xlim=(-limit, limit))
        axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")

    height = 0.9 + 0.2 * len(names) * max(len(shown), 1.5)
    return Panel(title=title, paint=paint, height=height, left=margin(names), legend=shown)


def cost_panel(methods: pl.DataFrame, drawn: Mapping[str, Mark], title: str) -> Panel:
    """Draw gain against cost, a dot with its interval per method.

    Args:
        methods: rows of `method`, `cost` (no tuning is 1), and `delta`, `ci_low`, `ci_high` in -1 to 1.
        drawn: how each method is drawn.
        title: title of the panel.
    """

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=INK, linewidth=1)
        for row in methods.to_dicts():
            mark = drawn[row["method"]]
            value, low, high = (np.array([100 * row[name]]) for name in ("delta", "ci_low", "ci_high"))
            x = [row["cost"]]
            axes.errorbar(x, value, yerr=arms(value, low, high), fmt=mark.marker, color=mark.colour, markersize=7)
        axes.set(xlabel="time, relative to no tuning", ylabel="gain (points)")
        axes.set_xlim(0, 1.15 * max(methods["cost"]))
        axes.margins(y=0.2)

    return Panel(title=title, paint=paint, legend=drawn)


def _names(frame: pl.DataFrame) -> list[str]:
    """List the degradations of a frame, clean first."""
    return sorted(set(frame["degradation"]), key=lambda name: (name != CLEAN, name))
