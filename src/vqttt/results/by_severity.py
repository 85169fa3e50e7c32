"""Changes of accuracy by degradation and severity, with a flag on changes beyond chance.

Scores are 0 to 1, and an answer counts as right from 0.5 up. `n` counts questions and `images` the images that they ask
about, which intervals and tests take for independent.
"""

from typing import Any

import polars as pl

from vqttt.results.clusters import sign_flip
from vqttt.results.statistics import ALPHA, RIGHT, holm
from vqttt.results.summary import accuracy_of_cells, chance, clean_and_degraded, counts, images, mean_of_cells
from vqttt.runs.records import ALL, CLEAN, NONE

_KEYS = ["model", "task", "method", "degradation", "severity"]


def quality_by_severity(records: pl.DataFrame) -> pl.DataFrame:
    """Return how degradation changes the untuned model's accuracy.

    Columns are those of `gains_by_severity`; the method is the baseline's in every row.
    """
    pairs = clean_and_degraded(records).with_columns(method=pl.lit(NONE))
    return _changes(pairs.rename({"clean_score": "before", "base_score": "after"}))


def gains_by_severity(records: pl.DataFrame) -> pl.DataFrame:
    """Return what each method other than the baseline gains over the untuned model on degraded images.

    One row for each model, task (and `all`), method, degradation and severity: `n`, `images`; `accuracy` on the
    degraded images with its interval, `accuracy_low` to `accuracy_high`, and the mean `chance` of guessing, null unless
    it is known for all; `delta`, the mean of the cells' mean changes, with its interval, `ci_low` to `ci_high`;
    `corrective` and `destructive`, the numbers of samples right more often and less often than before, over their
    seeds, scales and restorers; `p_holm`, the p-value of `sign_flip` on the images' net numbers of corrected answers
    after Holm's correction, over the rows of all single tasks or over those of `all`; and `beyond`, whether the change
    is beyond chance. With one seed and one question an image the test is McNemar's. Empty if there are no such records.
    """
    tuned = records.filter(pl.col("degradation") != CLEAN, pl.col("method") != NONE)
    return _changes(tuned.rename({"base_score": "before", "score": "after"}))


def _changes(pairs: pl.DataFrame) -> pl.DataFrame:
    if pairs.is_empty():
        return pl.DataFrame()
    flip = (pl.col("after") >= RIGHT).cast(pl.Int64) - (pl.col("before") >= RIGHT).cast(pl.Int64)
    pairs = pairs.with_columns(pl.Series("image", images(pairs)), flip=flip)
    over_tasks = [name for name in _KEYS if name != "task"]
    together = [_row(group) | {"task": ALL} for group in pairs.partition_by(over_tasks, maintain_order=True)]
    single = [_row(group) for group in pairs.partition_by(_KEYS, maintain_order=True)]
    tested = [
        frame.with_columns(p_holm=holm(frame["p_value"].to_numpy()))
        for frame in (pl.DataFrame(rows, schema_overrides={"chance": pl.Float64}) for rows in (together, single))
    ]
    frame = pl.concat([part.sort(_KEYS) for part in tested]).drop("p_value")
    return frame.with_columns(beyond=pl.col("p_holm") < ALPHA)


def _row(pairs: pl.DataFrame) -> dict[str, Any]:
    """Summarise the pairs of one condition."""
    right = accuracy_of_cells(pairs, "after")
    change = mean_of_cells(pairs, pl.col("after") - pl.col("before"))
    samples = pairs.group_by("task", "sample_id", maintain_order=True).agg(pl.col("flip").sum())["flip"]
    net = pairs.group_by("image", maintain_order=True).agg(pl.col("flip").sum())["flip"]
    return (
        pairs.select(_KEYS).row(0, named=True)
        | counts(pairs)
        | {"accuracy": right.value, "accuracy_low": right.low, "accuracy_high": right.high, "chance": chance(pairs)}
        | {"delta": change.value, "ci_low": change.low, "ci_high": change.high}
        | {"corrective": int((samples > 0).sum()), "destructive": int((samples < 0).sum())}
        | {"p_value": sign_flip(net.to_numpy())}
    )
