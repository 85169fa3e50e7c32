"""Findings: one number each, with its interval, what was expected of it, and whether that came out.

Intervals are 95% intervals over images; they say what other images would show, for the twins that were trained. How
much twins of other training seeds differ is given beside them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import nan

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from vqttt.results.clusters import cluster_mean, difference_of_changes, equivalence, net_test
from vqttt.results.statistics import ALPHA, DRAWS, MARGIN, Estimate, Floats, holm
from vqttt.runs.records import CELL

YES, NO, UNDECIDED = "yes", "no", "undecided"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A comparison.

    Attributes:
        about: what was compared.
        value: the number and its interval, in shares of 1 unless `unit` says otherwise.
        verdict: whether what was expected came out.
        p, p_equal: p-values of no difference, and of a difference within two points; NaN where the interval decides.
        expected: the expected sign.
        n, images: number of comparisons and of images.
        unit: `points`, or empty for a plain number.
    """

    about: str
    value: Estimate
    verdict: str = UNDECIDED
    p: float = nan
    p_equal: float = nan
    expected: int = 1
    n: int = 0
    images: int = 0
    unit: str = "points"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came out for a hypothesis.

    Attributes:
        verdict: on the hypothesis as a whole.
        main: the number that says most.
        findings: all that it rests on.
        cases: the verdicts on its parts, where it has several.
    """

    verdict: str
    main: Finding
    findings: Sequence[Finding]
    cases: Mapping[str, str] = field(default_factory=dict)


def measured(about: str, rows: pl.DataFrame, expected: int = 1) -> Finding:
    """Return the mean of the column `change` over cells of equal weight, before any correction for several tests."""
    change, images = rows["change"].to_numpy().astype(np.float64), numbered(rows["image"])
    return Finding(
        about=about,
        value=cluster_mean(change, cells_of(rows), images),
        p=net_test(change, images),
        p_equal=equivalence(0 * change, change, images),
        expected=expected,
        n=len(rows),
        images=len(np.unique(images)),
    )


def difference(about: str, rows: pl.DataFrame, first: str, second: str, expected: int = 1) -> Finding:
    """Return how much larger the changes in the column `second` are than those in `first`."""
    one, other, images = rows[first].to_numpy(), rows[second].to_numpy(), numbered(rows["image"])
    value = difference_of_changes(one, other, cells_of(rows), images)
    p, p_equal = net_test(other - one, images), equivalence(one / 2, other / 2, images, MARGIN / 2)
    size = {"n": len(rows), "images": len(np.unique(images))}
    return Finding(about=about, value=value, p=p, p_equal=p_equal, expected=expected, **size)


def judged(family: Sequence[Finding]) -> list[Finding]:
    """Correct the p-values of a family of tests by Holm's method, and give each finding its verdict.

    `yes`: a difference of the expected sign. `no`: one of the other sign, or none beyond two points. Else `undecided`.
    """
    p, p_equal = holm([one.p for one in family]), holm([one.p_equal for one in family])
    found = []
    for one, different, same in zip(family, p, p_equal, strict=True):
        verdict = NO if same < ALPHA else UNDECIDED
        if different < ALPHA:
            verdict = YES if one.value.value * one.expected > 0 else NO
        found.append(replace(one, p=float(different), p_equal=float(same), verdict=verdict))
    return found


def by_interval(about: str, value: Estimate, null: float, least: float, **more: object) -> Finding:
    """Return a finding that its interval decides: `yes` above `null`; `no` below it, or below `null + least`."""
    verdict = YES if value.low > null else NO if value.high < null + least else UNDECIDED
    return Finding(about=about, value=value, verdict=verdict, **more)  # type: ignore[arg-type]


def together(findings: Iterable[Finding]) -> str:
    """Return the verdict on a hypothesis that needs all of these findings."""
    verdicts = {one.verdict for one in findings}
    return YES if verdicts == {YES} else NO if NO in verdicts else UNDECIDED


def numbered(names: pl.Series) -> NDArray[np.int64]:
    """Number names from 0 without gaps."""
    return names.rank("dense").to_numpy().astype(np.int64) - 1


def cells_of(rows: pl.DataFrame) -> NDArray[np.int64]:
    """Number the cells of rows of records; rows without the columns of a cell are one cell."""
    names = [name for name in CELL if name in rows.columns]
    return numbered(rows.select(pl.struct(names)).to_series()) if names else np.zeros(len(rows), np.int64)


def slope(levels: Floats, values: Floats, images: NDArray[np.int64]) -> tuple[Estimate, float]:
    """Return the slope of values over levels with its interval, and the p-value of a slope of 0.

    The standard error takes rows of one image for dependent (Liang and Zeger 1986), with a t quantile.
    """
    x = levels - levels.mean()
    weight = float(x @ x)
    value = float(x @ values) / weight
    left = values - values.mean() - value * x
    sums = np.bincount(images, weights=x * left)
    freedom = len(sums) - 1
    error = float(np.sqrt(np.square(sums).sum() * len(sums) / freedom)) / weight
    reach = float(stdtrit(freedom, 1 - ALPHA / 2)) * error
    p = 2 * float(stdtr(freedom, -abs(value) / error)) if error else float(value == 0)
    return Estimate(value, value - reach, value + reach), p


def bootstrap(count: int, seed: int = 0) -> Floats:
    """Return how often each of `count` images is drawn, in every draw of a bootstrap over them: (draws, count)."""
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=DRAWS)
    return drawn.astype(np.float64)


def resampled(sums: Floats, statistic: Callable[[Floats], Floats], seed: int = 0) -> Estimate:
    """Return a statistic of sums over images with an interval from a bootstrap over images.

    Args:
        sums: (images, M), the terms of each image.
        statistic: takes sums (draws, M) and returns one number each, (draws,).
        seed: of the bootstrap.
    """
    drawn = statistic(bootstrap(len(sums), seed) @ sums)
    low, high = np.nanquantile(drawn, [ALPHA / 2, 1 - ALPHA / 2])
    return Estimate(float(statistic(sums.sum(axis=0, keepdims=True))[0]), float(low), float(high))


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation over training seeds; NaN for one seed."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else nan
