"""Statistics of paired scores: intervals, tests, sample sizes and calibration. Numbers in, numbers out.

Scores lie between 0 and 1, and an answer counts as right from 0.5 up. All intervals are 95% intervals.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, ndtr, ndtri

Floats: TypeAlias = NDArray[np.float64]

ALPHA = 0.05
"""Significance level of every test; intervals have the level 1 - `ALPHA`."""

DRAWS = 2000
"""Bootstrap draws per interval."""

MARGIN = 0.02
"""Changes of accuracy within two points either way count as no effect."""


class Estimate(NamedTuple):
    """A mean and its 95% interval."""

    value: float
    low: float
    high: float


class Flips(NamedTuple):
    """Counts of answers that became right (`corrected`) and of answers that became wrong (`broken`)."""

    corrected: int
    broken: int


class Bin(NamedTuple):
    """One bin of a reliability curve: number of samples, their mean confidence, and their mean score."""

    samples: int
    confidence: float
    accuracy: float


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Return Wilson's interval for a proportion; `successes` may be fractional; (0, 1) if `n` is 0."""
    if n == 0:
        return 0.0, 1.0
    z = float(ndtri(1 - ALPHA / 2))
    rate, shrink = successes / n, 1 + z * z / n
    centre = (rate + z * z / (2 * n)) / shrink
    half = z / shrink * float(np.sqrt(rate * (1 - rate) / n + (z / (2 * n)) ** 2))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def flips(before: ArrayLike, after: ArrayLike) -> Flips:
    """Count the answers that changed between right and wrong."""
    was, now = np.asarray(before) >= 0.5, np.asarray(after) >= 0.5
    return Flips(corrected=int((~was & now).sum()), broken=int((was & ~now).sum()))


def mcnemar(before: ArrayLike, after: ArrayLike) -> float:
    """Return the exact two-sided p-value of McNemar's test; 1 if no pair disagrees."""
    corrected, broken = flips(before, after)
    return min(1.0, 2 * float(bdtr(min(corrected, broken), corrected + broken, 0.5)))


def holm(p_values: ArrayLike) -> Floats:
    """Adjust a family of p-values so that the chance of any false positive stays below the level (Holm 1979)."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


def equivalence(before: ArrayLike, after: ArrayLike, margin: float = MARGIN) -> float:
    """Return the p-value of two one-sided tests for a mean change within +-`margin` (Schuirmann 1987).

    A value below 0.05 shows that the change is that small; a large p-value of a test for a difference never shows
    this. Mean and spread are computed over the changes and four added samples: a gain, a loss and two unchanged (after
    Agresti and Min 2005). Without these, a hundred unchanged questions would seem to prove that fewer than one in fifty
    can change.
    """
    change = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    n = len(change) + 4
    mean = float(change.sum()) / n
    error = math.sqrt((float(np.square(change).sum() + 2) / n - mean**2) / n)
    return float(ndtr((abs(mean) - margin) / error))


def paired_difference(before: ArrayLike, after: ArrayLike, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """Return the mean of `after - before` with a percentile interval from a bootstrap over samples."""
    difference = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    # Resampling n values is one multinomial draw over the distinct values: exact, and far smaller than n indices.
    values, counts = np.unique(difference, return_counts=True)
    n = len(difference)
    means = np.random.default_rng(seed).multinomial(n, counts / n, size=draws) @ values / n
    return Estimate(float(difference.mean()), *_percentiles(means))


def cluster_mean(
    values: ArrayLike, cells: ArrayLike, clusters: ArrayLike, strata: ArrayLike, seed: int = 0, draws: int = DRAWS
) -> Estimate:
    """Return the mean of the cells' means, with an interval that accounts for samples recurring across cells.

    The bootstrap draws whole clusters (a sample with all its conditions), separately in each stratum (task). Treating
    the rows as independent would make the interval far too narrow.

    Args:
        values: one number per row.
        cells: the cell of each row within its stratum; all cells have equal weight.
        clusters: the sample of each row within its stratum.
        strata: the stratum of each row.
        seed: seed of the bootstrap.
        draws: number of bootstrap draws.
    """
    rows, cell_of, cluster_of, stratum_of = np.asarray(values, np.float64), *map(np.asarray, (cells, clusters, strata))
    if np.ptp(rows) == 0:  # for example the baseline, whose gains are all 0
        return Estimate(*[float(rows[0])] * 3)
    one_cell = (cell_of == cell_of[0]).all() and (stratum_of == stratum_of[0]).all()
    if one_cell and len(np.unique(cluster_of)) == len(rows):
        # A single cell must get the same interval here as in its own row of a summary.
        return paired_difference(np.zeros(len(rows)), rows, seed, draws)
    rng = np.random.default_rng(seed)
    means, resampled = [], []
    for stratum in np.unique(stratum_of):
        inside = stratum_of == stratum
        sums, counts = _cross_table(rows[inside], cluster_of[inside], cell_of[inside])
        n = len(sums)
        picks = rng.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
        weights = np.bincount(picks.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)
        means.append(sums.sum(axis=0) / counts.sum(axis=0))
        with np.errstate(invalid="ignore"):
            resampled.append((weights @ sums) / (weights @ counts))
    # A draw may miss every sample of a small cell; its mean then covers the other cells.
    spread = np.nanmean(np.hstack(resampled), axis=1)
    return Estimate(float(np.hstack(means).mean()), *_percentiles(spread))


def _cross_table(values: Floats, rows: NDArray[Any], columns: NDArray[Any]) -> tuple[Floats, Floats]:
    """Return sums and counts of the values in each row and column of a table."""
    row_names, row_of = np.unique(rows, return_inverse=True)
    column_names, column_of = np.unique(columns, return_inverse=True)
    shape = len(row_names), len(column_names)
    flat, size = row_of * shape[1] + column_of, shape[0] * shape[1]
    sums, counts = np.bincount(flat, weights=values, minlength=size), np.bincount(flat, minlength=size)
    return sums.astype(np.float64).reshape(shape), counts.astype(np.float64).reshape(shape)


def _percentiles(draws: Floats) -> tuple[float, float]:
    low, high = np.quantile(draws, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def clustered_correlation(x: Floats, y: Floats, clusters: Floats, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """Return Pearson's correlation with an interval from a bootstrap over whole clusters; NaN if nothing varies.

    Args:
        x: one number per row.
        y: one number per row.
        clusters: the cluster of each row, numbered from 0 without gaps.
        seed: seed of the bootstrap.
        draws: number of bootstrap draws.
    """
    x, y = x - x.mean(), y - y.mean()
    moments = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y])
    cluster_of = clusters.astype(np.int64)
    sums = np.stack([np.bincount(cluster_of, weights=moment) for moment in moments], axis=1)
    value = float(_correlation(sums.sum(axis=0, keepdims=True))[0])
    if math.isnan(value):
        return Estimate(math.nan, math.nan, math.nan)
    weights = _cluster_counts(len(sums), seed, draws)
    low, high = np.nanquantile(_correlation(weights @ sums), [ALPHA / 2, 1 - ALPHA / 2])
    return Estimate(value, float(low), float(high))


@lru_cache(maxsize=2)  # all quality measures of a task draw the same samples
def _cluster_counts(n: int, seed: int, draws: int) -> Floats:
    """Return how often each of n clusters occurs in each bootstrap draw, (draws, n)."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)


def _correlation(sums: Floats) -> Floats:
    """Return correlations from the sums (draws, 6) of 1, x, y, x squared, y squared and x times y."""
    n, x, y, xx, yy, xy = sums.T
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(np.maximum(n * xx - x * x, 0)) * np.sqrt(np.maximum(n * yy - y * y, 0))
        correlation: Floats = np.where(spread > 1e-9, (n * xy - x * y) / spread, np.nan)
    return correlation


def questions_needed(difference: float, discordant: float, power: float = 0.8) -> int:
    """Return how many questions McNemar's test needs to detect a change of accuracy (Connor 1987).

    Args:
        difference: size of the change, 0 to 1, without its sign.
        discordant: share of questions whose score changes either way, at least `difference`.
        power: chance of detecting the change at the two-sided 5% level.

    Raises:
        ValueError: if the numbers are out of range or contradict each other.
    """
    if not 0 < difference <= discordant <= 1 or not 0 < power < 1:
        raise ValueError(
            "need 0 < difference <= discordant <= 1 and 0 < power < 1, "
            f"but difference is {difference}, discordant {discordant} and power {power}"
        )
    level, chance = float(ndtri(1 - ALPHA / 2)), float(ndtri(power))
    spread = math.sqrt(max(discordant - difference**2, 0.0))
    return math.ceil(((level * math.sqrt(discordant) + chance * spread) / difference) ** 2)


def power_of(n: int, difference: float, discordant: float) -> float:
    """Return the chance that McNemar's test detects a change with `n` questions; inverts `questions_needed`."""
    spread = math.sqrt(max(discordant - difference**2, 1e-12))
    return float(ndtr((math.sqrt(n) * difference - float(ndtri(1 - ALPHA / 2)) * math.sqrt(discordant)) / spread))


def smallest_difference(n: int, discordant: float, power: float = 0.8) -> float | None:
    """Return the smallest change, in steps of 0.001, that `n` questions detect with the chance `power`.

    Returns None if `n` is too small for any change: the largest possible one is `discordant`, where all changed answers
    change the same way.
    """
    steps = range(1, round(1000 * discordant) + 1)
    return next((step / 1000 for step in steps if power_of(n, step / 1000, discordant) >= power), None)


def reliability(confidence: ArrayLike, score: ArrayLike, bins: int = 10) -> list[Bin]:
    """Return the non-empty bins of a reliability curve with equal-width bins; ignores non-finite confidences."""
    c, s = np.asarray(confidence, np.float64), np.asarray(score, np.float64)
    c, s = c[np.isfinite(c)], s[np.isfinite(c)]
    of = np.minimum((c * bins).astype(np.int64), bins - 1)
    return [Bin(int((of == b).sum()), float(c[of == b].mean()), float(s[of == b].mean())) for b in np.unique(of)]


def ece(confidence: ArrayLike, score: ArrayLike, failed: ArrayLike | None = None, bins: int = 10) -> float | None:
    """Return the expected calibration error over equal-width bins; None if no sample has a confidence.

    Args:
        confidence: 0 to 1; samples with a non-finite confidence are left out.
        score: 0 to 1.
        failed: marks samples to leave out.
        bins: number of bins.
    """
    kept = slice(None) if failed is None else ~np.asarray(failed, np.bool_)
    curve = reliability(np.asarray(confidence, np.float64)[kept], np.asarray(score, np.float64)[kept], bins)
    gaps = [part.samples * abs(part.confidence - part.accuracy) for part in curve]
    return sum(gaps) / sum(part.samples for part in curve) if curve else None


def risk_coverage(confidence: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats]:
    """Return coverage and risk: the error rate among the k most confident samples, for k = 1 .. n (El-Yaniv 2010).

    Samples of equal confidence share their mean score, so the curve does not depend on their order. Samples without a
    confidence come last.
    """
    c, s = np.asarray(confidence, np.float64), np.asarray(score, np.float64)
    c = np.where(np.isfinite(c), c, -1.0)
    order = np.argsort(-c, kind="stable")
    _, first, size = np.unique(-c[order], return_index=True, return_counts=True)
    shares = np.add.reduceat(s[order], first) / size
    taken = np.arange(1, len(s) + 1)
    return taken / len(s), 1 - np.cumsum(np.repeat(shares, size)) / taken
