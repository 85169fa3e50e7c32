"""Statistics against published or independently computed values, by simulation, and on cases worked by hand."""

import numpy as np
import pytest

from vqttt.results import statistics
from vqttt.results.clusters import mcnemar


def test_flips_count_half_a_point_as_right() -> None:
    assert statistics.flips([0.4, 0.5, 0.9], [0.5, 0.4, 0.6]) == (1, 1)


def test_rounding_noise_is_no_flip() -> None:
    assert statistics.flips([0.5, 0.2 + 0.3], [0.5 - 1e-12, 1.1 - 0.6]) == (0, 0)


def test_holm_agrees_with_its_textbook_example() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert statistics.holm([]).size == 0


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


@pytest.mark.parametrize(("difference", "discordant"), [(0.02, 0.1), (0.05, 0.2), (0.05, 0.06)])
def test_questions_needed_detect_the_difference_with_the_given_power(difference: float, discordant: float) -> None:
    n = statistics.questions_needed(difference, discordant)
    rng = np.random.default_rng(1)
    up, down = (discordant + difference) / 2, (discordant - difference) / 2
    found = 0
    for corrected, broken, _ in rng.multinomial(n, [up, down, 1 - discordant], size=2000):
        before, after = np.r_[np.zeros(corrected), np.ones(broken)], np.r_[np.ones(corrected), np.zeros(broken)]
        found += mcnemar(before, after) < 0.05
    # The exact test is slightly conservative; Connor's formula is for the approximate one.
    assert 0.72 < found / 2000 < 0.84
    assert statistics.power_of(n, difference, discordant) == pytest.approx(0.8, abs=0.01)
    least = statistics.smallest_difference(n, discordant)
    assert least == pytest.approx(difference, abs=0.0011)
    assert statistics.power_of(n, least, discordant) >= 0.8
    assert statistics.smallest_difference(5, discordant) is None


def test_shared_images_make_a_sample_worth_less() -> None:
    assert statistics.effective_size(600, 600) == 600
    assert statistics.effective_size(600, 100, correlation=1.0) == 100
    assert statistics.effective_size(600, 100, correlation=0.2) == 300
    alone, shared = (statistics.smallest_difference(600, 0.1, images=images) for images in (600, 100))
    assert shared == statistics.smallest_difference(300, 0.1) > alone == statistics.smallest_difference(600, 0.1)


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
