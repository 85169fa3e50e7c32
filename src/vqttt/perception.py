"""Does a picture of higher measured quality get a better answer? Rank correlations of the measures with the scores."""

import math
from functools import lru_cache

import numpy as np
import polars as pl

from vqttt import stats
from vqttt.quality import METRICS
from vqttt.stats import DRAWS, Estimate, Floats

BINS = 8
"""Into how many equal shares `accuracy_by_quality` divides the pictures."""


def rank_correlations(records: pl.DataFrame) -> pl.DataFrame:
    """Correlate every measure of quality with the untuned model's score, by ranks (Spearman), one row a model and task.

    `rho` is over all pictures of a task. `within` is over the pictures of the same question only: ranks and scores less
    their mean for that question, so that hard questions do not count as bad pictures. Each has a 95% interval from a
    bootstrap over samples with all their conditions; ranks are those of the whole. `noise_level` is expected to be
    negative where quality matters. A correlation that cannot be taken, since nothing varies, is NaN.
    """
    rows = []
    for (model, task), group in _pictures(records).group_by("model", "task", maintain_order=True):
        samples = group["sample_id"].rank("dense").to_numpy() - 1
        score = group["base_score"].to_numpy()
        for metric in METRICS:
            rank = group[metric].rank("average").to_numpy()
            overall = clustered_correlation(rank, group["base_score"].rank("average").to_numpy(), samples)
            within = clustered_correlation(_less_mean(rank, samples), _less_mean(score, samples), samples)
            rows.append(
                {"model": model, "task": task, "metric": metric, "n": len(group)}
                | {"rho": overall.value, "rho_low": overall.low, "rho_high": overall.high}
                | {"within": within.value, "within_low": within.low, "within_high": within.high}
            )
    return pl.DataFrame(rows)


def accuracy_by_quality(records: pl.DataFrame) -> pl.DataFrame:
    """Take the untuned model's accuracy in `BINS` equal shares of a task's pictures, from worst measured to best.

    Rows of `model`, `task`, `metric`, `bin` (0 is the lowest measure), `value` (its mean) and `accuracy`. Where many
    pictures measure the same, they share a bin, and bins may be missing.
    """
    parts = []
    for (model, task), group in _pictures(records).group_by("model", "task", maintain_order=True):
        for metric in METRICS:
            # Equal measures share a bin, for their order says nothing.
            share = ((group[metric].rank("average") - 0.5) * BINS / len(group)).floor().cast(pl.Int64)
            taken = group.select(bin=share, value=metric, accuracy="base_score").group_by("bin").mean().sort("bin")
            parts.append(taken.with_columns(model=pl.lit(model), task=pl.lit(task), metric=pl.lit(metric)))
    return pl.concat(parts) if parts else pl.DataFrame()


def clustered_correlation(x: Floats, y: Floats, clusters: Floats, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """Return Pearson's correlation with an interval from a bootstrap that draws whole clusters; NaN if nothing varies.

    Args:
        x: one number a row; likewise `y`.
        y: see `x`.
        clusters: 0 to one less than their number; which cluster a row belongs to.
        seed: of the bootstrap.
        draws: how many.
    """
    x, y = x - x.mean(), y - y.mean()
    moments = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y])
    members = clusters.astype(np.int64)
    sums = np.stack([np.bincount(members, weights=moment) for moment in moments], axis=1)
    weights = _resampled(len(sums), seed, draws)
    value = float(_correlation(sums.sum(axis=0, keepdims=True))[0])
    if math.isnan(value):
        return Estimate(math.nan, math.nan, math.nan)
    low, high = np.nanquantile(_correlation(weights @ sums), [stats.ALPHA / 2, 1 - stats.ALPHA / 2])
    return Estimate(value, float(low), float(high))


@lru_cache(maxsize=2)  # the measures of a task draw the same samples
def _resampled(n: int, seed: int, draws: int) -> Floats:
    """Draw how often each of n clusters is in each of the bootstrap's samples, (draws, n)."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)


def _correlation(sums: Floats) -> Floats:
    """Correlate from sums (draws, 6) of 1, x, y, x squared, y squared and x times y."""
    n, x, y, xx, yy, xy = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(np.maximum(n * xx - x * x, 0)) * np.sqrt(np.maximum(n * yy - y * y, 0))
        correlation: Floats = np.where(spread > 1e-9, (n * xy - x * y) / spread, np.nan)
    return correlation


def _less_mean(values: Floats, clusters: Floats) -> Floats:
    members = clusters.astype(np.int64)
    means = np.bincount(members, weights=values) / np.bincount(members)
    centred: Floats = values - means[members]
    return centred


def _pictures(records: pl.DataFrame) -> pl.DataFrame:
    """Take every picture that was answered, once."""
    return stats.untuned(records).filter(pl.col("error") == "", pl.col("psnr").is_not_nan())
