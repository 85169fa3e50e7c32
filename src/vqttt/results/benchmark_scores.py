"""Scores that benchmarks define beyond the mean of their questions' scores, for every cell of a run."""

from typing import Any

import polars as pl

from vqttt.runs.records import CELL
from vqttt.scoring.aggregates import AGGREGATES, aggregate


def benchmark_scores(records: pl.DataFrame) -> pl.DataFrame:
    """Compute each cell's benchmark scores (see `vqttt.scoring.aggregates`) from strict scores, without format credit.

    One row for each cell of a benchmark that has such scores and each of its scores: the columns of `CELL`, the name of
    the `score`, and its values `untuned` and `with_method`. Empty if the run has no such benchmark.
    """
    scored = records.filter(pl.col("task").str.split(":").list.first().is_in(list(AGGREGATES)))
    rows = list[dict[str, Any]]()
    for cell in scored.partition_by(CELL, maintain_order=True):
        tuned = cell.select("sample_id", "category", "question_type", "reference", "answer", "score")
        untuned = tuned.with_columns(cell["base_answer"].alias("answer"), cell["base_score"].alias("score"))
        before, after = (aggregate(cell["task"][0], part.to_dicts()) for part in (untuned, tuned))
        key = cell.select(CELL).row(0, named=True)
        rows += [key | {"score": name, "untuned": before[name], "with_method": after[name]} for name in after]
    return pl.DataFrame(rows, infer_schema_length=None)
