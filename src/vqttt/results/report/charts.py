"""The figures of a report: groups of panels, each under a heading. Nothing is drawn here."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from vqttt.results import figures, statistics, summary
from vqttt.results.figures import HeatMap, Panel
from vqttt.results.report.frames import Frames
from vqttt.results.summary import UNTUNED, methods_of
from vqttt.results.tables import label
from vqttt.runs.records import ALL, CLEAN, NONE

MOST_ACCURACY_PANELS = 30
"""Maximum number of accuracy panels by degradation; if there were more, all degradations share one panel per task."""

MOST_KERNELS = 3
"""Maximum number of kernels shown."""

LEAST_REACH = 0.02
"""Smallest change, 0 to 1, that the axes of gains and flips cover."""

_DIFFERENCE = "difference"
"""Name of the marker in panels of what degradation corrected and broke, in place of a method's."""


class Group(NamedTuple):
    """Panels under one heading, which may be empty."""

    heading: str
    panels: list[Panel]


class HeatMapGroup(NamedTuple):
    """Heat maps under one heading, which may be empty."""

    heading: str
    maps: list[HeatMap]


def charts(frames: Frames) -> dict[str, list[Group]]:
    """Return all figures except heat maps and kernels, by section of the report."""
    return {
        "accuracy": _accuracy(frames.records, frames.cells),
        "forest": _forests(frames.effect),
        "quality_flips": _quality_flips(frames.effect),
        "headroom": _by_model(frames.headroom, figures.headroom_panel, "Chosen condition and oracle"),
        "redraws": _by_model(frames.redraws, figures.redraw_panel, "Corrected by degrading, or by chance"),
        "quality_correlation": _quality_correlation(frames.accuracy_by_quality),
        **_gains_and_flips(frames.records, frames.gains),
        "cost": _cost(frames.records, frames.overview),
        "calibration": _calibration(frames.records),
    }


def _accuracy(records: pl.DataFrame, cells: pl.DataFrame) -> list[Group]:
    """Draw accuracy against severity, one panel per degradation, or one for all if there are too many."""
    drawn, points = figures.marks(methods_of(records)), _accuracies(records, cells)
    limits = (100 * min(points["accuracy_low"]) - 2, 100 * max(points["accuracy_high"]) + 2)
    clean = pl.col("degradation") == CLEAN
    if points.filter(~clean).select("model", "task", "degradation").n_unique() > MOST_ACCURACY_PANELS:
        keys = ["model", "task", "severity", "method"]
        points = points.group_by(keys, maintain_order=True).agg(pl.col("^accuracy.*$").mean())
        points = points.with_columns(
            degradation=pl.when(pl.col("severity") == 0).then(pl.lit(CLEAN)).otherwise(pl.lit("all degradations"))
        )
    groups = []
    for (model, task), part in points.group_by("model", "task", maintain_order=True):
        names = part.filter(~clean)["degradation"].unique(maintain_order=True).to_list() or [CLEAN]
        panels = [
            figures.accuracy_panel(part.filter(clean | (pl.col("degradation") == name)), drawn, limits, label(name))
            for name in names
        ]
        groups.append(Group(" · ".join(filter(None, (_model_heading(records, model), str(task)))), panels))
    return groups


def _accuracies(records: pl.DataFrame, cells: pl.DataFrame) -> pl.DataFrame:
    """Return the accuracy of every condition and method, with the untuned model's if the baseline was not run."""
    if NONE not in set(records["method"].unique()):
        base = summary.untuned(records).with_columns(method=pl.lit(UNTUNED), score="base_score")
        cells = pl.concat([summary.summarise(base), cells])
    keys = ["model", "task", "degradation", "severity", "method"]
    # Over several seeds or restorers, the ends of intervals are averaged too, which makes them wider than necessary.
    return cells.group_by(keys, maintain_order=True).agg(pl.col("^accuracy.*$").mean())


def _forests(effect: pl.DataFrame) -> list[Group]:
    """Draw every condition against clean images, one panel per task."""
    if effect.is_empty():
        return []
    low, high = 100 * min(effect["ci_low"]), 100 * max(effect["ci_high"])
    room = 0.04 * (high - low) + 0.5
    limits = (min(low, 0.0) - room, max(high, 0.0) + room)
    return _by_task(effect, lambda part, name: figures.forest_panel(part, limits, name))


def _quality_flips(effect: pl.DataFrame) -> list[Group]:
    """Draw the shares of answers that degradation corrected and broke, by degradation, one panel per task."""
    if effect.is_empty():
        return []
    keys = ["model", "task", "degradation"]
    sums = effect.group_by(keys, maintain_order=True).agg(pl.col("corrective", "destructive", "n").sum())
    shares = sums.with_columns(pl.col("corrective", "destructive") / pl.col("n"), method=pl.lit(_DIFFERENCE))
    drawn, limit = figures.marks([_DIFFERENCE]), _reach(shares, "corrective", "destructive")
    return _by_task(shares, lambda part, name: figures.flip_panel(part, drawn, limit, name))


def _gains_and_flips(records: pl.DataFrame, gains: pl.DataFrame) -> dict[str, list[Group]]:
    """Draw what each method gains, corrects and breaks, by degradation, one panel of each kind per task."""
    gains = gains.filter(pl.col("method") != NONE)
    gains = gains.with_columns(pl.col("corrective", "destructive") / pl.col("records"))
    drawn = figures.marks(methods_of(records))
    gain, flip = _reach(gains, "ci_low", "ci_high"), _reach(gains, "corrective", "destructive")
    return {
        "gains": _by_task(gains, lambda part, name: figures.gain_panel(part, drawn, gain, name)),
        "flips": _by_task(gains, lambda part, name: figures.flip_panel(part, drawn, flip, name)),
    }


def _reach(frame: pl.DataFrame, *columns: str) -> float:
    """Return the limit in points of an axis that fits these columns in all panels, so that panels can be compared."""
    return 108 * max(LEAST_REACH, *(max(frame[name].abs(), default=0.0) for name in columns))


def _quality_correlation(bins: pl.DataFrame) -> list[Group]:
    """Draw accuracy against measured quality, one panel per task."""
    if bins.is_empty():
        return []
    limits = (100 * min(bins["accuracy"]) - 4, 100 * max(bins["accuracy"]) + 4)
    return _by_task(bins, lambda part, name: figures.quality_panel(part, limits, name))


def _cost(records: pl.DataFrame, overview: pl.DataFrame) -> list[Group]:
    """Draw gain against cost over all tasks, one panel per model."""
    known = overview.filter(pl.col("task") == ALL, pl.col("cost").is_not_null(), pl.col("delta").is_not_null())
    if known.filter(pl.col("method") != NONE).is_empty():
        return []
    drawn = figures.marks(methods_of(records))
    return _by_model(known, lambda part, title: figures.cost_panel(part, drawn, title), "Gain and cost")


def _calibration(records: pl.DataFrame) -> list[Group]:
    """Draw reliability, and risk against coverage, on degraded images, two panels per model."""
    groups, methods = [], methods_of(records)
    drawn = figures.marks(methods)
    answered = records.filter(pl.col("degradation") != CLEAN, pl.col("error") == "")
    for (model,), cells in answered.group_by("model", maintain_order=True):
        answers = {methods[0]: summary.untuned(cells).select(confidence="base_confidence", score="base_score")}
        for (method,), of_method in cells.filter(pl.col("method") != NONE).group_by("method", maintain_order=True):
            answers[str(method)] = of_method.select("confidence", "score")
        answers = {name: part for name, part in answers.items() if part["confidence"].is_finite().any()}
        bins = {name: statistics.reliability(part["confidence"], part["score"]) for name, part in answers.items()}
        risks = {name: statistics.risk_coverage(part["confidence"], part["score"]) for name, part in answers.items()}
        panels = [figures.reliability_panel(bins, drawn), figures.risk_panel(risks, drawn)]
        groups.append(Group(_model_heading(records, model), panels if answers else []))
    return groups


def _by_task(frame: pl.DataFrame, draw: Callable[[pl.DataFrame, str], Panel]) -> list[Group]:
    """Draw one panel per task, in one group per model."""
    groups = []
    for model, part in _models(frame):
        panels = [draw(of_task, _task_title(task)) for task in _tasks(part) if len(of_task := part.filter(task=task))]
        groups.append(Group(_model_heading(frame, model), panels))
    return groups


def _by_model(frame: pl.DataFrame, draw: Callable[[pl.DataFrame, str], Panel], title: str) -> list[Group]:
    """Draw one panel per model, each in a group of its own."""
    return [Group(_model_heading(frame, model), [draw(part, title)]) for model, part in _models(frame)]


def _models(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    if len(frame):
        for (model,), part in frame.group_by("model", maintain_order=True):
            yield str(model), part


def _model_heading(frame: pl.DataFrame, model: Any) -> str:
    """Return the model's name if there are several models."""
    return str(model) if frame["model"].n_unique() > 1 else ""


def heat_maps(changes: pl.DataFrame) -> dict[str, list[HeatMapGroup]]:
    """Arrange heat maps by method, all tasks together first; the heat maps of several models stand side by side.

    Args:
        changes: rows of `by_severity.quality_by_severity` or `by_severity.gains_by_severity`.
    """
    if changes.is_empty():
        return {}
    order = changes.group_by("degradation", maintain_order=True).agg(pl.col("delta").mean())
    names = order.sort("delta", "degradation")["degradation"].to_list()
    severities = changes["severity"].unique().sort().to_list()
    reach = float(changes["delta"].abs().to_numpy().max()) or 1.0
    models = changes["model"].unique().sort().to_list()
    found = dict[str, list[HeatMapGroup]]()
    for method in changes["method"].unique().sort():
        by_task = []
        for task in _tasks(changes):
            parts = {model: changes.filter(model=model, task=task, method=method) for model in models}
            titles = {model: _task_title(task) if len(models) == 1 else str(model) for model in models}
            maps = [
                figures.heat_map(part, names, severities, reach, titles[model])
                for model, part in parts.items()
                if len(part)
            ]
            by_task.append(HeatMapGroup(_task_title(task), maps))
        in_one = [HeatMapGroup("", [drawn for group in by_task for drawn in group.maps])]
        found[method] = in_one if len(models) == 1 else by_task
    return found


def _tasks(frame: pl.DataFrame) -> list[str]:
    """List the tasks, all tasks together first; a single task stands for itself."""
    names = frame["task"].unique().sort().to_list()
    single = [name for name in names if name != ALL]
    return [ALL, *single] if ALL in names and len(single) > 1 else single


def _task_title(task: str) -> str:
    return "all tasks" if task == ALL else task


def kernel_panels(details: list[dict[str, Any]]) -> list[tuple[dict[str, Any], Panel]]:
    """Draw the kernels furthest from the identity, at most one per degradation, each with its cell."""
    cells = [(np.array(cell["kernel"], np.float64), cell) for cell in details if cell.get("kernel")]
    cells = [pair for pair in cells if figures.identity_distance(pair[0]) > 1e-6]
    cells.sort(key=lambda pair: -figures.identity_distance(pair[0]))
    furthest = {cell.get("degradation"): (cell, kernel) for kernel, cell in reversed(cells)}
    chosen = sorted(furthest.values(), key=lambda pair: -figures.identity_distance(pair[1]))[:MOST_KERNELS]
    return [(cell, figures.kernel_panel(kernel, "")) for cell, kernel in chosen]
