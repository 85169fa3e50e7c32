"""Changes of accuracy by degradation and severity, with a flag on changes beyond chance.

Scores are 0 to 1, and an answer counts as right from 0.5 up.
"""

import polars as pl
from scipy.special import bdtr

from vqttt.results.statistics import ALPHA, holm
from vqttt.results.summary import clean_and_degraded
from vqttt.runs.records import ALL, CELL, CLEAN, NONE

_KEYS = ["model", "task", "method", "degradation", "severity"]


def quality_by_severity(records: pl.DataFrame) -> pl.DataFrame:
    """Return how degradation changes the untuned model's accuracy.

    Columns are those of `gains_by_severity`; the method is the baseline's in every row.
    """
    pairs = clean_and_degraded(records).with_columns(method=pl.lit(NONE))
    return _changes(pairs.rename({"clean_score": "before", "base_score": "after"}))


def gains_by_severity(records: pl.DataFrame) -> pl.DataFrame:
    """Return what each method other than the baseline gains over the untuned model on degraded images.

    One row for each model, task (and `all`), method, degradation and severity: `delta`, the mean of the cells' mean
    changes; `helped` and `hurt`, the numbers of samples right more often and less often than before, over their seeds,
    scales and restorers; `p_holm`, the p-value of a sign test between these two after Holm's correction, over the rows
    of all single tasks or over those of `all`; and `beyond`, whether the change is beyond chance. With one seed the
    test is McNemar's. Empty if there are no such records.
    """
    tuned = records.filter(pl.col("degradation") != CLEAN, pl.col("method") != NONE)
    return _changes(tuned.rename({"base_score": "before", "score": "after"}))


def _changes(pairs: pl.DataFrame) -> pl.DataFrame:
    if pairs.is_empty():
        return pl.DataFrame()
    flip = (pl.col("after") >= 0.5).cast(pl.Int64) - (pl.col("before") >= 0.5).cast(pl.Int64)
    pairs = pairs.with_columns(delta=pl.col("after") - pl.col("before"), flip=flip)
    samples = pairs.group_by(*_KEYS, "sample_id", maintain_order=True).agg(pl.col("flip").sum())
    counts = samples.group_by(_KEYS, maintain_order=True).agg(
        helped=(pl.col("flip") > 0).sum(), hurt=(pl.col("flip") < 0).sum()
    )
    means = (
        pairs.group_by(CELL, maintain_order=True)
        .agg(pl.col("delta").mean())
        .group_by(_KEYS, maintain_order=True)
        .agg(pl.col("delta").mean(), cells=pl.len())
    )
    single = means.join(counts, on=_KEYS).with_columns(pl.col("helped", "hurt").cast(pl.Int64))
    weighted = pl.col("delta").dot("cells") / pl.col("cells").sum()
    together = single.group_by("model", "method", "degradation", "severity", maintain_order=True).agg(
        weighted.alias("delta"), pl.col("cells", "helped", "hurt").sum()
    )
    parts = [together.with_columns(task=pl.lit(ALL)).select(single.columns), single]
    tested = pl.concat([_tested(part.sort(_KEYS)) for part in parts])
    return tested.with_columns(beyond=pl.col("p_holm") < ALPHA).drop("cells")


def _tested(changes: pl.DataFrame) -> pl.DataFrame:
    """Add `p_holm`, corrected over all rows."""
    helped, hurt = changes["helped"].to_numpy(), changes["hurt"].to_numpy()
    fewer = changes.select(pl.min_horizontal("helped", "hurt")).to_series().to_numpy()
    p_values = (2 * bdtr(fewer, helped + hurt, 0.5)).clip(max=1)
    return changes.with_columns(p_holm=holm(p_values))
