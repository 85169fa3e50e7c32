"""How a report shows numbers: tables as text for any medium, figures as SVG in data URIs, both without dates.

Panels are small and many rather than one and large, so that a page can flow them in as many columns as fit a screen.
matplotlib takes long to import and is wanted only here, so it is imported by the functions that draw.
"""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from vqttt.paradox import Bin
from vqttt.perception import BINS
from vqttt.stats import CLEAN
from vqttt.tables import label

Axes: TypeAlias = Any
"""matplotlib's; untyped because its import is late."""

INK, _FAINT = "#1f2933", "#c9d1da"
_GOOD, _BAD = "#0f7b6c", "#c2410c"
# Okabe and Ito's palette without yellow, told apart by colour-blind readers; the markers differ as well.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b5568e", "#b07d00", "#3a9bd9")
_MARKERS = (("s", "■"), ("^", "▲"), ("D", "◆"), ("v", "▼"), ("P", "✚"))
STYLE = {
    "svg.hashsalt": "vqttt",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e8ecf0",
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
}


class Mark(NamedTuple):
    """How a method is drawn: a colour, matplotlib's marker, and the character that stands for it in a legend."""

    colour: str
    marker: str
    glyph: str


def marks(methods: Sequence[str]) -> dict[str, Mark]:
    """Give every method a mark of its own; the baseline, or what stands for it, comes first and is grey."""
    rest = zip(methods[1:], cycle(COLOURS), cycle(_MARKERS), strict=False)
    first = {method: Mark("#5b6672", "o", "●") for method in methods[:1]}
    return first | {method: Mark(colour, *shape) for method, colour, shape in rest}


def accuracy_panel(points: pl.DataFrame, drawn: Mapping[str, Mark], limits: tuple[float, float], title: str) -> str:
    """Draw accuracy against severity, a line for each method.

    Args:
        points: rows of `method`, `severity` (0 is clean), and `accuracy`, `accuracy_low`, `accuracy_high` in 0 to 1.
        drawn: how each method is drawn, in order.
        limits: of the vertical axis, in percent.
        title: of the panel.
    """

    def paint(axes: Axes) -> None:
        for i, (method, mark) in enumerate(drawn.items()):
            line = points.filter(pl.col("method") == method).sort("severity")
            # Set beside one another, or their intervals would hide each other.
            x = line["severity"].to_numpy() + 0.11 * (i - (len(drawn) - 1) / 2)
            y, low, high = (100 * line[f"accuracy{end}"].to_numpy() for end in ("", "_low", "_high"))
            style = {"color": mark.colour, "marker": mark.marker, "elinewidth": 1, "zorder": 3 + i}
            axes.errorbar(x, y, yerr=_arms(y, low, high), linestyle="--" if i == 0 else "-", **style)
        severities = sorted(set(points["severity"]))
        axes.set_xticks(severities, ["clean" if severity == 0 else str(severity) for severity in severities])
        axes.set(title=title, xlabel="severity", ylabel="accuracy (%)", ylim=limits)
        axes.set_xlim(min(severities) - 0.5, max(severities) + 0.5)
        axes.grid(axis="x", visible=False)

    return _draw(paint, 3.6, 2.5)


def quality_panel(shares: pl.DataFrame, limits: tuple[float, float], title: str) -> str:
    """Draw accuracy against measured quality, a line for each measure.

    Args:
        shares: rows of `metric`, `bin` (0 is the lowest measure) and `accuracy` in 0 to 1.
        limits: of the vertical axis, in percent.
        title: of the panel.
    """

    def paint(axes: Axes) -> None:
        metrics = shares["metric"].unique(maintain_order=True)
        for metric, colour, (marker, _) in zip(metrics, cycle(COLOURS), cycle(_MARKERS), strict=False):
            line = shares.filter(pl.col("metric") == metric).sort("bin")
            x = 100 * (line["bin"].to_numpy() + 0.5) / BINS
            axes.plot(x, 100 * line["accuracy"].to_numpy(), color=colour, marker=marker, label=label(metric))
        axes.set(title=title, xlabel="pictures, from lowest to highest measure (%)", ylabel="accuracy (%)", ylim=limits)
        axes.legend(fontsize=7.5, frameon=False, ncols=2)

    return _draw(paint, 3.9, 2.8)


def reliability_panel(curves: Mapping[str, Sequence[Bin]], drawn: Mapping[str, Mark]) -> str:
    """Draw the share of right answers against confidence, by method; the diagonal is perfect calibration."""

    def paint(axes: Axes) -> None:
        axes.plot((0, 100), (0, 100), color=INK, linewidth=1, linestyle=":")
        for method, bins in curves.items():
            x, y = ([100 * value for value in column] for column in list(zip(*bins, strict=True))[1:])
            axes.plot(x, y, color=drawn[method].colour, marker=drawn[method].marker)
        axes.set(title="Reliability, degraded", xlabel="confidence (%)", ylabel="right (%)")

    return _draw(paint, 3.6, 2.8)


def risk_panel(curves: Mapping[str, tuple[NDArray[Any], NDArray[Any]]], drawn: Mapping[str, Mark]) -> str:
    """Draw the error rate among the most confident answers against how many are given, by method."""

    def paint(axes: Axes) -> None:
        for method, (coverage, risk) in curves.items():
            some = np.unique(np.linspace(0, len(coverage) - 1, 200).astype(int))
            axes.plot(100 * coverage[some], 100 * risk[some], color=drawn[method].colour)
        axes.set(title="Risk and coverage, degraded", xlabel="answered, most confident first (%)", ylabel="wrong (%)")

    return _draw(paint, 3.6, 2.8)


def gain_panel(gains: pl.DataFrame, drawn: Mapping[str, Mark], limit: float, title: str) -> str:
    """Draw the gain of each method by degradation, as dots with intervals about a line at zero.

    Args:
        gains: rows of `method`, `degradation`, and `delta`, `ci_low`, `ci_high` in -1 to 1.
        drawn: how each method is drawn, in order; the baseline, which gains nothing, is left out.
        limit: of the horizontal axis in both directions, in points.
        title: of the panel.
    """
    names = _names(gains)
    shown = {method: mark for method, mark in drawn.items() if method in set(gains["method"])}

    def paint(axes: Axes) -> None:
        axes.axvline(0, color=INK, linewidth=1)
        for i, (method, mark) in enumerate(shown.items()):
            dots = gains.filter(pl.col("method") == method)
            y = np.array([names.index(name) for name in dots["degradation"]]) + _offset(i, len(shown))
            x, low, high = (100 * dots[name].to_numpy() for name in ("delta", "ci_low", "ci_high"))
            axes.errorbar(x, y, xerr=_arms(x, low, high), fmt=mark.marker, color=mark.colour, elinewidth=1.4)
        _rows(axes, names)
        axes.set(title=title, xlabel="gain in accuracy (points)", xlim=(-limit, limit))

    return _draw(paint, 3.6, 1.0 + 0.2 * len(names) * max(len(shown), 1.5))


def flip_panel(gains: pl.DataFrame, drawn: Mapping[str, Mark], limit: float, title: str) -> str:
    """Draw how many answers in a hundred each method corrected (to the right) and broke (to the left).

    Args:
        gains: rows of `method`, `degradation`, and `corrective` and `destructive` as rates in 0 to 1.
        drawn: how each method is drawn, in order; its glyph stands beside its bar.
        limit: of the horizontal axis in both directions, in answers of a hundred.
        title: of the panel.
    """
    names = _names(gains)
    shown = {method: mark for method, mark in drawn.items() if method in set(gains["method"])}

    def paint(axes: Axes) -> None:
        height = 0.8 / max(len(shown), 1)
        for i, (method, mark) in enumerate(shown.items()):
            bars = gains.filter(pl.col("method") == method)
            y = np.array([names.index(name) for name in bars["degradation"]]) + _offset(i, len(shown))
            good, bad = (100 * bars[name].to_numpy() for name in ("corrective", "destructive"))
            axes.barh(y, good, height * 0.8, color=_GOOD)
            axes.barh(y, -bad, height * 0.8, color=_BAD)
            axes.plot(good - bad, y, mark.marker, color=mark.colour, markeredgecolor="white", markersize=6)
        axes.axvline(0, color=INK, linewidth=1)
        _rows(axes, names)
        axes.set(title=title, xlabel="← broken    of 100    corrected →", xlim=(-limit, limit))
        axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")

    return _draw(paint, 3.6, 1.0 + 0.2 * len(names) * max(len(shown), 1.5))


def kernel_panel(kernel: NDArray[np.float64], title: str) -> str:
    """Draw a kernel (k, k) as a heatmap beside its gain by spatial frequency."""

    def paint(heat: Axes, response: Axes) -> None:
        reach = float(np.abs(kernel).max()) or 1.0
        drawn = heat.imshow(kernel, cmap="RdBu_r", vmin=-reach, vmax=reach)
        heat.set(title=title, xticks=[], yticks=[])
        heat.grid(visible=False)
        heat.figure.colorbar(drawn, ax=heat, fraction=0.046, pad=0.04).outline.set_visible(False)
        response.axhline(1, color=INK, linewidth=1, linestyle=":")
        frequency, gain = frequency_response(kernel)
        response.plot(frequency, gain, color=COLOURS[0])
        response.set(xlabel="frequency (cycles/pixel)", ylabel="gain", xlim=(0, 0.5))
        response.set_ylim(min(0.0, float(gain.min())), max(1.25, 1.08 * float(gain.max())))

    return _draw(paint, 4.6, 2.1, columns=2)


def frequency_response(kernel: NDArray[np.float64], size: int = 64) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies in cycles a pixel, 0 to 0.5, and a kernel's gain at each, averaged over directions."""
    gain = np.abs(np.fft.fft2(kernel, s=(size, size)))
    axis = np.fft.fftfreq(size)
    ring = np.rint(np.hypot(axis[:, None], axis[None, :]) * size).astype(np.int64).ravel()
    profile = np.bincount(ring, weights=gain.ravel()) / np.bincount(ring)
    return np.arange(size // 2 + 1) / size, profile[: size // 2 + 1]


def identity_distance(kernel: NDArray[np.float64]) -> float:
    """Return how far a kernel (k, k) is from the one that changes nothing (root of the summed squares)."""
    identity = np.zeros_like(kernel)
    identity[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
    return float(np.linalg.norm(kernel - identity))


def _names(frame: pl.DataFrame) -> list[str]:
    """List the degradations of a frame, clean first."""
    return sorted(set(frame["degradation"]), key=lambda name: (name != CLEAN, name))


def _offset(i: int, n: int) -> float:
    return (i - (n - 1) / 2) * 0.8 / max(n, 1)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """Label the rows of a horizontal chart from the top down."""
    axes.set_yticks(range(len(names)), [label(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)


def _arms(middle: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> NDArray[Any]:
    lengths: NDArray[Any] = np.stack([middle - low, high - middle])
    return lengths.clip(min=0)


def _draw(paint: Callable[..., None], width: float, height: float, columns: int = 1) -> str:
    from matplotlib import style
    from matplotlib.figure import Figure

    # From the defaults, so that the reader's own matplotlibrc does not change the report.
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(*figure.subplots(1, columns, squeeze=False)[0])
        svg = io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.getvalue()).decode()}"
