"""Figures of what quality does to the untuned model: the paradox."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import polars as pl

from vqttt.figures.drawing import BAD, COLOURS, FAINT, GOOD, INK, MARKERS, SOFT, Axes, Panel, arms, margin, rows
from vqttt.perception import BINS
from vqttt.tables import label

VERDICTS = {"hurts": (BAD, "v"), "helps": (GOOD, "^"), "no effect": (INK, "s"), "undecided": (SOFT, "o")}
"""How a verdict of `paradox.quality_effect` is drawn: its colour and marker."""

MOST = 40
"""So many conditions fit a forest; of more, those with the greatest losses and the greatest gains are shown."""


def forest_panel(effect: pl.DataFrame, limits: tuple[float, float], title: str) -> Panel:
    """Draw the change of accuracy under every condition with its interval, the greatest loss first.

    Args:
        effect: rows of one task of a `paradox.quality_effect`.
        limits: of the horizontal axis, in points.
        title: of the panel.
    """
    effect = effect.sort("delta", "degradation", "severity", maintain_order=True)
    if len(effect) > MOST:
        title += f", {MOST} of {len(effect)} conditions"
        effect = pl.concat([effect.head(MOST // 2), effect.tail(MOST // 2)])
    names = [f"{label(name)} {severity}" for name, severity in effect.select("degradation", "severity").rows()]

    def paint(axes: Axes) -> None:
        axes.axvline(0, color=INK, linewidth=1)
        for verdict, (colour, marker) in VERDICTS.items():
            of = (effect["verdict"] == verdict).to_numpy()
            if of.any():
                x, low, high = (100 * effect[name].to_numpy()[of] for name in ("delta", "ci_low", "ci_high"))
                face = {"mfc": "none"} if verdict == "undecided" else {}
                axes.errorbar(x, np.flatnonzero(of), xerr=arms(x, low, high), fmt=marker, color=colour, lw=1.2, **face)
        rows(axes, names)
        axes.set(xlabel="degraded less clean (points)", xlim=limits)

    return Panel(title=title, paint=paint, height=0.85 + 0.17 * len(names), left=margin(names))


def headroom_panel(frame: pl.DataFrame, title: str) -> Panel:
    """Draw accuracy on clean pictures, under the best condition, and of an oracle, a row a task; see `headroom`."""
    names = frame["task"].to_list()
    shown = (("clean", SOFT, "o"), ("best", COLOURS[0], "D"), ("oracle", COLOURS[2], "*"))
    chosen = frame.with_columns(best=pl.col("clean") + pl.col("delta"))

    def paint(axes: Axes) -> None:
        for i, row in enumerate(chosen.to_dicts()):
            axes.plot((100 * row["clean"], 100 * row["oracle"]), (i, i), color=FAINT, linewidth=3, zorder=1)
        for name, colour, marker in shown:
            said = "best condition" if name == "best" else name
            axes.plot(100 * chosen[name].to_numpy(), range(len(names)), marker, color=colour, markersize=7, label=said)
        rows(axes, names)
        axes.set(xlabel="right (%)")
        axes.margins(x=0.08)
        axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(-0.02, 0.98), handlelength=1)
        axes.set_title(title, pad=20)

    return Panel(title=title, paint=paint, height=1.25 + 0.36 * len(names), left=margin(names))


def redraw_panel(frame: pl.DataFrame, title: str) -> Panel:
    """Draw what share of answers degrading corrected beside what drawing it anew corrects; see `paradox.redraws`."""
    names = frame["task"].to_list()

    def paint(axes: Axes) -> None:
        at = np.arange(len(names))
        axes.barh(at - 0.2, 100 * frame["corrected"].to_numpy(), 0.36, color=GOOD, label="by degrading")
        axes.barh(at + 0.2, 100 * frame["redrawn"].to_numpy(), 0.36, color=SOFT, label="by another seed")
        rows(axes, names)
        axes.set(xlabel="corrected, of 100 answers")
        axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(-0.02, 0.98), handlelength=1)
        axes.set_title(title, pad=20)

    return Panel(title=title, paint=paint, height=1.25 + 0.36 * len(names), left=margin(names))


def quality_panel(shares: pl.DataFrame, limits: tuple[float, float], title: str) -> Panel:
    """Draw accuracy against measured quality, a line for each measure.

    Args:
        shares: rows of `metric`, `bin` (0 is the lowest measure) and `accuracy` in 0 to 1.
        limits: of the vertical axis, in percent.
        title: of the panel.
    """

    def paint(axes: Axes) -> None:
        metrics = shares["metric"].unique(maintain_order=True)
        for metric, colour, (marker, _) in zip(metrics, cycle(COLOURS), cycle(MARKERS), strict=False):
            line = shares.filter(pl.col("metric") == metric).sort("bin")
            x = 100 * (line["bin"].to_numpy() + 0.5) / BINS
            axes.plot(x, 100 * line["accuracy"].to_numpy(), color=colour, marker=marker, label=label(metric))
        axes.set(xlabel="pictures, from lowest to highest measure (%)", ylabel="accuracy (%)", ylim=limits)
        axes.legend(fontsize=7.5, frameon=False, ncols=2)

    return Panel(title=title, paint=paint, width=3.9, height=2.8)


def verdict_glyphs(verdicts: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return for each verdict that occurs its colour and the character that stands for it in a legend."""
    glyphs = {"hurts": "▼", "helps": "▲", "no effect": "■", "undecided": "○"}
    return {verdict: (VERDICTS[verdict][0], glyph) for verdict, glyph in glyphs.items() if verdict in verdicts}
