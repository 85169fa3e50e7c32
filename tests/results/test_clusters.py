"""Intervals and tests with several questions per image: by hand, by simulation, and against plain tests."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp

from tests.support.fuzzing import examples
from vqttt.results import clusters
from vqttt.results.proportions import wilson
from vqttt.results.statistics import flips


@pytest.mark.parametrize(("corrective", "destructive"), [(0, 0), (1, 0), (5, 5), (2, 9), (30, 61), (400, 300)])
def test_mcnemar_is_the_binomial_test(corrective: int, destructive: int) -> None:
    before = np.r_[np.zeros(corrective), np.ones(destructive), np.ones(3)]
    after = np.r_[np.ones(corrective), np.zeros(destructive), np.ones(3)]
    discordant = corrective + destructive
    expected = binomtest(corrective, discordant).pvalue if discordant else 1.0
    assert flips(before, after) == (corrective, destructive)
    assert clusters.mcnemar(before, after) == pytest.approx(expected, rel=1e-9)


@examples(50)
@given(st.lists(st.integers(-4, 4), max_size=9))
def test_sign_flips_agree_with_counting_them(totals: list[int]) -> None:
    sums = [abs(np.dot(signs, totals)) for signs in itertools.product((-1, 1), repeat=len(totals))]
    assert clusters.sign_flip(totals) == pytest.approx(np.mean(np.array(sums) >= abs(sum(totals))))


def test_answers_about_one_image_count_once() -> None:
    before, image = np.zeros(24), np.repeat(np.arange(4), 6)
    assert clusters.mcnemar(before, before + 1, image) == pytest.approx(2 / 2**4)
    assert clusters.mcnemar(before, before + 1) == pytest.approx(2 / 2**24)
    # Flips that cancel within each image favour no side.
    assert clusters.mcnemar(np.tile([0, 1], 12), np.tile([1, 0], 12), image) == 1.0


def test_the_effective_size_by_hand() -> None:
    change = np.r_[-np.ones(6), np.zeros(54)]
    one_cell, image = np.zeros(60), np.repeat(np.arange(10), 6)
    assert clusters.worth(change, one_cell, np.arange(60)).size == pytest.approx(60)
    # All changes belong to one image of ten: each image answers as one.
    assert clusters.worth(change, one_cell, image).size == pytest.approx(10, rel=0.01)
    # They are spread over images as evenly as can be: as many as there are questions, but for the added image.
    even = clusters.worth(change[::10].repeat(10) * 0 + np.tile(change[[0, *[9] * 9]], 6), one_cell, image)
    assert 25 < even.size <= 60
    # Nothing changed, so nothing shows that images do not matter.
    assert clusters.worth(0 * change, one_cell, image).size == pytest.approx(10)


@examples(50)
@given(
    st.lists(st.tuples(st.sampled_from([-1.0, -0.6, 0.0, 0.3, 1.0]), st.integers(0, 3), st.integers(0, 5)), min_size=1)
)
def test_no_interval_is_of_zero_width_or_misses_the_mean(rows: list[tuple[float, int, int]]) -> None:
    values, cells, images = map(np.array, zip(*rows, strict=True))
    found = clusters.cluster_mean(values, cells, images)
    assert -1 <= found.low < found.high <= 1
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(np.mean([values[cells == cell].mean() for cell in np.unique(cells)]))
    right = clusters.accuracy(np.abs(values), cells, images)
    assert 0 <= right.low < right.high <= 1 and right.low <= right.value <= right.high
    assert 0 <= clusters.equivalence(np.zeros(len(values)), values, images) <= 1


def test_values_beyond_one_are_refused() -> None:
    with pytest.raises(ValueError, match="between -1 and 1"):
        clusters.cluster_mean([0.0, 2.0], [0, 0], [0, 1])
    with pytest.raises(ValueError, match="at least one"):
        clusters.paired_difference([], [])


def test_paired_difference_takes_fractions() -> None:
    before, after = [0.0, 0.25, 1.0, 0.5], [1.0, 0.5, 1.0, 0.0]
    assert clusters.paired_difference(before, after).value == pytest.approx(0.1875)


def test_the_interval_matches_the_normal_one_in_a_large_sample() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(4000) / 2
    after = before + rng.uniform(-0.4, 0.5, 4000)
    value, low, high = clusters.paired_difference(before, after)
    half = 1.96 * np.std(after - before) / np.sqrt(4000)
    assert (low, high) == pytest.approx((value - half, value + half), abs=0.1 * half)


def test_conditions_of_an_image_are_not_independent() -> None:
    rng = np.random.default_rng(2)
    cells, images = np.repeat(np.arange(10), 60), np.tile(np.arange(60), 10)
    hits = naive = 0
    for _ in range(200):
        chance = rng.beta(0.3, 0.3, 60)  # shared by all cells: an image recurs ten times almost unchanged
        values = (rng.random(600) < chance[images]).astype(float)
        for clusters_of in (images, np.arange(600)):
            _, low, high = clusters.cluster_mean(values, cells, clusters_of)
            if clusters_of is images:
                hits += low <= 0.5 <= high
            else:
                naive += low <= 0.5 <= high
    assert hits / 200 >= 0.92
    assert naive / 200 < 0.7


def test_cells_have_equal_weight() -> None:
    assert clusters.cluster_mean([1.0, 1.0, 1.0, 0.0], [0, 0, 0, 1], ["a", "b", "c", "d"]).value == 0.5


def test_a_single_cell_has_the_same_interval_everywhere() -> None:
    before, after = np.random.default_rng(0).random((2, 50))
    alone = clusters.paired_difference(before, after)
    assert clusters.cluster_mean(after - before, np.ones(50), np.arange(50)) == alone


def test_an_accuracy_with_an_image_per_question_has_wilsons_interval() -> None:
    score = np.r_[np.ones(81), np.zeros(19)]
    assert clusters.accuracy(score)[1:] == pytest.approx(wilson(81, 100))
    shared = clusters.accuracy(score, clusters=np.arange(100) // 5)
    assert shared.low < wilson(81, 100)[0] and shared.high > wilson(81, 100)[1]


@pytest.mark.parametrize("shift", [0.0, 0.01, -0.03, 0.2])
def test_equivalence_of_many_samples_is_two_one_sided_t_tests(shift: float) -> None:
    rng = np.random.default_rng(0)
    change = rng.choice([-1.0, 0.0, 1.0], 20_000, p=[0.25 - shift / 2, 0.5, 0.25 + shift / 2])
    above = ttest_1samp(change, -0.02, alternative="greater").pvalue
    below = ttest_1samp(change, 0.02, alternative="less").pvalue
    assert clusters.equivalence(0 * change, change) == pytest.approx(max(above, below), abs=0.004)


def test_equivalence_needs_many_images() -> None:
    assert clusters.equivalence([], []) == 1.0
    same = np.ones(600)
    assert clusters.equivalence(same[:148], same[:148]) > 0.05 > clusters.equivalence(same[:149], same[:149])
    assert clusters.equivalence(same, same, np.arange(600) // 6) > 0.05 > clusters.equivalence(same, same)


def test_no_significant_difference_is_not_equivalence() -> None:
    before, after = np.r_[np.zeros(10), np.ones(10)], np.r_[1, np.zeros(9), np.ones(9), 0]
    assert clusters.mcnemar(before, after) == 1.0
    assert clusters.equivalence(before, after) > 0.3
