"""Figures of what methods do: accuracy, gains, flips, cost."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from vqttt.results.figures.drawing import BAD, CARD, GOOD, INK, Axes, Mark, Panel, arms, margin, offset, percents, rows

LOGARITHMIC = 8
"""Ratio of the largest cost to the smallest from which the axis of costs is logarithmic."""


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
        axes.set(xlabel="severity", ylabel="accuracy (%)")
        percents(axes, "y", limits)
        axes.set_xlim(min(severities) - 0.5, max(severities) + 0.5)
        axes.grid(axis="x", visible=False)

    return Panel(title=title, paint=paint, legend=drawn)


def gain_panel(
    gains: pl.DataFrame, names: Sequence[str], drawn: Mapping[str, Mark], limits: tuple[float, float], title: str
) -> Panel:
    """Draw the gain of each method by degradation, as dots with intervals around a line at zero.

    Args:
        gains: rows of `method`, `degradation`, and `delta`, `ci_low`, `ci_high` in -1 to 1.
        names: the degradations, in order from the top; those without rows are left out.
        drawn: how each method is drawn, in order; methods without rows, such as the baseline, are left out.
        limits: limits of the horizontal axis, in points.
        title: title of the panel.
    """
    names, shown = _shown(gains, names, drawn)

    def paint(axes: Axes) -> None:
        axes.axvline(0, color=INK, linewidth=1)
        for i, (method, mark) in enumerate(shown.items()):
            dots = gains.filter(pl.col("method") == method)
            y = np.array([names.index(name) for name in dots["degradation"]]) + offset(i, len(shown))
            x, low, high = (100 * dots[name].to_numpy() for name in ("delta", "ci_low", "ci_high"))
            style = {"fmt": mark.marker, "color": mark.colour, "elinewidth": 1.2, "markersize": 4}
            axes.errorbar(x, y, xerr=arms(x, low, high), **style)
        _banded(axes, names)
        axes.set(xlabel="gain in accuracy (points)", xlim=limits)

    return Panel(title=title, paint=paint, height=_height(names, shown), left=margin(names), legend=shown)


def flip_panel(
    flips: pl.DataFrame, names: Sequence[str], drawn: Mapping[str, Mark], limits: tuple[float, float], title: str
) -> Panel:
    """Draw how many of a hundred answers were corrected (to the right) and broken (to the left).

    Args:
        flips: rows of `method`, `degradation`, and `corrective` and `destructive` as rates in 0 to 1.
        names: the degradations, in order from the top; those without rows are left out.
        drawn: how each method is drawn, in order; its marker shows the difference.
        limits: limits of the horizontal axis, in answers per hundred; below zero for broken ones.
        title: title of the panel.
    """
    names, shown = _shown(flips, names, drawn)

    def paint(axes: Axes) -> None:
        height = 0.8 / max(len(shown), 1)
        for i, (method, mark) in enumerate(shown.items()):
            bars = flips.filter(pl.col("method") == method)
            y = np.array([names.index(name) for name in bars["degradation"]]) + offset(i, len(shown))
            good, bad = (100 * bars[name].to_numpy() for name in ("corrective", "destructive"))
            axes.barh(y, good, height * 0.8, color=GOOD)
            axes.barh(y, -bad, height * 0.8, color=BAD)
            axes.plot(good - bad, y, mark.marker, color=mark.colour, markeredgecolor=CARD, markersize=5)
        axes.axvline(0, color=INK, linewidth=1)
        _banded(axes, names)
        axes.set(xlabel="← broken · per 100 · corrected →", xlim=limits)
        axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")

    return Panel(title=title, paint=paint, height=_height(names, shown), left=margin(names), legend=shown)


def cost_panel(
    methods: pl.DataFrame, drawn: Mapping[str, Mark], limits: tuple[float, float], most: float, title: str
) -> Panel:
    """Draw gain against cost, a dot with its interval per method.

    Args:
        methods: rows of `method`, `cost` (no tuning is 1), and `delta`, `ci_low`, `ci_high` in -1 to 1.
        drawn: how each method is drawn.
        limits: limits of the vertical axis, in points.
        most: the largest cost that the horizontal axis covers; it is logarithmic if costs differ much.
        title: title of the panel.
    """

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=INK, linewidth=1)
        for row in methods.to_dicts():
            mark = drawn[row["method"]]
            value, low, high = (np.array([100 * row[name]]) for name in ("delta", "ci_low", "ci_high"))
            x = [row["cost"]]
            axes.errorbar(x, value, yerr=arms(value, low, high), fmt=mark.marker, color=mark.colour, markersize=7)
        axes.set(xlabel="time, in multiples of no tuning", ylabel="gain (points)", ylim=limits)
        _costs(axes, min(methods["cost"]), most)

    return Panel(title=title, paint=paint, legend=drawn)


def _costs(axes: Axes, least: float, most: float) -> None:
    """Set up the axis of costs."""
    if most < LOGARITHMIC * least or least <= 0:
        axes.set_xlim(0, 1.12 * most)
    else:
        axes.set_xscale("log")
        axes.set_xlim(0.8 * min(least, 1.0), 1.25 * most)
        axes.xaxis.set_minor_locator(_none())
        steps = [factor * 10**power for power in range(-3, 7) for factor in (1, 2, 5)]
        axes.set_xticks([step for step in steps if 0.8 * min(least, 1.0) <= step <= 1.25 * most])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")


def _none() -> object:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _shown(frame: pl.DataFrame, names: Sequence[str], drawn: Mapping[str, Mark]) -> tuple[list[str], dict[str, Mark]]:
    """Return the degradations and the methods that a frame has rows of."""
    methods, conditions = set(frame["method"]), set(frame["degradation"])
    return [name for name in names if name in conditions], {name: drawn[name] for name in drawn if name in methods}


def _height(names: Sequence[str], shown: Mapping[str, Mark]) -> float:
    """Return the height of a panel with a row per degradation, in inches; the rows of long panels are narrow."""
    each = 0.2 if len(names) <= 12 else 0.115
    return 0.9 + len(names) * max(each * len(shown), 0.24)


def _banded(axes: Axes, names: Sequence[str]) -> None:
    """Label the rows, with a line between them, so that the marks of one row are seen as one."""
    rows(axes, names)
    axes.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
    axes.tick_params(axis="y", which="minor", length=0)
    axes.grid(axis="y", which="minor")
