"""The figures of docs/paradox-lab.md, on white, so that they can be read in dark mode as well."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from experiments.paradox.answers import peak, restoring, spectrum
from experiments.paradox.findings import Finding
from experiments.paradox.frames import BAND_CENTRES, SHARPENED, Runs
from experiments.paradox.plan import AXIS, OWN_QUALITY, RESTORERS, SIDES
from vqttt.results.figures import COLOURS, INK, STYLE
from vqttt.results.statistics import Estimate
from vqttt.runs.records import CLEAN

MARKERS = "os^DvP"
Curve = Mapping[Any, Estimate]


def curves(runs: Runs, file: Path) -> None:
    """Draw accuracy against quality for each quality of training images, a panel for each axis of quality."""
    along = {AXIS: peak.along_the_axis(runs)} | {kind: peak.along_a_side(runs, kind) for kind in SIDES}

    def paint(figure: Any) -> None:
        panels = figure.subplot_mosaic("AABCD;AAEFG", width_ratios=[1, 1, 0.85, 0.85, 0.85])
        for axes, (kind, lines) in zip(panels.values(), along.items(), strict=True):
            for n, quality in enumerate(peak.QUALITIES):
                if quality in lines:
                    _line(axes, _on_axis(lines[quality]), quality, n)
            axes.set_title(kind.replace("_", " "))
            axes.set_xticks(range(6), [CLEAN, *map(str, range(1, 6))])
        main = panels["A"]
        main.set_xticks(range(-1, 6), [SHARPENED, CLEAN, *map(str, range(1, 6))])
        main.set(ylabel="right answers (%)", xlabel="severity")
        main.legend(title="training images", frameon=False, loc="lower left")

    _save(file, (12, 5), paint)


def _on_axis(curve: Curve) -> dict[float, Estimate]:
    """Give each condition its place: clean images at 0, sharpened ones at -1, others at their severity."""
    place = {SHARPENED: -1, CLEAN: 0}
    return {float(place[key] if key in place else str(key).split()[-1]): value for key, value in curve.items()}


def _line(axes: Any, points: Mapping[float, Estimate], name: str, n: int) -> None:
    x = sorted(points)
    value, low, high = (100 * np.array([points[at][i] for at in x]) for i in range(3))
    axes.fill_between(x, low, high, color=COLOURS[n], alpha=0.15, linewidth=0)
    axes.plot(x, value, color=COLOURS[n], marker=MARKERS[n], label=name)


def restorers(runs: Runs, file: Path) -> None:
    """Draw what each restorer gains by severity of blur, a panel for `embedded` and one for the soft twins."""
    rows = restoring.gains(runs)
    groups = {"trained on clean images": "embedded", "trained on blurred images": "soft"}

    def paint(figure: Any) -> None:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (title, quality) in zip(panels, groups.items(), strict=True):
            axes.axhline(0, color=INK, linewidth=1, linestyle=":")
            for n, restorer in enumerate(RESTORERS):
                some = rows.filter(pl.col("quality") == quality, pl.col("restorer") == restorer)
                points = {
                    float(severity): restoring.measured("", cell).value  # type: ignore[arg-type]
                    for (severity,), cell in some.group_by("severity")
                }
                if points:
                    _line(axes, points, restorer, n)
            axes.set(title=title, xlabel="severity of Gaussian blur")
            axes.set_xticks(range(6), [CLEAN, *map(str, range(1, 6))])
        panels[0].set_ylabel("gain from restoring (points)")
        panels[0].legend(frameon=False)

    _save(file, (8.5, 3.4), paint)


SHOWN = (CLEAN, "gaussian_noise", "spatter", "jpeg_compression", "fog", "gaussian_blur")
"""Conditions whose kernels are drawn one by one, as far as they were measured."""


def responses(runs: Runs, file: Path) -> None:
    """Draw the kernel's response and the one it would need, for a few conditions of the soft twins; then all bands."""
    rows = spectrum.curves(runs)
    soft = rows.filter(pl.col("quality") == "soft")
    kinds = [kind for kind in SHOWN if kind in set(soft["degradation"])][:5]

    def paint(figure: Any) -> None:
        panels = figure.subplots(2, 3).ravel()  # five conditions, then all of them
        for axes, kind in zip(panels, kinds, strict=False):
            means = soft.filter(pl.col("degradation") == kind).group_by("band").agg(pl.col("gain", "ratio").mean())
            means = means.sort("band")
            axes.axhline(1, color=INK, linewidth=1, linestyle=":")
            for n, (column, name) in enumerate((("gain", "the kernel"), ("ratio", "needed"))):
                style = "-" if column == "gain" else "--"
                axes.plot(BAND_CENTRES, np.exp(means[column]), style, color=COLOURS[n], label=name)
            axes.set(title=kind.replace("_", " "), xscale="log", yscale="log", xlabel="cycles per pixel")
            _ticks(axes.xaxis, (0.02, 0.05, 0.1, 0.2, 0.4))
            _ticks(axes.yaxis, (0.03, 0.1, 0.3, 1, 3))
        panels[0].set_ylabel("gain")
        if kinds:
            panels[0].legend(frameon=False)
        for axes in panels[len(kinds) : -1]:
            axes.axis("off")
        last = panels[-1]
        for n, quality in enumerate(peak.QUALITIES):
            some = rows.filter(pl.col("quality") == quality)
            if not some.is_empty():
                last.plot(
                    some["ratio"], some["gain"], MARKERS[n], color=COLOURS[n], label=quality, alpha=0.4, markersize=3
                )
        last.set(title="all bands and conditions", xlabel="needed (log gain)", ylabel="the kernel (log gain)")
        last.legend(frameon=False, fontsize=8)

    _save(file, (10.5, 5.6), paint)


def _ticks(axis: Any, values: Sequence[float]) -> None:
    """Label a logarithmic axis with plain numbers."""
    from matplotlib.ticker import NullLocator

    axis.set_ticks(values, [f"{value:g}" for value in values])
    axis.set_minor_locator(NullLocator())


def degradations(runs: Runs, file: Path) -> None:
    """Draw what `vq-ttt` gains the soft twins under each degradation, with its interval."""
    rows = spectrum.tuned(runs).filter(pl.col("quality") == "soft")
    found: list[Finding] = [
        spectrum.measured(str(kind), some) for (kind,), some in rows.group_by("degradation", maintain_order=True)
    ]
    found.sort(key=lambda one: -one.value.value)

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        value, low, high = (100 * np.array([one.value[i] for one in found]) for i in range(3))
        y = np.arange(len(found))
        axes.axvline(0, color=INK, linewidth=1, linestyle=":")
        axes.errorbar(value, y, xerr=[value - low, high - value], fmt="o", color=COLOURS[0], markersize=4)
        axes.set_yticks(y, [one.about.replace("_", " ") for one in found])
        axes.set(ylim=(len(found) - 0.5, -0.5), xlabel="gain of vq-ttt (points), soft twins")
        axes.grid(axis="y", visible=False)

    _save(file, (7, 1.2 + 0.2 * len(found)), paint)


def demands(effects: Mapping[str, Finding], levels: Mapping[str, int], file: Path) -> None:
    """Draw own quality minus clean by category, in the order of demand."""

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.axhline(0, color=INK, linewidth=1, linestyle=":")
        value, low, high = (100 * np.array([one.value[i] for one in effects.values()]) for i in range(3))
        x = np.arange(len(effects))
        axes.errorbar(x, value, yerr=[value - low, high - value], fmt="o", color=COLOURS[0])
        axes.set_xticks(x, [f"{name}\n({levels[name]})" for name in effects], fontsize=8.5)
        axes.set_ylabel("own quality minus clean (points)")
        axes.grid(axis="x", visible=False)

    _save(file, (8.5, 3), paint)


def own_conditions() -> str:
    """Name the conditions that count as the quality of training images."""
    return "; ".join(
        f"`{quality}`: {', '.join(f'{kind} {severity}'.replace('_', ' ') for kind, severity in places)}"
        for quality, places in OWN_QUALITY.items()
    )


def _save(file: Path, size: Sequence[float], paint: Any) -> None:
    from matplotlib import style
    from matplotlib.figure import Figure

    file.parent.mkdir(parents=True, exist_ok=True)
    with style.context(["default", STYLE]):
        figure = Figure(figsize=tuple(size), layout="constrained", facecolor="white")
        paint(figure)
        figure.savefig(file, metadata={"Date": None, "Creator": None})
