"""Statistics of scores: flips, correlation, sample sizes and calibration. Numbers in, numbers out.

Scores lie between 0 and 1, and an answer counts as right from 0.5 up. All intervals are 95% intervals. Intervals and
tests of paired scores are in `vqttt.results.clusters` and `vqttt.results.proportions`.
"""

import math
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

Floats: TypeAlias = NDArray[np.float64]

ALPHA = 0.05
"""Significance level of every test; intervals have the level 1 - `ALPHA`."""

DRAWS = 2000
"""Bootstrap draws for the interval of a correlation."""

TIE = 1e-9
"""Differences of scores below this one are rounding noise."""

RIGHT = 0.5 - TIE
"""An answer is right from this score up: half a point, but for rounding noise."""

MARGIN = 0.02
"""Changes of accuracy within two points either way count as no effect."""


class Estimate(NamedTuple):
    """A mean and its 95% interval."""

    value: float
    low: float
    high: float


class Flips(NamedTuple):
    """Counts of answers that became right (`corrective`) and of answers that became wrong (`destructive`)."""

    corrective: int
    destructive: int


class Bin(NamedTuple):
    """One bin of a reliability curve: number of samples, their mean confidence, and their mean score."""

    samples: int
    confidence: float
    accuracy: float


def flips(before: ArrayLike, after: ArrayLike) -> Flips:
    """Count the answers that changed between right and wrong."""
    was, now = np.asarray(before) >= RIGHT, np.asarray(after) >= RIGHT
    return Flips(corrective=int((~was & now).sum()), destructive=int((was & ~now).sum()))


def holm(p_values: ArrayLike) -> Floats:
    """Adjust a family of p-values so that the chance of any false positive stays below the level (Holm 1979)."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


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


@lru_cache(maxsize=2)  # all quality measures of a task draw the same images
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


def effective_size(questions: int, images: int, correlation: float = 0.2) -> int:
    """Return how many questions with an image each are worth as much as `questions` about `images` (Kish 1965).

    Args:
        questions: number of questions.
        images: number of images, at most as many.
        correlation: how alike the changes of two answers about one image are, 0 to 1. The default is for planning
            only; what a study shows rests on its own records.
    """
    return int(questions / (1 + correlation * (questions / images - 1)))


def smallest_difference(n: int, discordant: float, power: float = 0.8, images: int | None = None) -> float | None:
    """Return the smallest change, in steps of 0.001, that `n` questions detect with the chance `power`.

    With fewer `images` than questions, the sample is taken to be worth its `effective_size`. Returns None if it is too
    small for any change: the largest possible one is `discordant`, where all changed answers change the same way.
    """
    n = n if images is None else effective_size(n, images)
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
