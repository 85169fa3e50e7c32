"""Does an image of higher measured quality get a better answer? Rank correlations of the measures with the scores."""

import numpy as np
import polars as pl

from vqttt.images.quality import METRICS
from vqttt.results import summary
from vqttt.results.statistics import Floats, clustered_correlation

BINS = 8
"""Into how many equal shares `accuracy_by_quality` divides the images."""


def rank_correlations(records: pl.DataFrame) -> pl.DataFrame:
    """Correlate every measure of quality with the untuned model's score, by ranks (Spearman), one row a model and task.

    `rho` is over all images of a task. `within` is over the images of the same question only: ranks and scores less
    their mean for that question, so that hard questions do not count as bad images. Each has a 95% interval from a
    bootstrap over samples with all their conditions; ranks are those of the whole. `noise_level` is expected to be
    negative where quality matters. A correlation that cannot be taken, since nothing varies, is NaN.
    """
    rows = []
    for (model, task), group in _images(records).group_by("model", "task", maintain_order=True):
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
    """Take the untuned model's accuracy in `BINS` equal shares of a task's images, from worst measured to best.

    Rows of `model`, `task`, `metric`, `bin` (0 is the lowest measure), `value` (its mean) and `accuracy`. Where many
    images measure the same, they share a bin, and bins may be missing.
    """
    parts = []
    for (model, task), group in _images(records).group_by("model", "task", maintain_order=True):
        for metric in METRICS:
            # Equal measures share a bin, for their order says nothing.
            share = ((group[metric].rank("average") - 0.5) * BINS / len(group)).floor().cast(pl.Int64)
            taken = group.select(bin=share, value=metric, accuracy="base_score").group_by("bin").mean().sort("bin")
            parts.append(taken.with_columns(model=pl.lit(model), task=pl.lit(task), metric=pl.lit(metric)))
    return pl.concat(parts) if parts else pl.DataFrame()


def _less_mean(values: Floats, clusters: Floats) -> Floats:
    members = clusters.astype(np.int64)
    means = np.bincount(members, weights=values) / np.bincount(members)
    centred: Floats = values - means[members]
    return centred


def _images(records: pl.DataFrame) -> pl.DataFrame:
    """Take every image that was answered, once."""
    return summary.untuned(records).filter(pl.col("error") == "", pl.col("psnr").is_not_nan())
