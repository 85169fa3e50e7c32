"""Two runs side by side: what the second answers otherwise than the first, on the same images and questions."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from vqttt.errors import InputError
from vqttt.results.statistics import flips, holm, mcnemar
from vqttt.results.summary import by_task, mean_of_cells
from vqttt.runs.records import ALL, CELL

_OTHER_PICTURE = (
    (pl.col("image_sha256") != "") & (pl.col("image_first") != "") & (pl.col("image_sha256") != pl.col("image_first"))
)
"""Another version may degrade otherwise; a sample that failed has no image."""


def compare(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """Pair the records of two runs and return what the second gains over the first.

    Rows pair where sample and cell are the same. Where each run has one model, or one method, these may differ: that
    is then what is compared. One row for each task (and all together) and method: distinct samples `n`, `cells`,
    accuracies of the `first` and the `second`, the difference with its interval, flips, and a p-value after Holm's
    correction over the rows: of the sign test over samples, each with all its conditions, which for one condition is
    McNemar's. Of one task there is no row for all.

    Raises:
        InputError: if the runs have nothing in common.
    """
    pairs = _paired(first, second)
    if pairs.is_empty():
        raise InputError("the two runs have no cell in common: tasks, conditions, seeds or methods all differ")
    pairs = pairs.filter(~_OTHER_PICTURE)
    if pairs.is_empty():
        raise InputError("the two runs have the same cells, but every image differs: made by different versions?")
    rows = []
    for _, task, method, cells in by_task(pairs):
        if task == ALL and pairs["task"].n_unique() == 1:
            continue
        gain = mean_of_cells(cells, pl.col("score") - pl.col("base_score"))
        before, after = cells["base_score"].to_numpy(), cells["score"].to_numpy()
        fixed, broken = flips(before, after)
        means = cells.group_by(CELL).agg(pl.col("score", "base_score").mean())
        other = cells["method_first"][0]
        rows.append(
            {"task": task, "method": method if method == other else f"{other} → {method}"}
            | {"n": cells.select("task", "sample_id").n_unique(), "cells": len(means)}
            | {"first": means["base_score"].mean(), "second": means["score"].mean()}
            | {"delta": gain.value, "ci_low": gain.low, "ci_high": gain.high}
            | {"corrective": fixed, "destructive": broken, "p_value": _sign_test(cells)}
        )
    frame = pl.DataFrame(rows)
    return frame.with_columns(p_holm=holm(frame["p_value"].to_numpy()))


def _sign_test(cells: pl.DataFrame) -> float:
    """Return the p-value of as many samples gaining as losing, each over all its conditions."""
    changes = cells.group_by("task", "sample_id").agg(change=(pl.col("score") - pl.col("base_score")).mean())["change"]
    return mcnemar((changes < 0).to_numpy(), (changes > 0).to_numpy())


class Unpaired(NamedTuple):
    """What two runs cannot be compared in.

    Attributes:
        first, second: answers of the one run that have no partner in the other.
        cells, questions: that only one of the runs has.
        images: answers of both that are to different images.
    """

    first: int
    second: int
    cells: int
    questions: int
    images: int


def unpaired(first: pl.DataFrame, second: pl.DataFrame) -> Unpaired:
    """Count what `compare` leaves out."""

    def only_one_has(columns: Sequence[str]) -> int:
        one, other = (set(run.select(columns).unique().iter_rows()) for run in (first, second))
        return len(one ^ other)

    same, pairs = _same(first, second), _paired(first, second)
    return Unpaired(
        first=len(first) - len(pairs),
        second=len(second) - len(pairs),
        cells=only_one_has(same[:-1]),
        questions=only_one_has(["task", "sample_id"]),
        images=len(pairs.filter(_OTHER_PICTURE)),
    )


def _paired(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    same = _same(first, second)
    theirs = first.select(*same, base_score="score", method_first="method", image_first="image_sha256")
    return second.drop("base_score").join(theirs, on=same, how="inner", maintain_order="left")


def _same(first: pl.DataFrame, second: pl.DataFrame) -> list[str]:
    """List the columns that pair rows; model or method is none of them where each run has just one."""
    free = [name for name in ("model", "method") if first[name].n_unique() == second[name].n_unique() == 1]
    return [name for name in (*CELL, "sample_id") if name not in free]
