"""Figures of confidence: whether it is calibrated, and whether it separates right answers from wrong ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vqttt.results.figures.drawing import SOFT, Axes, Mark, Panel, percents
from vqttt.results.statistics import Bin

MOST_POINTS = 120
"""Maximum number of points of a risk-coverage line."""


def reliability_panel(
    curves: Mapping[str, Sequence[Bin]],
    drawn: Mapping[str, Mark],
    limits: tuple[tuple[float, float], tuple[float, float]],
) -> Panel:
    """Draw accuracy against confidence, a line per method; the diagonal is perfect calibration.

    Args:
        curves: the bins of each method, see `statistics.reliability`.
        drawn: how each method is drawn, in order.
        limits: limits of the horizontal and the vertical axis, in percent.
    """

    def paint(axes: Axes) -> None:
        axes.plot((0, 100), (0, 100), color=SOFT, linewidth=1, linestyle=":")
        for method, bins in curves.items():
            x, y = ([100 * value for value in column] for column in list(zip(*bins, strict=True))[1:])
            axes.plot(x, y, color=drawn[method].colour, marker=drawn[method].marker)
        axes.set(xlabel="confidence (%)", ylabel="accuracy (%)")
        for which, ends in zip("xy", limits, strict=True):
            percents(axes, which, ends)

    return Panel(title="Accuracy by confidence", paint=paint, height=2.8, legend=drawn)


def risk_panel(curves: Mapping[str, tuple[NDArray[Any], NDArray[Any]]], drawn: Mapping[str, Mark]) -> Panel:
    """Draw the error rate of the most confident answers against their share of all answers, a line per method.

    Args:
        curves: coverage and risk of each method, see `statistics.risk_coverage`.
        drawn: how each method is drawn, in order.
    """

    def paint(axes: Axes) -> None:
        for method, (coverage, risk) in curves.items():
            some = np.unique(np.linspace(0, len(coverage) - 1, MOST_POINTS).astype(int))
            axes.plot(100 * coverage[some], 100 * risk[some], color=drawn[method].colour)
        axes.set(xlabel="most confident answers, share of all (%)", ylabel="wrong among them (%)")

    return Panel(title="Errors among the most confident", paint=paint, height=2.8, legend=drawn)
