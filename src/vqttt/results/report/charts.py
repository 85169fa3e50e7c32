"""Which figures a report has: lists of groups, each a heading and the panels under it."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from vqttt.results import figures, statistics, summary
from vqttt.results.figures import HeatMap, Panel
from vqttt.results.quality_correlation import accuracy_by_quality
from vqttt.results.statistics import risk_coverage
from vqttt.results.tables import UNTUNED, label, methods_of
from vqttt.runs.records import ALL, CLEAN, NONE

MOST = 30
"""So many panels of accuracy are drawn by degradation; where there would be more, all degradations share one."""


class Group(NamedTuple):
    """Panels that belong together."""

    heading: str
    panels: list[Panel]


def charts(
    records: pl.DataFrame,
    cells: pl.DataFrame,
    overview: pl.DataFrame,
    effect: pl.DataFrame,
    choice: pl.DataFrame,
    drawn_anew: pl.DataFrame,
) -> dict[str, list[Group]]:
    """Choose all figures but heat maps and kernels, by section of the report; nothing is drawn yet.

    Args:
        records: without restorers, or all with them.
        cells: `summary.summarise` of the records.
        overview: `summary.overview` of the records.
        effect: `paradox.quality_effect` of the records.
        choice: `paradox.headroom` of the records.
        drawn_anew: `paradox.redraws` of the records.
    """
    gains = summary.gains(records).filter(pl.col("method") != NONE)
    gains = gains.with_columns(pl.col("corrective", "destructive") / pl.col("records"))
    drawn = figures.marks(methods_of(records))
    # The same axis for all panels of a kind, so that they can be compared by eye.
    reach = 108 * max([0.02, *gains["ci_low"].abs(), *gains["ci_high"].abs()])
    flipped = 108 * max([0.02, *gains["corrective"], *gains["destructive"]])
    turned = _turned(effect)
    most = 108 * max([0.02, *turned["corrective"], *turned["destructive"]]) if len(turned) else 0
    balance = figures.marks(["balance"])
    return {
        "accuracy": _accuracy(records, cells),
        "forest": _forests(effect),
        "turned": _by_task(turned, lambda part, name: figures.flip_panel(part, balance, most, name)),
        "headroom": _by_model(choice, figures.headroom_panel, "Chosen condition and oracle"),
        "redraws": _by_model(drawn_anew, figures.redraw_panel, "Corrected by degrading, or by chance"),
        "perception": _perception(records),
        "gains": _by_task(gains, lambda part, name: figures.gain_panel(part, drawn, reach, name)),
        "flips": _by_task(gains, lambda part, name: figures.flip_panel(part, drawn, flipped, name)),
        "cost": _cost(overview, drawn),
        "calibration": _calibration(records),
    }


def heat_maps(changes: pl.DataFrame) -> dict[str, list[tuple[str, list[HeatMap]]]]:
    """Arrange maps by method: groups of a heading and its maps, all tasks first; several models stand side by side.

    Args:
        changes: of `maps.quality_map` or `maps.gain_map`.
    """
    if changes.is_empty():
        return {}
    order = changes.group_by("degradation", maintain_order=True).agg(pl.col("delta").mean())
    names = order.sort("delta", "degradation")["degradation"].to_list()
    severities = changes["severity"].unique().sort().to_list()
    reach = float(changes["delta"].abs().to_numpy().max()) or 1.0
    models, tasks = changes["model"].unique().sort().to_list(), _tasks(changes)
    found = dict[str, list[tuple[str, list[HeatMap]]]]()
    for method in changes["method"].unique().sort():
        by_task = []
        for task in tasks:
            parts = {model: changes.filter(model=model, task=task, method=method) for model in models}
            titles = {model: _of_all(task) if len(models) == 1 else str(model) for model in models}
            maps = [
                figures.heat_map(part, names, severities, reach, titles[model])
                for model, part in parts.items()
                if len(part)
            ]
            by_task.append((_of_all(task), maps))
        one = [("", [drawn for _, maps in by_task for drawn in maps])]
        found[method] = one if len(models) == 1 else by_task
    return found


def _accuracy(records: pl.DataFrame, cells: pl.DataFrame) -> list[Group]:
    """Draw accuracy against severity, a panel for each degradation, or one for all where these are too many."""
    drawn, points = figures.marks(methods_of(records)), _accuracies(records, cells)
    limits = (100 * min(points["accuracy_low"]) - 2, 100 * max(points["accuracy_high"]) + 2)
    clean = pl.col("degradation") == CLEAN
    if points.filter(~clean).select("model", "task", "degradation").n_unique() > MOST:
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
        groups.append(Group(" · ".join(filter(None, (_whose(records, model), str(task)))), panels))
    return groups


def _accuracies(records: pl.DataFrame, cells: pl.DataFrame) -> pl.DataFrame:
    """Take the accuracy of every condition and method, with the untuned model's where the baseline was not run."""
    if NONE not in set(records["method"].unique()):
        base = summary.untuned(records).with_columns(method=pl.lit(UNTUNED), score="base_score")
        cells = pl.concat([summary.summarise(base), cells])
    keys = ["model", "task", "degradation", "severity", "method"]
    # With several seeds or restorers, means of accuracies and, wider than need be, of the ends of their intervals.
    return cells.group_by(keys, maintain_order=True).agg(pl.col("^accuracy.*$").mean())


def _forests(effect: pl.DataFrame) -> list[Group]:
    if effect.is_empty():
        return []
    low, high = 100 * min(effect["ci_low"]), 100 * max(effect["ci_high"])
    room = 0.04 * (high - low) + 0.5
    limits = (min(low, 0.0) - room, max(high, 0.0) + room)
    return _by_task(effect, lambda part, name: figures.forest_panel(part, limits, name))


def _turned(effect: pl.DataFrame) -> pl.DataFrame:
    """Take by task and degradation what share of answers degradation corrected and broke."""
    if effect.is_empty():
        return effect
    keys = ["model", "task", "degradation"]
    sums = effect.group_by(keys, maintain_order=True).agg(pl.col("helped", "hurt", "n").sum())
    return sums.with_columns(
        corrective=pl.col("helped") / pl.col("n"), destructive=pl.col("hurt") / pl.col("n"), method=pl.lit("balance")
    )


def _perception(records: pl.DataFrame) -> list[Group]:
    """Draw accuracy against measured quality, a panel for each task."""
    shares = accuracy_by_quality(records)
    if shares.is_empty():
        return []
    limits = (100 * min(shares["accuracy"]) - 4, 100 * max(shares["accuracy"]) + 4)
    return _by_task(shares, lambda part, name: figures.quality_panel(part, limits, name))


def _cost(overview: pl.DataFrame, drawn: dict[str, figures.Mark]) -> list[Group]:
    known = overview.filter(pl.col("task") == ALL, pl.col("cost").is_not_null(), pl.col("delta").is_not_null())
    tuned = known.filter(pl.col("method") != NONE)
    return [] if tuned.is_empty() else _by_model(known, lambda p, t: figures.cost_panel(p, drawn, t), "Gain and cost")


def _calibration(records: pl.DataFrame) -> list[Group]:
    """Draw reliability and risk against coverage on degraded images, two panels for each model."""
    groups, drawn = [], figures.marks(methods_of(records))
    answered = records.filter(pl.col("degradation") != CLEAN, pl.col("error") == "")
    for (model,), cells in answered.group_by("model", maintain_order=True):
        answers = {
            methods_of(records)[0]: summary.untuned(cells).select(confidence="base_confidence", score="base_score")
        }
        for (method,), of_method in cells.filter(pl.col("method") != NONE).group_by("method", maintain_order=True):
            answers[str(method)] = of_method.select("confidence", "score")
        answers = {name: part for name, part in answers.items() if part["confidence"].is_finite().any()}
        reliable = {name: statistics.reliability(part["confidence"], part["score"]) for name, part in answers.items()}
        risks = {name: risk_coverage(part["confidence"], part["score"]) for name, part in answers.items()}
        panels = [figures.reliability_panel(reliable, drawn), figures.risk_panel(risks, drawn)]
        groups.append(Group(_whose(records, model), panels if answers else []))
    return groups


def _by_task(frame: pl.DataFrame, draw: Callable[[pl.DataFrame, str], Panel]) -> list[Group]:
    """Draw a panel for each task, a group for each model."""
    groups = []
    for model, part in _models(frame):
        panels = [draw(of_task, _of_all(task)) for task in _tasks(part) if len(of_task := part.filter(task=task))]
        groups.append(Group(_whose(frame, model), panels))
    return groups


def _by_model(frame: pl.DataFrame, draw: Callable[[pl.DataFrame, str], Panel], title: str) -> list[Group]:
    return [Group(_whose(frame, model), [draw(part, title)]) for model, part in _models(frame)]


def _models(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    if len(frame):
        for (model,), part in frame.group_by("model", maintain_order=True):
            yield str(model), part


def _tasks(frame: pl.DataFrame) -> list[str]:
    """List the tasks, all of them together first; of one task, only itself."""
    names = frame["task"].unique().sort().to_list()
    single = [name for name in names if name != ALL]
    return [ALL, *single] if ALL in names and len(single) > 1 else single


def _of_all(task: str) -> str:
    return "all tasks" if task == ALL else task


def _whose(frame: pl.DataFrame, model: Any) -> str:
    """Name the model where there are several."""
    return str(model) if frame["model"].n_unique() > 1 else ""


def kernel_panels(details: list[dict[str, Any]], most: int = 3) -> list[tuple[dict[str, Any], Panel]]:
    """Choose the cells whose kernels have moved furthest from the identity, of a degradation one, and draw them."""
    cells = [(np.array(cell["kernel"], np.float64), cell) for cell in details if cell.get("kernel")]
    cells = [pair for pair in cells if figures.identity_distance(pair[0]) > 1e-6]
    cells.sort(key=lambda pair: -figures.identity_distance(pair[0]))
    furthest = {cell.get("degradation"): (cell, kernel) for kernel, cell in reversed(cells)}
    chosen = sorted(furthest.values(), key=lambda pair: -figures.identity_distance(pair[1]))[:most]
    return [(cell, figures.kernel_panel(kernel, "")) for cell, kernel in chosen]
