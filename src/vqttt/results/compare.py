"""Compare two runs, or two models of one run, on the same images and questions: what the second answers better."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import polars as pl

from vqttt.errors import InputError
from vqttt.results.clusters import net_test
from vqttt.results.statistics import flips, holm
from vqttt.results.summary import by_task, chance, counts, images, mean_of_cells
from vqttt.runs.records import ALL, CELL

_HASHES = ("image_sha256", "source_sha256")
"""The columns that tell whether two answers are about the same image. Where a hash is empty, it tells nothing."""


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
    they are then what is compared. One row for each model, task (and all together) and method, with the columns of
    `difference` and `p_holm`, the p-value after Holm's correction over the rows. With a single task there is no row for
    all.

    Raises:
        InputError: if the runs have no cell, or no image, in common.
    """
    pairs = paired(first, second)
    if pairs.is_empty():
        raise InputError("the two runs have no cell in common; they need shared tasks, conditions, seeds and methods")
    pairs = pairs.filter(~pl.col("other_image"))
    if pairs.is_empty():
        raise InputError("the two runs share cells, but every image differs; were they made by different versions?")
    rows = [
        {"model": _both(cells, "model"), "task": task, "method": _both(cells, "method")} | difference(cells)
        for _, task, _, cells in by_task(pairs)
        if task != ALL or pairs["task"].n_unique() > 1
    ]
    frame = pl.DataFrame(rows, schema_overrides={"chance": pl.Float64})
    return frame.with_columns(p_holm=holm(frame["p_value"].to_numpy()))


def _both(pairs: pl.DataFrame, column: str) -> str:
    """Return the name that both runs have in a column, or the two names with an arrow between."""
    first, second = pairs.select(f"{column}_first", column).row(0)
    return str(second) if first == second else f"{first} → {second}"


def difference(pairs: pl.DataFrame) -> dict[str, Any]:
    """Return how the scores of `paired` records differ.

    Distinct questions `n` and `images`, `cells`, accuracies of the `first` and the `second`, the mean `chance` of
    guessing (null unless known for all), the difference `delta` with its interval, the answers right only in the second
    (`corrective`) and only in the first (`destructive`), and `p_value`, that of `change_test`. A failed answer counts
    as wrong.
    """
    gain = mean_of_cells(pairs, pl.col("score") - pl.col("base_score"))
    flipped = flips(pairs["base_score"].to_numpy(), pairs["score"].to_numpy())
    means = pairs.group_by(CELL, maintain_order=True).agg(pl.col("score", "base_score").mean())
    return (
        counts(pairs)
        | {"cells": len(means)}
        | {"first": means["base_score"].mean(), "second": means["score"].mean(), "chance": chance(pairs)}
        | {"delta": gain.value, "ci_low": gain.low, "ci_high": gain.high}
        | flipped._asdict()
        | {"p_value": change_test(pairs, pl.col("score") - pl.col("base_score"))}
    )


def change_test(pairs: pl.DataFrame, change: pl.Expr) -> float:
    """Return the p-value of `net_test` for a change of scores; each question counts by its mean over its conditions.

    For a single condition and answers that are right or wrong, it is McNemar's test (with one question an image).
    """
    pairs = pairs.with_columns(pl.Series("image", images(pairs)))
    questions = pairs.group_by("image", "task", "sample_id").agg(change=change.mean())
    return net_test(questions["change"].to_numpy(), questions["image"].to_numpy())


def unpaired(first: pl.DataFrame, second: pl.DataFrame) -> Unpaired:
    """Count what `compare` leaves out."""

    def only_one_has(columns: Sequence[str]) -> int:
        one, other = (set(run.select(columns).unique().iter_rows()) for run in (first, second))
        return len(one ^ other)

    pairing, pairs = _pairing_columns(first, second), paired(first, second)
    return Unpaired(
        first=len(first) - len(pairs),
        second=len(second) - len(pairs),
        cells=only_one_has(pairing[:-1]),
        questions=only_one_has(["task", "sample_id"]),
        images=int(pairs["other_image"].sum()),
    )


def left_out(first: pl.DataFrame, second: pl.DataFrame, names: tuple[str, str]) -> Iterator[str]:
    """Say what a comparison of two runs, or of two models, leaves out, a line for each reason."""
    left = unpaired(first, second)
    if left.first or left.second:
        yield (
            f"left out, because the other lacks them: answers of {names[0]}: {left.first:,}, of {names[1]}: "
            f"{left.second:,}; in only one of the two: cells: {left.cells:,}, questions: {left.questions:,}"
        )
    if left.images:
        yield f"left out, because the images differ: {left.images:,} answers of both"


def paired(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """Pair records of the same sample and cell; see `compare` for what may differ.

    Returns the second's records with the first's `score` as `base_score`, `model_first`, `method_first`, and
    `other_image`: whether the two answers are about different images, as with two versions of a degradation. A failed
    sample may have no image; it counts as about the same one.
    """
    pairing = _pairing_columns(first, second)
    hashes = [name for name in _HASHES if name in first.columns and name in second.columns]
    also = {f"{name}_first": name for name in ("model", "method", *hashes)}
    theirs = first.select(*pairing, base_score="score", **also)
    both = second.drop("base_score").join(theirs, on=pairing, how="inner", maintain_order="left")
    return both.with_columns(other_image=pl.any_horizontal(False, *map(_differ, hashes)))


def _differ(name: str) -> pl.Expr:
    """Whether the first and the second have different values in a column, neither of them empty."""
    first, second = (pl.col(column).fill_null("") for column in (f"{name}_first", name))
    return (first != "") & (second != "") & (first != second)


def _pairing_columns(first: pl.DataFrame, second: pl.DataFrame) -> list[str]:
    """List the columns that pair records, the sample last; leave out model or method where each run has just one."""
    free = [name for name in ("model", "method") if first[name].n_unique() == second[name].n_unique() == 1]
    return [name for name in (*CELL, "sample_id") if name not in free]
