"""Statistics against published or independently computed values, by simulation, and on cases worked by hand."""

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from vqttt.results import statistics


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (7, 10), (81, 263), (1, 1)])
def test_wilson_agrees_with_scipy(k: int, n: int) -> None:
    expected = binomtest(k, n).proportion_ci(method="wilson")
    assert statistics.wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_without_samples_covers_everything() -> None:
    assert statistics.wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("corrected", "broken"), [(0, 0), (1, 0), (5, 5), (2, 9), (30, 61), (400, 300)])
def test_mcnemar_is_the_binomial_test(corrected: int, broken: int) -> None:
    before = np.r_[np.zeros(corrected), np.ones(broken), np.ones(3)]
    after = np.r_[np.ones(corrected), np.zeros(broken), np.ones(3)]
    discordant = corrected + broken
    expected = binomtest(corrected, discordant).pvalue if discordant else 1.0
    assert statistics.flips(before, after) == (corrected, broken)
    assert statistics.mcnemar(before, after) == pytest.approx(expected, rel=1e-9)


def test_flips_count_half_a_point_as_right() -> None:
    assert statistics.flips([0.4, 0.5, 0.9], [0.5, 0.4, 0.6]) == (1, 1)


def test_holm_agrees_with_its_textbook_example() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert statistics.holm([]).size == 0


def test_paired_difference_is_seeded_and_takes_fractions() -> None:
    before, after = [0.0, 0.25, 1.0, 0.5], [1.0, 0.5, 1.0, 0.0]
    assert statistics.paired_difference(before, after, seed=3) == statistics.paired_difference(before, after, seed=3)
    assert statistics.paired_difference(before, after).value == pytest.approx(0.1875)
    assert statistics.paired_difference([1.0, 0.0], [1.0, 0.0]) == (0.0, 0.0, 0.0)
    assert statistics.paired_difference([0.0], [1.0]) == (1.0, 1.0, 1.0)


def test_paired_interval_matches_the_normal_one_in_a_large_sample() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(2000)
    after = before + rng.normal(0.05, 0.4, 2000)
    value, low, high = statistics.paired_difference(before, after)
    half = 1.96 * np.std(after - before) / np.sqrt(2000)
    assert (low, high) == pytest.approx((value - half, value + half), abs=0.1 * half)


def test_paired_interval_covers_at_its_level() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(300):
        difference = rng.choice([-1.0, 0.0, 1.0], size=100, p=[0.1, 0.7, 0.2])
        _, low, high = statistics.paired_difference(np.zeros(100), difference, seed=trial, draws=500)
        hits += low <= 0.1 <= high
    assert 0.90 <= hits / 300 <= 0.98


def test_cluster_interval_covers_where_a_naive_one_does_not() -> None:
    rng = np.random.default_rng(2)
    hits = naive = 0
    cells, clusters = np.repeat(np.arange(10), 60), np.tile(np.arange(60), 10)
    for trial in range(100):
        skill = rng.normal(0.1, 1, 60)  # shared by all cells, so each sample recurs ten times almost unchanged
        values = skill[clusters] + rng.normal(0, 0.3, 600)
        _, low, high = statistics.cluster_mean(values, cells, clusters, np.zeros(600), seed=trial, draws=400)
        hits += low <= 0.1 <= high
        _, low, high = statistics.cluster_mean(values, cells, np.arange(600), np.zeros(600), seed=trial, draws=100)
        naive += low <= 0.1 <= high
    assert 0.87 <= hits / 100 <= 0.99
    assert naive / 100 < 0.6


def test_cluster_mean_weighs_cells_equally_and_keeps_strata() -> None:
    values, cells = [1.0, 1.0, 1.0, 0.0], [0, 0, 0, 1]
    estimate = statistics.cluster_mean(values, cells, ["a", "b", "c", "d"], ["s"] * 4)
    assert estimate.value == 0.5
    # Scores that are constant within each task do not vary if tasks are not mixed.
    assert statistics.cluster_mean([1.0, 1.0, 0.0, 0.0], [0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1]) == (0.5, 0.5, 0.5)
    assert statistics.cluster_mean([0.25], [0], [0], [0]) == (0.25, 0.25, 0.25)


def test_a_single_cell_has_the_same_interval_in_both_bootstraps() -> None:
    before, after = np.random.default_rng(0).random((2, 50))
    alone = statistics.paired_difference(before, after)
    assert statistics.cluster_mean(after - before, np.ones(50), np.arange(50), np.ones(50)) == alone


def test_calibration_error() -> None:
    # Bins 0.9 to 1 and 0.5 to 0.6: 3/4 |0.95 - 2/3| + 1/4 |0.55 - 0|
    expected = 0.75 * (0.95 - 2 / 3) + 0.25 * 0.55
    confidence, score = [0.95, 0.95, 0.95, 0.55], [1.0, 1.0, 0.0, 0.0]
    assert statistics.ece(confidence, score) == pytest.approx(expected)
    assert statistics.ece(
        [*confidence, 0.9, float("nan")], [*score, 0, 1], [False] * 4 + [True, False]
    ) == pytest.approx(expected)
    assert statistics.ece([1.0, 0.0], [1.0, 0.0]) == 0.0
    assert statistics.ece([float("nan")], [0.0]) is None
    assert statistics.ece([], []) is None


def test_reliability_by_hand() -> None:
    bins = statistics.reliability([0.05, 0.95, 1.0, 0.91, np.nan], [0, 1, 1, 0, 1])
    assert [b.samples for b in bins] == [1, 3]
    assert bins[1].confidence == pytest.approx(2.86 / 3)
    assert bins[1].accuracy == pytest.approx(2 / 3)


@pytest.mark.parametrize("shift", [0.0, 0.01, -0.03, 0.2])
def test_equivalence_of_many_samples_is_two_one_sided_t_tests(shift: float) -> None:
    rng = np.random.default_rng(0)
    before = rng.random(20_000)
    after = before + rng.normal(shift, 0.5, 20_000)
    above = ttest_1samp(after - before, -0.02, alternative="greater").pvalue
    below = ttest_1samp(after - before, 0.02, alternative="less").pvalue
    assert statistics.equivalence(before, after) == pytest.approx(max(above, below), abs=0.002)


def test_equivalence_is_rarely_claimed_if_the_change_equals_the_margin() -> None:
    rng = np.random.default_rng(2)
    for n, discordant in ((100, 0.02), (400, 0.03), (400, 0.2), (2000, 0.1)):
        counts = rng.multinomial(n, [(discordant + 0.02) / 2, (discordant - 0.02) / 2, 1 - discordant], size=1000)
        claims = 0
        for corrected, broken, same in counts:
            before, after = (
                np.r_[np.zeros(corrected), np.ones(broken + same)],
                np.r_[np.ones(corrected), np.zeros(broken), np.ones(same)],
            )
            claims += statistics.equivalence(before, after) < 0.05
        assert claims / 1000 < 0.08, (n, discordant)


def test_equivalence_needs_many_questions() -> None:
    assert statistics.equivalence([], []) > 0.4
    assert statistics.equivalence(np.ones(100), np.ones(100)) > 0.05
    assert statistics.equivalence(np.ones(200), np.ones(200)) < 0.05


def test_no_significant_difference_is_not_equivalence() -> None:
    before, after = np.r_[np.zeros(10), np.ones(10)], np.r_[1, np.zeros(9), np.ones(9), 0]
    assert statistics.mcnemar(before, after) == 1.0
    assert statistics.equivalence(before, after) > 0.3


@pytest.mark.parametrize(("difference", "discordant"), [(0.02, 0.1), (0.05, 0.2), (0.05, 0.06)])
def test_questions_needed_detect_the_difference_with_the_given_power(difference: float, discordant: float) -> None:
    n = statistics.questions_needed(difference, discordant)
    rng = np.random.default_rng(1)
    up, down = (discordant + difference) / 2, (discordant - difference) / 2
    found = 0
    for corrected, broken, _ in rng.multinomial(n, [up, down, 1 - discordant], size=2000):
        before, after = np.r_[np.zeros(corrected), np.ones(broken)], np.r_[np.ones(corrected), np.zeros(broken)]
        found += statistics.mcnemar(before, after) < 0.05
    # The exact test is slightly conservative; Connor's formula is for the approximate one.
    assert 0.72 < found / 2000 < 0.84
    assert statistics.power_of(n, difference, discordant) == pytest.approx(0.8, abs=0.01)
    least = statistics.smallest_difference(n, discordant)
    assert least == pytest.approx(difference, abs=0.0011)
    assert statistics.power_of(n, least, discordant) >= 0.8
    assert statistics.smallest_difference(5, discordant) is None


def test_questions_needed_rejects_impossible_numbers() -> None:
    for wrong in ((0.0, 0.1), (0.2, 0.1), (0.1, 1.5)):
        with pytest.raises(ValueError, match="discordant"):
            statistics.questions_needed(*wrong)


def test_risk_coverage_by_hand() -> None:
    coverage, risk = statistics.risk_coverage([0.9, 0.5, 0.7, np.nan], [1, 0, 1, 0])
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0, 0, 1 / 3, 0.5])


def test_risk_coverage_does_not_depend_on_the_order_of_ties() -> None:
    score = np.array([1.0, 0, 1, 0, 0, 1])
    one = statistics.risk_coverage(np.full(6, 0.5), score)[1]
    other = statistics.risk_coverage(np.full(6, 0.5), score[::-1])[1]
    assert one == pytest.approx(other)
    assert one == pytest.approx(np.full(6, 0.5))
