"""Whether images of higher measured quality get better answers: quality measures against the untuned model's scores."""

import numpy as np
import polars as pl

from vqttt.images.quality import METRICS
from vqttt.results import summary
from vqttt.results.statistics import Floats, clustered_correlation

BINS = 8
"""Number of equal shares into which `accuracy_by_quality` divides the images."""


def rank_correlations(records: pl.DataFrame) -> pl.DataFrame:
    """Correlate every quality measure with the untuned model's score, one row per model, task and measure.

    `rho` is Spearman's rank correlation over all images of a task. `within` compares images of the same question only:
    it is Pearson's correlation of ranks and scores after subtracting each question's mean, so that hard questions do
    not count as bad images. Each has a 95% interval from a bootstrap over source images (`images`) with all their
    questions and conditions; ranks are taken once, over all `n` degraded images. Expect negative values for
    `noise_level` if quality matters. A correlation is NaN if nothing varies.
    """
    rows = []
    for (model, task), group in _answered_images(records).group_by("model", "task", maintain_order=True):
        samples = group["sample_id"].rank("dense").to_numpy() - 1
        sources = summary.images(group) - 1
        score = group["base_score"].to_numpy()
        for metric in METRICS:
            rank = group[metric].rank("average").to_numpy()
            overall = clustered_correlation(rank, group["base_score"].rank("average").to_numpy(), sources)
            within = clustered_correlation(_centred(rank, samples), _centred(score, samples), sources)
            rows.append(
                {"model": model, "task": task, "metric": metric, "n": len(group)}
                | {"images": len(np.unique(sources))}
                | {"rho": overall.value, "rho_low": overall.low, "rho_high": overall.high}
                | {"within": within.value, "within_low": within.low, "within_high": within.high}
            )
    return pl.DataFrame(rows)


def _centred(values: Floats, clusters: Floats) -> Floats:
    """Subtract from each value the mean of its cluster."""
    cluster_of = clusters.astype(np.int64)
    means = np.bincount(cluster_of, weights=values) / np.bincount(cluster_of)
    centred: Floats = values - means[cluster_of]
    return centred


def accuracy_by_quality(records: pl.DataFrame) -> pl.DataFrame:
    """Return the untuned model's accuracy in `BINS` equal shares of a task's images, sorted by each quality measure.

    Rows of `model`, `task`, `metric`, `bin` (0 holds the lowest values), `value` (the mean of the measure) and
    `accuracy`. Images with equal values share a bin, so bins may be missing.
    """
    parts = []
    for (model, task), group in _answered_images(records).group_by("model", "task", maintain_order=True):
        for metric in METRICS:
            # Average ranks put equal values into one bin, because their order carries no information.
            share = ((group[metric].rank("average") - 0.5) * BINS / len(group)).floor().cast(pl.Int64)
            binned = group.select(bin=share, value=metric, accuracy="base_score").group_by("bin").mean().sort("bin")
            parts.append(binned.with_columns(model=pl.lit(model), task=pl.lit(task), metric=pl.lit(metric)))
    return pl.concat(parts) if parts else pl.DataFrame()


def _answered_images(records: pl.DataFrame) -> pl.DataFrame:
    """Select one record for each image that was answered."""
    return summary.untuned(records).filter(pl.col("error") == "", pl.col("psnr").is_not_nan())
