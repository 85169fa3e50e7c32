"""The curves on a report's first screen: how each model's accuracy depends on image quality.

A point is the mean over all tasks and degradations, each cell with the same weight. A curve covers only degradations
that every task has at every severity, so that its points differ in severity and nothing else.
"""

from dataclasses import dataclass
from typing import Any

import polars as pl

from vqttt.results import figures, summary
from vqttt.results.figures import Line, Panel
from vqttt.results.report.frames import Frames
from vqttt.results.report.remedies import Remedy
from vqttt.results.tables import label
from vqttt.runs.records import CELL, CLEAN

_ROOM = 0.04
"""Free space above and below what a panel shows, as a share of it."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What a panel shows of one model; see `figures.curve_panel`.

    Attributes:
        model: the model.
        mean: its accuracy by severity, with intervals.
        each: its accuracy by degradation and severity.
        lines: the degradation that helps most, if one helps, and the best method and restorer.
    """

    model: str
    mean: pl.DataFrame
    each: pl.DataFrame
    lines: tuple[Line, ...]


def curve_panels(frames: Frames, findings: list[dict[str, Any]]) -> dict[str, Panel]:
    """Draw the curve of each model; all have the same vertical axis. Models without a curve are left out."""
    curves = [curve for facts in findings if (curve := _curve(frames, facts))]
    if not curves:
        return {}
    low = min(min(curve.mean["accuracy_low"]) for curve in curves)
    high = max(max(curve.mean["accuracy_high"]) for curve in curves)
    for curve in curves:
        for points in (curve.each, *(line.points for line in curve.lines)):
            low, high = min(low, min(points["accuracy"])), max(high, max(points["accuracy"]))
    room = _ROOM * (high - low) + 0.005
    limits = (100 * (low - room), 100 * (high + room))
    return {
        curve.model: figures.curve_panel(curve.mean, curve.each, curve.lines, limits, f"accuracy of {curve.model} (%)")
        for curve in curves
    }


def _curve(frames: Frames, facts: dict[str, Any]) -> Curve | None:
    """Gather the curve of one model; None if the run lacks what takes at least two points."""
    base = summary.untuned(frames.records.filter(pl.col("model") == facts["model"]))
    covered = _covered(base)
    if covered["severity"].n_unique() < 2:
        return None
    degradations = [name for name in covered["degradation"].unique(maintain_order=True) if name != CLEAN]
    each = pl.concat(
        _line(covered, pl.col("degradation").is_in([CLEAN, name]), "base_score").with_columns(degradation=pl.lit(name))
        for name in degradations
    )
    lines = (*_helpful(covered, facts), *_tried(frames, covered, facts))
    return Curve(model=str(facts["model"]), mean=_mean(covered), each=each, lines=lines)


def _mean(covered: pl.DataFrame) -> pl.DataFrame:
    """Return the untuned model's mean accuracy by severity, with intervals over images."""
    rows = []
    for severity in covered["severity"].unique().sort():
        right = summary.accuracy_of_cells(covered.filter(pl.col("severity") == severity), "base_score")
        interval = {"accuracy_low": right.low, "accuracy_high": right.high}
        rows.append({"severity": severity, "accuracy": right.value} | interval)
    return pl.DataFrame(rows)


def _covered(base: pl.DataFrame) -> pl.DataFrame:
    """Select the clean images, and the degradations that each task has at each severity of the run."""
    degraded, clean = base.filter(pl.col("degradation") != CLEAN), base.filter(pl.col("degradation") == CLEAN)
    if len(clean):
        degraded = degraded.filter(pl.col("task").is_in(clean["task"].unique().to_list()))
    conditions = degraded.select("task", "severity").n_unique()
    had = degraded.group_by("degradation").agg(pl.struct("task", "severity").n_unique().alias("conditions"))
    complete = had.filter(pl.col("conditions") == conditions)["degradation"].to_list()
    kept = degraded.filter(pl.col("degradation").is_in(complete))
    tasks = kept["task"].unique().to_list()
    return pl.concat([clean.filter(pl.col("task").is_in(tasks)), kept])


def _line(records: pl.DataFrame, which: pl.Expr, score: str) -> pl.DataFrame:
    """Return the mean accuracy of some records by severity; each cell has the same weight."""
    cells = records.filter(which).group_by(CELL, maintain_order=True).agg(pl.col(score).mean().alias("accuracy"))
    return cells.group_by("severity", maintain_order=True).agg(pl.col("accuracy").mean()).sort("severity")


def _helpful(covered: pl.DataFrame, facts: dict[str, Any]) -> list[Line]:
    """Draw the task and degradation of the condition that helps most."""
    row = facts["helps"]
    if row is None:
        return []
    several = covered["task"].n_unique() > 1
    which = (pl.col("task") == row["task"]) & pl.col("degradation").is_in([CLEAN, row["degradation"]])
    points = _line(covered, which, "base_score")
    name = label(row["degradation"]) + (f", {row['task']}" if several else "")
    return [figures.best_line(name, points)] if row["degradation"] in set(covered["degradation"]) else []


def _tried(frames: Frames, covered: pl.DataFrame, facts: dict[str, Any]) -> list[Line]:
    """Draw the best method and the best restorer, where they were run on everything that the curve covers."""
    condition = ["task", "degradation", "severity"]
    lines = []
    for number, kind in enumerate(("method", "restorer")):
        remedy: Remedy | None = facts["best"][kind]
        if remedy is None:
            continue
        whose = {"model": facts["model"], "restorer": remedy.restorer, "method": remedy.method}
        own = frames.all_records.filter(**whose)
        own = own.join(covered.select(condition).unique(), on=condition, how="semi", maintain_order="left")
        missing = covered.filter(pl.col("degradation") != CLEAN).join(own, on=condition, how="anti")
        if missing.is_empty():
            lines.append(figures.remedy_line(remedy.name, _line(own, pl.lit(True), "score"), number))
    return lines
