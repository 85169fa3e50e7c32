"""Compare two runs: what the second answers better or worse than the first, on the same images and questions."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from vqttt.errors import InputError
from vqttt.results.clusters import sign_flip
from vqttt.results.statistics import TIE, flips, holm
from vqttt.results.summary import by_task, chance, counts, images, mean_of_cells
from vqttt.runs.records import ALL, CELL

_OTHER_IMAGE = (
    (pl.col("image_sha256") != "") & (pl.col("image_first") != "") & (pl.col("image_sha256") != pl.col("image_first"))
)
"""Whether two runs used different images, as two versions of a degradation do. A failed sample has no image."""


class Unpaired(NamedTuple):
    """What `compare` leaves out.

    Attributes:
        first, second: answers of one run without a counterpart in the other.
        cells, questions: cells and questions that only one of the runs has.
        images: pairs of answers to different images.
    """

    first: int
    second: int
    cells: int
    questions: int
    images: int


def compare(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """Pair the records of two runs and return what the second gains over the first.

    Records pair if sample and cell are the same. If each run has a single model, or a single method, these may differ:
    they are then what is compared. One row for each task (and all together) and method: distinct samples `n` and
    `images`, `cells`, accuracies of the `first` and the `second` run, the mean `chance` of guessing (null unless known
    for all), the difference `delta` with its interval, flips (`corrective` and `destructive`), and a p-value, raw and
    after Holm's correction over the rows. The test is `sign_flip` over images, on how many more samples gain than lose
    over all their conditions; rounding noise is no gain. For a single condition and one question an image it is
    McNemar's. With a single task there is no row for all.

    Raises:
        InputError: if the runs have no cell, or no image, in common.
    """
    pairs = _paired(first, second)
    if pairs.is_empty():
        raise InputError("the two runs have no cell in common; they need shared tasks, conditions, seeds and methods")
    pairs = pairs.filter(~_OTHER_IMAGE)
    if pairs.is_empty():
        raise InputError("the two runs share cells, but every image differs; were they made by different versions?")
    rows = []
    for _, task, method, cells in by_task(pairs):
        if task == ALL and pairs["task"].n_unique() == 1:
            continue
        gain = mean_of_cells(cells, pl.col("score") - pl.col("base_score"))
        flipped = flips(cells["base_score"].to_numpy(), cells["score"].to_numpy())
        means = cells.group_by(CELL).agg(pl.col("score", "base_score").mean())
        other = cells["method_first"][0]
        rows.append(
            {"task": task, "method": method if method == other else f"{other} → {method}"}
            | counts(cells)
            | {"cells": len(means)}
            | {"first": means["base_score"].mean(), "second": means["score"].mean(), "chance": chance(cells)}
            | {"delta": gain.value, "ci_low": gain.low, "ci_high": gain.high}
            | flipped._asdict()
            | {"p_value": _sign_test(cells)}
        )
    frame = pl.DataFrame(rows, schema_overrides={"chance": pl.Float64})
    return frame.with_columns(p_holm=holm(frame["p_value"].to_numpy()))


def _sign_test(cells: pl.DataFrame) -> float:
    """Return the p-value of as many samples gaining as losing, each over all its conditions, clustered by image."""
    change = (pl.col("score") - pl.col("base_score")).mean()
    side = pl.when(change.abs() < TIE).then(0).otherwise(change.sign())
    cells = cells.with_columns(pl.Series("image", images(cells)))
    samples = cells.group_by("image", "task", "sample_id").agg(side=side)
    return sign_flip(samples.group_by("image").agg(pl.col("side").sum())["side"].to_numpy())


def unpaired(first: pl.DataFrame, second: pl.DataFrame) -> Unpaired:
    """Count what `compare` leaves out."""

    def only_one_has(columns: Sequence[str]) -> int:
        one, other = (set(run.select(columns).unique().iter_rows()) for run in (first, second))
        return len(one ^ other)

    pairing, pairs = _pairing_columns(first, second), _paired(first, second)
    return Unpaired(
        first=len(first) - len(pairs),
        second=len(second) - len(pairs),
        cells=only_one_has(pairing[:-1]),
        questions=only_one_has(["task", "sample_id"]),
        images=len(pairs.filter(_OTHER_IMAGE)),
    )


def _paired(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """Return the second run's records with the first run's `score` as `base_score`."""
    pairing = _pairing_columns(first, second)
    theirs = first.select(*pairing, base_score="score", method_first="method", image_first="image_sha256")
    return second.drop("base_score").join(theirs, on=pairing, how="inner", maintain_order="left")


def _pairing_columns(first: pl.DataFrame, second: pl.DataFrame) -> list[str]:
    """List the columns that pair records, the sample last; leave out model or method where each run has just one."""
    free = [name for name in ("model", "method") if first[name].n_unique() == second[name].n_unique() == 1]
    return [name for name in (*CELL, "sample_id") if name not in free]
