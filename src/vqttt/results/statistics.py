"""Statistics of a study: intervals, paired tests, flips, calibration, and the figures of the quality paradox.

All intervals are at 95%. A score is 0 to 1, and counts as right from 0.5 up. Frames of records have the columns of
`CELL`, which say which cell a row belongs to, followed by the fields of `Record`. A sample that failed has score 0 and
stays in every n, except in calibration, since it has no confidence.
"""

import math
from functools import lru_cache
from math import ceil, sqrt
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, ndtr, ndtri

ALPHA = 0.05
DRAWS = 2000
Floats: TypeAlias = NDArray[np.float64]


class Estimate(NamedTuple):
    """A mean and its 95% interval."""

    value: float
    low: float
    high: float


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Return Wilson's interval for a proportion; `successes` may be fractional; (0, 1) if `n` is 0."""
    if n == 0:
        return 0.0, 1.0
    z = float(ndtri(1 - ALPHA / 2))
    rate, shrink = successes / n, 1 + z * z / n
    centre = (rate + z * z / (2 * n)) / shrink
    half = z / shrink * float(np.sqrt(rate * (1 - rate) / n + (z / (2 * n)) ** 2))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def paired_difference(before: ArrayLike, after: ArrayLike, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """Return the mean of `after - before` with a percentile interval from a bootstrap over samples."""
    difference = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    # Resampling n values is one multinomial draw over the distinct ones: exact, and far smaller than n indices a draw.
    values, counts = np.unique(difference, return_counts=True)
    n = len(difference)
    means = np.random.default_rng(seed).multinomial(n, counts / n, size=draws) @ values / n
    return Estimate(float(difference.mean()), *_percentiles(means))


def flips(before: ArrayLike, after: ArrayLike) -> tuple[int, int]:
    """Count the corrective (wrong to right) and the destructive (right to wrong) changes."""
    was, now = np.asarray(before) >= 0.5, np.asarray(after) >= 0.5
    return int((~was & now).sum()), int((was & ~now).sum())


def mcnemar(before: ArrayLike, after: ArrayLike) -> float:
    """Return the exact two-sided p-value of McNemar's test; 1 where no pair disagrees."""
    corrective, destructive = flips(before, after)
    return min(1.0, 2 * float(bdtr(min(corrective, destructive), corrective + destructive, 0.5)))


def holm(p_values: ArrayLike) -> Floats:
    """Adjust a family of p-values so that the chance of any false alarm stays below the level (Holm 1979)."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


class Bin(NamedTuple):
    """One bin of a reliability curve: how many samples, their mean confidence, and the share that is right."""

    samples: int
    confidence: float
    accuracy: float


def reliability(confidence: ArrayLike, score: ArrayLike, bins: int = 10) -> list[Bin]:
    """Return the filled bins of a reliability curve, over equal widths of confidence; skips what has none."""
    c, s = np.asarray(confidence, np.float64), np.asarray(score, np.float64)
    c, s = c[np.isfinite(c)], s[np.isfinite(c)]
    of = np.minimum((c * bins).astype(np.int64), bins - 1)
    return [Bin(int((of == b).sum()), float(c[of == b].mean()), float(s[of == b].mean())) for b in np.unique(of)]


def ece(confidence: ArrayLike, score: ArrayLike, failed: ArrayLike | None = None, bins: int = 10) -> float | None:
    """Return the expected calibration error over equal-width bins; None if no sample has a confidence.

    Args:
        confidence: 0 to 1; samples without a finite one are left out.
        score: 0 to 1.
        failed: marks samples to leave out.
        bins: number of bins.
    """
    kept = slice(None) if failed is None else ~np.asarray(failed, np.bool_)
    curve = reliability(np.asarray(confidence, np.float64)[kept], np.asarray(score, np.float64)[kept], bins)
    gaps = [part.samples * abs(part.confidence - part.accuracy) for part in curve]
    return sum(gaps) / sum(part.samples for part in curve) if curve else None


def cluster_mean(
    values: ArrayLike, cells: ArrayLike, clusters: ArrayLike, strata: ArrayLike, seed: int = 0, draws: int = DRAWS
) -> Estimate:
    """Return the mean of the cells' means, with an interval that knows that samples recur from cell to cell.

    The bootstrap draws whole clusters (a sample with all its conditions), each stratum (task) by itself; treating the
    rows as independent would make the interval far too narrow.

    Args:
        values: one number a row.
        cells: which cell of its stratum a row belongs to; every cell has the same weight.
        clusters: which sample of its stratum a row belongs to.
        strata: which stratum a row belongs to.
        seed: of the bootstrap.
        draws: of the bootstrap.
    """
    rows, cell_of, cluster_of, stratum_of = np.asarray(values, np.float64), *map(np.asarray, (cells, clusters, strata))
    if np.ptp(rows) == 0:  # as for the baseline, whose gains are all 0
        return Estimate(*[float(rows[0])] * 3)
    one_cell = (cell_of == cell_of[0]).all() and (stratum_of == stratum_of[0]).all()
    if one_cell and len(np.unique(cluster_of)) == len(rows):
        return paired_difference(np.zeros(len(rows)), rows, seed, draws)  # the numbers that the cell's own row has
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
    # A draw may miss every sample of a small cell; its mean is then over the cells that it did reach.
    spread = np.nanmean(np.hstack(resampled), axis=1)
    return Estimate(float(np.hstack(means).mean()), *_percentiles(spread))


def _percentiles(draws: Floats) -> tuple[float, float]:
    low, high = np.quantile(draws, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def _cross_table(values: Floats, rows: NDArray[Any], columns: NDArray[Any]) -> tuple[Floats, Floats]:
    """Add up and count the values that fall in each row and column of a table."""
    row_names, row_of = np.unique(rows, return_inverse=True)
    column_names, column_of = np.unique(columns, return_inverse=True)
    shape = len(row_names), len(column_names)
    flat, size = row_of * shape[1] + column_of, shape[0] * shape[1]
    sums, counts = np.bincount(flat, weights=values, minlength=size), np.bincount(flat, minlength=size)
    return sums.astype(np.float64).reshape(shape), counts.astype(np.float64).reshape(shape)


MARGIN = 0.02
"""A change of accuracy within two points either way counts as none."""


def equivalence(before: ArrayLike, after: ArrayLike, margin: float = MARGIN) -> float:
    """Return the p-value of two one-sided tests for a mean change within +-`margin` (Schuirmann 1987).

    Below 0.05 the change is shown to be that small, which a p-value of no difference never shows. Mean and spread are
    those of the changes and of four made-up samples, a gain, a loss and two unchanged (in the way of Agresti and Min
    2005): a hundred questions that all stay as they were do not yet show that fewer than one in fifty would change.
    """
    change = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    n = len(change) + 4
    mean = float(change.sum()) / n
    error = sqrt((float(np.square(change).sum() + 2) / n - mean**2) / n)
    return float(ndtr((abs(mean) - margin) / error))


def questions_needed(difference: float, discordant: float, power: float = 0.8) -> int:
    """Return how many questions McNemar's test needs to find a change of accuracy (Connor 1987).

    Args:
        difference: the change, 0 to 1, without its sign.
        discordant: share of the questions whose score changes either way, at least `difference`.
        power: the chance to find it at the level of 5%, two-sided.

    Raises:
        ValueError: if the numbers do not fit together.
    """
    if not 0 < difference <= discordant <= 1 or not 0 < power < 1:
        raise ValueError(
            f"wanted: 0 < difference <= discordant <= 1 and 0 < power < 1, not {difference}, {discordant}, {power}"
        )
    level, chance = float(ndtri(1 - ALPHA / 2)), float(ndtri(power))
    spread = sqrt(max(discordant - difference**2, 0.0))
    return ceil(((level * sqrt(discordant) + chance * spread) / difference) ** 2)


def power_of(n: int, difference: float, discordant: float) -> float:
    """Return the chance that McNemar's test finds a change with `n` questions; the inverse of `questions_needed`."""
    spread = sqrt(max(discordant - difference**2, 1e-12))
    return float(ndtr((sqrt(n) * difference - float(ndtri(1 - ALPHA / 2)) * sqrt(discordant)) / spread))


def smallest_difference(n: int, discordant: float, power: float = 0.8) -> float | None:
    """Return the smallest change, in thousandths, that `n` questions find with the chance `power`, or None.

    None where they are too few for any change: none is larger than `discordant`, where all answers change one way.
    """
    steps = range(1, round(1000 * discordant) + 1)
    return next((step / 1000 for step in steps if power_of(n, step / 1000, discordant) >= power), None)


def risk_coverage(confidence: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats]:
    """Return coverage and risk: the error rate among the k most confident samples, for k = 1 .. n (El-Yaniv 2010).

    Samples of the same confidence are taken together, so that the curve does not hang on their order. A sample without
    a confidence comes last.
    """
    c, s = np.asarray(confidence, np.float64), np.asarray(score, np.float64)
    c = np.where(np.isfinite(c), c, -1.0)
    order = np.argsort(-c, kind="stable")
    _, first, size = np.unique(-c[order], return_index=True, return_counts=True)
    shares = np.add.reduceat(s[order], first) / size  # every one of a tie counts as their mean
    taken = np.arange(1, len(s) + 1)
    return taken / len(s), 1 - np.cumsum(np.repeat(shares, size)) / taken


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
    low, high = np.nanquantile(_correlation(weights @ sums), [ALPHA / 2, 1 - ALPHA / 2])
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
