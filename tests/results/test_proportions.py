"""Intervals and tests of proportions against scipy and against sums over all samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, multinomial
from scipy.stats import t as student

from tests.support.fuzzing import examples
from vqttt.results.proportions import difference_interval, equivalence_of_counts, quantile, wilson

MARGIN = 0.02


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (7, 10), (81, 263), (1, 1)])
def test_wilson_agrees_with_scipy(k: int, n: int) -> None:
    expected = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_without_samples_covers_everything() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_quantiles_are_those_of_the_t_distribution() -> None:
    assert quantile(7) == pytest.approx(student.ppf(0.975, 7))
    assert quantile(0) == quantile(1)


def test_the_interval_of_a_difference_by_hand() -> None:
    low, high = difference_interval(0, 1, 197, 1e9)
    centre, spread = -1 / 200, np.sqrt((4 / 200 - (1 / 200) ** 2) / 200)
    assert (low, high) == pytest.approx((centre - 1.959964 * spread, centre + 1.959964 * spread))


@examples(50)
@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.floats(0, 1))))
def test_no_interval_of_a_difference_is_of_zero_width_or_misses_the_sample(case: tuple[int, int, float]) -> None:
    n, gains, share = case
    losses = int(share * (n - gains))
    low, high = difference_interval(gains, losses, n, n - 1)
    assert -1 <= low < high <= 1
    assert low - 1e-12 <= (gains - losses) / n <= high + 1e-12
    assert difference_interval(losses, gains, n, n - 1) == pytest.approx((-high, -low))


@pytest.mark.parametrize("n", [20, 50, 200])
def test_the_interval_covers_changes_in_one_direction(n: int) -> None:
    lost = np.arange(n + 1)
    low, high = np.array([difference_interval(0, k, n, n - 1) for k in lost]).T
    for rate in np.r_[np.arange(0.002, 0.1, 0.002), np.arange(0.1, 1, 0.02)]:
        assert binom.pmf(lost, n, rate) @ ((low <= -rate) & (-rate <= high)) > 0.94, rate


def chance_of_claims(n: int, gained: float, lost: float) -> float:
    """Sum the chances of all samples with a claim; more than n / 8 flips either way are never claimed here."""
    most = n // 8
    total = 0.0
    for gains in range(most):
        for losses in range(most):
            if equivalence_of_counts(gains, losses, n) < 0.05:
                total += multinomial.pmf([gains, losses, n - gains - losses], n, [gained, lost, 1 - gained - lost])
    return total


@pytest.mark.parametrize("n", [149, 250, 400])
def test_equivalence_is_claimed_in_at_most_one_of_twenty_samples_at_the_margin(n: int) -> None:
    sizes = [chance_of_claims(n, gained, gained + MARGIN) for gained in (0.0, 0.0007, 0.003, 0.011, 0.043)]
    assert max(sizes) <= 0.05
    assert max(sizes) > 0.01  # it is not simply never claimed
    assert chance_of_claims(n, 0.001, 0.021) == pytest.approx(chance_of_claims(n, 0.021, 0.001))


def test_equivalence_with_no_flips_is_the_chance_of_seeing_none() -> None:
    # Losing at least 2% without any loss in n answers is likeliest if nothing is ever gained.
    for n in (100, 148, 149):
        assert equivalence_of_counts(0, 0, n) == pytest.approx((1 - MARGIN) ** n, abs=1e-9)
    assert equivalence_of_counts(0, 0, 300) > (1 - MARGIN) ** 300  # other samples speak as much for no effect


@examples(50)
@given(*[st.integers(0, 24).map(lambda number: number / 4)] * 2)
def test_fractional_flips_are_rounded_away_from_a_claim(gains: float, losses: float) -> None:
    around = [(g, k) for g in (np.floor(gains), np.ceil(gains)) for k in (np.floor(losses), np.ceil(losses))]
    # The p-value is that of the worst mixture, which both tests together take.
    least = max(equivalence_of_counts(g, k, 300) for g, k in around)
    assert equivalence_of_counts(gains, losses, 300) == pytest.approx(least, rel=1e-9)


def test_equivalence_of_an_empty_sample_is_not_shown() -> None:
    assert equivalence_of_counts(0, 0, 0) == 1.0
