"""Means, intervals and tests of scores where several questions share an image. Numbers in, numbers out.

Answers to questions about one image go right or wrong together, so a sample of questions is worth fewer than its
number. How many it is worth, its effective size, is estimated from how much images differ (Kish 1965), and stands for
the number of questions in intervals made for independent questions (Korn and Graubard 1998). The clusters are images,
each with all its questions and conditions.

Everything here is exact or in closed form: no random draws.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vqttt.results.proportions import binomial, difference_interval, equivalence_of_counts, quantile, wilson
from vqttt.results.statistics import MARGIN, RIGHT, TIE, Estimate

_STEPS = 60
"""`net_test` counts changes in sixtieths of a question, which are exact for up to six conditions and for 10 or 12."""

_ADDED = 0.2
"""Weight of an added image with full changes both ways when the effective size is estimated.

It matters where changes are rare: without it, two changed answers of two images would prove that images do not matter.
"""


class Worth(NamedTuple):
    """What a sample is worth.

    Attributes:
        mean: mean of the cells' means, -1 to 1.
        gain, loss: means of the positive and of the negative part of the values, each 0 to 1; their difference is
            `mean`, but for rounding.
        size: effective size: how many independent questions would tell as much.
        rows, clusters: number of values and of clusters.
    """

    mean: float
    gain: float
    loss: float
    size: float
    rows: int
    clusters: int


def worth(values: ArrayLike, cells: ArrayLike, clusters: ArrayLike) -> Worth:
    """Estimate the effective size of a sample of values between -1 and 1; see `cluster_mean` for the arguments.

    The size lies between the number of images, if each image answers as one, and the number of rows. It is more where
    values are fractions, which vary less than full changes with the same mean. With one question per image, one cell
    and no fractions it is the number of questions.

    Raises:
        ValueError: if there are no values, or one is not between -1 and 1.
    """
    row, cell, cluster = np.asarray(values, np.float64), _numbered(cells), _numbered(clusters)
    if not len(row) or not (np.abs(row) <= 1 + TIE).all():
        raise ValueError("need at least one value, and all values between -1 and 1")
    sizes = np.bincount(cell)
    weights = 1 / (len(sizes) * sizes[cell])
    means = np.bincount(cell, weights=row) / sizes
    around = weights * (row - means[cell])
    shares = np.bincount(cluster, weights=weights)
    n, g = len(row), len(shares)
    gain, loss = float(weights @ np.maximum(row, 0)), float(weights @ np.maximum(-row, 0))
    images = 1 / float(shares @ shares)  # fewer than there are, if some have more questions than others
    # Both per image: the variance if all changes were full ones and independent, and the variance as it is.
    full = gain + loss - (gain - loss) ** 2 + _ADDED / images
    between = np.square(np.bincount(cluster, weights=around)).sum() * (g / max(g - 1, 1)) * (max(n - 1, 1) / n)
    actual = images * max(float(between), float(np.square(around).sum())) + _ADDED / images
    return Worth(float(means.mean()), gain, loss, max(images * full / actual, images), n, g)


def _numbered(names: ArrayLike) -> NDArray[Any]:
    """Number names from 0 without gaps."""
    return np.unique(np.asarray(names), return_inverse=True)[1].ravel()


def _own(values: ArrayLike, clusters: ArrayLike | None) -> ArrayLike:
    """Return the clusters, or one for each value."""
    return np.arange(np.size(values)) if clusters is None else clusters


def cluster_mean(values: ArrayLike, cells: ArrayLike, clusters: ArrayLike) -> Estimate:
    """Return the mean of the cells' means, with an interval that accounts for images recurring within and across cells.

    The interval is `difference_interval` for the effective size. It is never of zero width.

    Args:
        values: one number per row, -1 to 1: changes of scores, or scores.
        cells: the cell of each row; all cells have equal weight.
        clusters: the image of each row.

    Raises:
        ValueError: if there are no values, or one is not between -1 and 1.
    """
    found = worth(values, cells, clusters)
    low, high = difference_interval(found.gain * found.size, found.loss * found.size, found.size, found.clusters - 1)
    return Estimate(found.mean, min(low, found.mean), max(high, found.mean))


def paired_difference(before: ArrayLike, after: ArrayLike, clusters: ArrayLike | None = None) -> Estimate:
    """Return the mean of `after - before` with its interval; `clusters` are the images, by default one per value."""
    change = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    return cluster_mean(change, np.zeros(len(change)), _own(change, clusters))


def difference_of_changes(
    first: ArrayLike, second: ArrayLike, cells: ArrayLike | None = None, clusters: ArrayLike | None = None
) -> Estimate:
    """Return how much larger the changes `second` are than `first`, from -2 to 2, with an interval.

    It is twice `cluster_mean` of half the difference, because that function takes values up to 1. Arguments are as in
    `cluster_mean`; by default there is one cell, and each row has an image of its own.

    Raises:
        ValueError: if there are no changes, or a change is not between -1 and 1.
    """
    half = (np.asarray(second, np.float64) - np.asarray(first, np.float64)) / 2
    found = cluster_mean(half, np.zeros(len(half)) if cells is None else cells, _own(half, clusters))
    return Estimate(2 * found.value, 2 * found.low, 2 * found.high)


def accuracy(scores: ArrayLike, cells: ArrayLike | None = None, clusters: ArrayLike | None = None) -> Estimate:
    """Return the mean score of the cells with Wilson's interval for the effective size (Korn and Graubard 1998).

    With one cell and one question per image it is Wilson's interval. Arguments are as in `cluster_mean`; by default
    there is one cell, and each score has an image of its own.
    """
    one_cell = np.zeros(np.size(scores))
    found = worth(scores, one_cell if cells is None else cells, _own(scores, clusters))
    few = (quantile(found.rows - 1) / quantile(found.clusters - 1)) ** 2
    size = max(found.size * few, min(found.size, found.clusters))
    low, high = wilson(found.mean * size, size)
    return Estimate(found.mean, min(low, found.mean), max(high, found.mean))


def sign_flip(totals: ArrayLike) -> float:
    """Return the exact two-sided p-value that net changes per image, whole numbers, favour no side.

    Under the hypothesis each image's total is as likely with the opposite sign. The test is McNemar's if no total is
    beyond +-1; see Fisher (1935) for the general case. 1 if all totals are 0.
    """
    total = np.rint(np.asarray(totals, np.float64)).astype(np.int64)
    size, count = np.unique(np.abs(total[total != 0]), return_counts=True)
    chances = np.ones(1)  # of each sum of the positive totals
    for step, n in zip(size.tolist(), count.tolist(), strict=True):
        own = np.zeros(step * n + 1)
        own[::step] = binomial(np.arange(n + 1.0), n, 0.5)
        chances = np.convolve(chances, own)
    extreme = (len(chances) - 1 - abs(int(total.sum()))) // 2
    return min(1.0, 2 * float(chances[: extreme + 1].sum()))


def mcnemar(before: ArrayLike, after: ArrayLike, clusters: ArrayLike | None = None) -> float:
    """Return the exact two-sided p-value of as many answers turning right as wrong: `sign_flip` over images.

    McNemar's exact test if each answer has an image of its own, as by default. 1 if no pair disagrees.
    """
    flip = (np.asarray(after) >= RIGHT).astype(np.int64) - (np.asarray(before) >= RIGHT)
    return sign_flip(np.bincount(_numbered(_own(flip, clusters)), weights=flip) if len(flip) else [])


def net_test(changes: ArrayLike, clusters: ArrayLike | None = None) -> float:
    """Return the two-sided p-value that changes, fractions of a question, favour no side: `sign_flip` over images.

    It is exact, although net changes are rounded, for changes whose sign is as likely the opposite; for others with a
    mean of zero it holds in large samples. For changes of -1, 0 and 1 it is the test of `mcnemar`.
    """
    change = np.asarray(changes, np.float64)
    total = np.bincount(_numbered(_own(change, clusters)), weights=change) if len(change) else change
    steps = np.rint(_STEPS * total).astype(np.int64)
    return sign_flip(steps // max(int(np.gcd.reduce(steps)), 1))


def equivalence(
    before: ArrayLike, after: ArrayLike, clusters: ArrayLike | None = None, margin: float = MARGIN
) -> float:
    """Return the p-value for a mean change within +-`margin`: `equivalence_of_counts` for the effective size.

    A value below 0.05 shows that the change is that small; a large p-value of a test for a difference never shows
    this. Without any change it takes 149 images to show it for two points.
    """
    change = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    if not len(change):
        return 1.0
    found = worth(change, np.zeros(len(change)), _own(change, clusters))
    n = math.floor(found.size + TIE)
    return equivalence_of_counts(found.gain * n, found.loss * n, n, margin)
