"""The heat maps of a report, by method and task."""

from collections.abc import Sequence

import polars as pl

from vqttt.results import figures
from vqttt.results.report.groups import HeatMapGroup, task_title, tasks_of, without_flat
from vqttt.runs.records import NONE

_NOTHING = pl.col("delta") == 0, pl.col("corrective") == 0, pl.col("destructive") == 0


def heat_maps(changes: pl.DataFrame, order: Sequence[str]) -> dict[str, list[HeatMapGroup]]:
    """Arrange heat maps by method, all tasks together first; the heat maps of several models stand side by side.

    All have the same rows, columns and colours. One in which nothing changes becomes a sentence.

    Args:
        changes: rows of `by_severity.quality_by_severity` or `by_severity.gains_by_severity`.
        order: the degradations, in order.
    """
    if changes.is_empty():
        return {}
    named = changes.with_columns(who=pl.when(pl.col("method") == NONE).then(pl.lit("Degradation")).otherwise("method"))
    left, _ = without_flat(named, "who", pl.all_horizontal(_NOTHING))
    found = {}
    for method in changes["method"].unique().sort():
        of_method = named.filter(method=method)
        _, flat = without_flat(of_method, "who", pl.all_horizontal(_NOTHING))
        groups = _groups(left.filter(method=method), changes, order) if (left["method"] == method).any() else []
        found[method] = [*groups, HeatMapGroup("", [], flat)] if flat else groups
    return found


def _groups(part: pl.DataFrame, changes: pl.DataFrame, order: Sequence[str]) -> list[HeatMapGroup]:
    """Arrange the heat maps of one method, in groups by task if there are several models."""
    present, models = set(changes["degradation"]), changes["model"].unique().sort().to_list()
    names = [name for name in order if name in present]
    severities = changes["severity"].unique().sort().to_list()
    reach = figures.reach_of(changes["delta"])
    groups = []
    for task in tasks_of(changes):
        titles = {model: task_title(task) if len(models) == 1 else str(model) for model in models}
        of_task = {model: part.filter(model=model, task=task) for model in models}
        maps = [
            figures.heat_map(rows, names, severities, reach, titles[model])
            for model, rows in of_task.items()
            if len(rows)
        ]
        groups.append(HeatMapGroup(task_title(task), maps))
    groups = [group for group in groups if group.maps]
    return [HeatMapGroup("", [one for group in groups for one in group.maps])] if len(models) == 1 else groups
