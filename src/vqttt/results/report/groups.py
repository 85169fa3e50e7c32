"""Panels under headings: one panel per task or model, and one line for what has nothing to show."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import polars as pl

from vqttt.results.figures import HeatMap, Panel
from vqttt.runs.records import ALL

Limits = tuple[float, float]
"""Ends of an axis."""


class Group(NamedTuple):
    """Panels under one heading, which may be empty.

    `flat` are sentences on what is left out because nothing changes in it; `calm` are panels in which little changes,
    which a page shows on request.
    """

    heading: str
    panels: list[Panel]
    flat: Sequence[str] = ()
    calm: Sequence[Panel] = ()


class HeatMapGroup(NamedTuple):
    """Heat maps under one heading, and sentences, as in `Group`."""

    heading: str
    maps: list[HeatMap]
    flat: Sequence[str] = ()


def by_task(frame: pl.DataFrame, draw: Callable[[pl.DataFrame, str], Panel], flat: Sequence[str] = ()) -> list[Group]:
    """Draw one panel per task, in one group per model; `flat` are sentences for the first group."""
    groups = [Group("", [], flat)] if flat else []
    for model, part in models_of(frame):
        panels = [draw(of_task, task_title(task)) for task in tasks_of(part) if len(of_task := part.filter(task=task))]
        groups.append(Group(model_heading(frame, model), panels))
    return groups


def by_model(frame: pl.DataFrame, draw: Callable[[pl.DataFrame, str], Panel], title: str) -> list[Group]:
    """Draw one panel per model, each in a group of its own."""
    return [Group(model_heading(frame, model), [draw(part, title)]) for model, part in models_of(frame)]


def models_of(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the models of a frame, each with its rows."""
    if len(frame):
        for (model,), part in frame.group_by("model", maintain_order=True):
            yield str(model), part


def model_heading(frame: pl.DataFrame, model: object) -> str:
    """Return the model's name if there are several models."""
    return str(model) if frame["model"].n_unique() > 1 else ""


def tasks_of(frame: pl.DataFrame) -> list[str]:
    """List the tasks, all tasks together first; a single task stands for itself."""
    names = frame["task"].unique().sort().to_list()
    single = [name for name in names if name != ALL]
    return [ALL, *single] if ALL in names and len(single) > 1 else single


def task_title(task: str) -> str:
    """Return the title of a task's figures."""
    return "all tasks" if task == ALL else task


def limits_by_task(frame: pl.DataFrame, ends: Callable[[pl.DataFrame], Limits]) -> dict[str, Limits]:
    """Return the ends of an axis for each task: panels of one task can be compared, over all models."""
    return {str(task): ends(part) for (task,), part in frame.group_by("task", maintain_order=True)}


def without_flat(frame: pl.DataFrame, who: str, nothing: pl.Expr) -> tuple[pl.DataFrame, list[str]]:
    """Leave out what changes nothing anywhere, and say so.

    Args:
        frame: rows of `model`, `task` and more.
        who: column that names what may change nothing, such as `method`.
        nothing: whether a row shows no change.

    Returns:
        The rows of each model, task and `who` of which any shows a change; and a sentence on each of the others.
    """
    if frame.is_empty():
        return frame, []
    keys = ["model", "task", who]
    still = frame.with_columns(_still=nothing.all().over(keys))
    whole = still.select(*keys, "_still").unique(keys, maintain_order=True)
    sentences = []
    for (model, name), part in whole.group_by("model", who, maintain_order=True):
        of = f" ({model})" if heading_needed(frame) else ""
        where = [str(task) for task in part.filter("_still")["task"] if task != ALL]
        if part["_still"].all():
            sentences.append(f"{name} changed nothing{of}.")
        elif where:
            sentences.append(f"{name} changed nothing on {', '.join(where)}{of}.")
    return still.filter(~pl.col("_still")).drop("_still"), sentences


def heading_needed(frame: pl.DataFrame) -> bool:
    """Return whether figures must say which model they are about."""
    return frame["model"].n_unique() > 1
