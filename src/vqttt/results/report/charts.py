"""The figures of a report: groups of panels, each under a heading. Nothing is drawn here.

Panels of one task share their axes, over all degradations and models, so that they can be compared; each task has axes
that fit its own data.
"""

from collections.abc import Sequence

import polars as pl

from vqttt.results import figures, statistics, summary
from vqttt.results.report.frames import Frames
from vqttt.results.report.groups import (
    Group,
    Limits,
    by_model,
    by_task,
    limits_by_task,
    model_heading,
    without_flat,
)
from vqttt.results.report.quality_charts import flip_ends, forests, quality_correlation, quality_flips
from vqttt.results.summary import UNTUNED, methods_of
from vqttt.results.tables import label
from vqttt.runs.records import ALL, CLEAN, NONE

MOST_ACCURACY_PANELS = 30
"""Maximum number of accuracy panels by degradation; if there were more, all degradations share one panel per task."""

LEAST_ACCURACY = 10
"""The least that an axis of accuracy covers, in points, so that small differences do not look large."""

LEAST_REACH = 0.02
"""Smallest change, 0 to 1, that the axis of gains covers on either side of zero."""


def charts(frames: Frames) -> dict[str, list[Group]]:
    """Return all figures except heat maps and kernels, by section of the report."""
    order = frames.order
    return {
        "accuracy": _accuracy(frames.records, frames.cells),
        "forest": forests(frames.effect),
        "quality_flips": quality_flips(frames.effect, order),
        "headroom": by_model(frames.headroom, figures.headroom_panel, "Chosen condition and oracle"),
        "redraws": by_model(frames.redraws, figures.redraw_panel, "Corrected by degrading, or by chance"),
        "quality_correlation": quality_correlation(frames.accuracy_by_quality),
        **_gains_and_flips(frames.records, frames.gains, order),
        "cost": _cost(frames.records, frames.overview),
        "calibration": _calibration(frames.records),
    }


def _accuracy(records: pl.DataFrame, cells: pl.DataFrame) -> list[Group]:
    """Draw accuracy against severity, one panel per degradation, or one for all if there are too many."""
    points = _accuracies(records, cells)
    clean = pl.col("degradation") == CLEAN
    if points.filter(~clean).select("model", "task", "degradation").n_unique() > MOST_ACCURACY_PANELS:
        keys = ["model", "task", "severity", "method"]
        points = points.group_by(keys, maintain_order=True).agg(pl.col("^accuracy.*$").mean())
        points = points.with_columns(
            degradation=pl.when(pl.col("severity") == 0).then(pl.lit(CLEAN)).otherwise(pl.lit("all degradations"))
        )
    limits = limits_by_task(
        points,
        lambda part: figures.around(
            100 * min(part["accuracy_low"]), 100 * max(part["accuracy_high"]), least=LEAST_ACCURACY
        ),
    )
    return [
        _accuracy_group(points, part, methods_of(records), limits[str(task)], _heading(records, model, task))
        for (model, task), part in points.group_by("model", "task", maintain_order=True)
    ]


def _heading(records: pl.DataFrame, model: object, task: object) -> str:
    return " · ".join(filter(None, (model_heading(records, model), str(task))))


def _accuracy_group(
    points: pl.DataFrame, part: pl.DataFrame, methods: Sequence[str], limits: Limits, heading: str
) -> Group:
    """Draw one model and task; what does not change becomes a sentence."""
    drawn = figures.marks(methods)
    clean = pl.col("degradation") == CLEAN
    names = part.filter(~clean)["degradation"].unique(maintain_order=True).to_list() or [CLEAN]
    lines = {name: part.filter(clean | (pl.col("degradation") == name)) for name in names}
    copies = [method for method in methods[1:] if _copies(part, methods[0], method)]
    shown = {method: mark for method, mark in drawn.items() if method not in copies and method in set(part["method"])}
    sentences = [f"{method} has the accuracy of {methods[0]} everywhere, and is not drawn." for method in copies]
    drawings = {name: figures.accuracy_panel(lines[name], shown, limits, label(name)) for name in names}
    calm = {name: panel for name, panel in drawings.items() if _calm(lines[name])}
    return Group(heading, [drawings[name] for name in names if name not in calm], sentences, [*calm.values()])


def _calm(points: pl.DataFrame) -> bool:
    """Return whether all accuracies of a panel, over several severities, are within the margin of equivalence."""
    values = points["accuracy"].to_numpy()
    return points["severity"].n_unique() > 1 and bool(values.max() - values.min() <= statistics.MARGIN + 1e-9)


def _copies(points: pl.DataFrame, baseline: str, method: str) -> bool:
    """Return whether a method has the baseline's accuracy under every condition."""
    one, other = (
        points.filter(pl.col("method") == name).select("degradation", "severity", pl.col("accuracy").round(9))
        for name in (baseline, method)
    )
    return not other.is_empty() and one.sort("degradation", "severity").equals(other.sort("degradation", "severity"))


def _accuracies(records: pl.DataFrame, cells: pl.DataFrame) -> pl.DataFrame:
    """Return the accuracy of every condition and method, with the untuned model's if the baseline was not run."""
    if NONE not in set(records["method"].unique()):
        base = summary.untuned(records).with_columns(method=pl.lit(UNTUNED), score="base_score")
        cells = pl.concat([cells, summary.summarise(base)])
    keys = ["model", "task", "degradation", "severity", "method"]
    # Over several seeds or restorers, the ends of intervals are averaged too, which makes them wider than necessary.
    return cells.group_by(keys, maintain_order=True).agg(pl.col("^accuracy.*$").mean())


def _gains_and_flips(records: pl.DataFrame, gains: pl.DataFrame, order: Sequence[str]) -> dict[str, list[Group]]:
    """Draw what each method gains, corrects and breaks, by degradation, one panel of each kind per task."""
    gains = gains.filter(pl.col("method") != NONE)
    gains = gains.with_columns(pl.col("corrective", "destructive") / pl.col("records"))
    nothing = pl.all_horizontal(pl.col("delta") == 0, pl.col("corrective") == 0, pl.col("destructive") == 0)
    gains, flat = without_flat(gains, "method", nothing)
    drawn = figures.marks(methods_of(records))
    gain, flip = limits_by_task(gains, _gain_ends), limits_by_task(gains, flip_ends)

    def draw_gain(part: pl.DataFrame, name: str) -> figures.Panel:
        return figures.gain_panel(part, order, drawn, gain[part["task"][0]], name)

    def draw_flips(part: pl.DataFrame, name: str) -> figures.Panel:
        return figures.flip_panel(part, order, drawn, flip[part["task"][0]], name)

    return {"gains": by_task(gains, draw_gain, flat), "flips": by_task(gains, draw_flips, flat)}


def _gain_ends(gains: pl.DataFrame) -> Limits:
    """Return the ends in points of an axis of gains: it covers all intervals and zero."""
    low, high = min(gains["ci_low"]), max(gains["ci_high"])
    return figures.around(100 * min(low, -LEAST_REACH), 100 * max(high, LEAST_REACH))


def _cost(records: pl.DataFrame, overview: pl.DataFrame) -> list[Group]:
    """Draw gain against cost over all tasks, one panel per model with the same axes."""
    known = overview.filter(pl.col("task") == ALL, pl.col("cost").is_not_null(), pl.col("delta").is_not_null())
    if known.filter(pl.col("method") != NONE).is_empty():
        return []
    drawn, limits, most = figures.marks(methods_of(records)), _gain_ends(known), float(max(known["cost"]))
    return by_model(known, lambda part, title: figures.cost_panel(part, drawn, limits, most, title), "Gain and cost")


def _calibration(records: pl.DataFrame) -> list[Group]:
    """Draw accuracy by confidence, and errors among the most confident answers, on degraded images, per model."""
    methods = methods_of(records)
    drawn, found = figures.marks(methods), dict[str, dict[str, pl.DataFrame]]()
    answered = records.filter(pl.col("degradation") != CLEAN, pl.col("error") == "")
    for (model,), cells in answered.group_by("model", maintain_order=True):
        answers = {methods[0]: summary.untuned(cells).select(confidence="base_confidence", score="base_score")}
        for (method,), of_method in cells.filter(pl.col("method") != NONE).group_by("method", maintain_order=True):
            answers[str(method)] = of_method.select("confidence", "score")
        found[str(model)] = {name: part for name, part in answers.items() if part["confidence"].is_finite().any()}
    bins = {
        model: {name: statistics.reliability(part["confidence"], part["score"]) for name, part in answers.items()}
        for model, answers in found.items()
    }
    limits = _bin_limits([one for lines in bins.values() for line in lines.values() for one in line])
    groups = []
    for model, answers in found.items():
        risks = {name: statistics.risk_coverage(part["confidence"], part["score"]) for name, part in answers.items()}
        panels = [figures.reliability_panel(bins[model], drawn, limits), figures.risk_panel(risks, drawn)]
        groups.append(Group(model_heading(records, model), panels if answers else []))
    return groups


def _bin_limits(bins: Sequence[statistics.Bin]) -> tuple[Limits, Limits]:
    """Return the ends in percent of the axes of confidence and accuracy."""
    if not bins:
        return (0.0, 100.0), (0.0, 100.0)
    confidence, accuracy = ([100 * one[i] for one in bins] for i in (1, 2))
    return figures.around(min(confidence), 100.0), figures.around(min(accuracy), 100.0, LEAST_ACCURACY)
