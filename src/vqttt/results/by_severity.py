"""What changes where: by degradation and severity, with a mark where a change is more than chance.

Scores are 0 to 1 and count as right from 0.5 up, as in `stats`; frames of records are those of `stats`.
"""

import polars as pl
from scipy.special import bdtr

from vqttt.results.statistics import ALPHA, holm
from vqttt.results.summary import clean_and_degraded
from vqttt.runs.records import ALL, CELL, CLEAN, NONE

_SPOT = ["model", "task", "method", "degradation", "severity"]


def quality_map(records: pl.DataFrame) -> pl.DataFrame:
    """Map what degradation does to the untuned model; rows as of `gain_map`, all of the baseline's method."""
    pairs = clean_and_degraded(records).with_columns(method=pl.lit(NONE))
    return _map(pairs.rename({"clean_score": "before", "base_score": "after"}))


def gain_map(records: pl.DataFrame) -> pl.DataFrame:
    """Map what each method but the baseline gains over the untuned model on degraded images.

    One row for each model, task (and `all`), method, degradation and severity: `delta`, the mean of the cells' mean
    changes; `helped` and `hurt`, samples more often right and less often right over their seeds, scales and restorers;
    `p_holm`, that of a sign test between these after Holm's correction over all tasks' rows, or over those of `all`;
    and whether the change is `beyond` chance. With one seed the test is McNemar's. Empty if there is nothing to show.
    """
    tuned = records.filter(pl.col("degradation") != CLEAN, pl.col("method") != NONE)
    return _map(tuned.rename({"base_score": "before", "score": "after"}))


def _map(changes: pl.DataFrame) -> pl.DataFrame:
    if changes.is_empty():
        return pl.DataFrame()
    right = (pl.col("after") >= 0.5).cast(pl.Int64) - (pl.col("before") >= 0.5).cast(pl.Int64)
    changes = changes.with_columns(delta=pl.col("after") - pl.col("before"), turned=right)
    samples = changes.group_by(*_SPOT, "sample_id", maintain_order=True).agg(pl.col("turned").sum())
    counts = samples.group_by(_SPOT, maintain_order=True).agg(
        helped=(pl.col("turned") > 0).sum(), hurt=(pl.col("turned") < 0).sum()
    )
    means = (
        changes.group_by(CELL, maintain_order=True)
        .agg(pl.col("delta").mean())
        .group_by(_SPOT, maintain_order=True)
        .agg(pl.col("delta").mean(), cells=pl.len())
    )
    spots = means.join(counts, on=_SPOT).with_columns(pl.col("helped", "hurt").cast(pl.Int64))
    weight = pl.col("delta").dot("cells") / pl.col("cells").sum()
    over_all = spots.group_by("model", "method", "degradation", "severity", maintain_order=True).agg(
        weight.alias("delta"), pl.col("cells", "helped", "hurt").sum()
    )
    parts = [over_all.with_columns(task=pl.lit(ALL)).select(spots.columns), spots]
    found = pl.concat([_tested(part.sort(_SPOT)) for part in parts])
    return found.with_columns(beyond=pl.col("p_holm") < ALPHA).drop("cells")


def _tested(spots: pl.DataFrame) -> pl.DataFrame:
    helped, hurt = spots["helped"].to_numpy(), spots["hurt"].to_numpy()
    fewer = spots.select(pl.min_horizontal("helped", "hurt")).to_series().to_numpy()
    p_values = (2 * bdtr(fewer, helped + hurt, 0.5)).clip(max=1)
    return spots.with_columns(p_holm=holm(p_values))
