"""Statistics against published or independently computed values, and the properties that they promise."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

from vqttt.results import paradox, statistics, summary


def records(scores: dict[tuple[str, int, str], list[float]], base: dict[tuple[str, int], list[float]]) -> pl.DataFrame:
    """Make records of one task from scores by (degradation, severity, method)."""
    identity = {"model": "m", "task": "t", "scale": "relative", "restorer": "none", "seed": 0}
    identity |= {"error": "", "image_sha256": ""}
    cells = []
    for (degradation, severity, method), score in scores.items():
        ids, categories = [f"{i:03d}" for i in range(len(score))], [("even", "odd")[i % 2] for i in range(len(score))]
        cell = pl.DataFrame({"sample_id": ids, "category": categories, "score": score})
        cell = cell.with_columns(base_score=pl.Series(base[degradation, severity]))
        constants = identity | {"degradation": degradation, "severity": severity, "method": method}
        cells.append(cell.with_columns(pl.lit(value).alias(name) for name, value in constants.items()))
    return pl.concat(cells)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (7, 10), (81, 263), (1, 1)])
def test_wilson_agrees_with_scipy(k: int, n: int) -> None:
    expected = binomtest(k, n).proportion_ci(method="wilson")
    assert statistics.wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_of_nothing_knows_nothing() -> None:
    assert statistics.wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("corrective", "destructive"), [(0, 0), (1, 0), (5, 5), (2, 9), (30, 61), (400, 300)])
def test_mcnemar_is_the_binomial_test(corrective: int, destructive: int) -> None:
    before = np.r_[np.zeros(corrective), np.ones(destructive), np.ones(3)]
    after = np.r_[np.ones(corrective), np.zeros(destructive), np.ones(3)]
    discordant = corrective + destructive
    expected = binomtest(corrective, discordant).pvalue if discordant else 1.0
    assert statistics.flips(before, after) == (corrective, destructive)
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


def test_paired_interval_covers_as_promised() -> None:
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
        skill = rng.normal(0.1, 1, 60)  # shared by all cells, so that they are nearly the same sample ten times
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
    # A constant within each task leaves nothing to chance once tasks are not mixed.
    assert statistics.cluster_mean([1.0, 1.0, 0.0, 0.0], [0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1]) == (0.5, 0.5, 0.5)
    assert statistics.cluster_mean([0.25], [0], [0], [0]) == (0.25, 0.25, 0.25)


def test_one_cell_has_one_interval_wherever_it_is_shown() -> None:
    before, after = np.random.default_rng(0).integers(2, size=(2, 50))
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


def test_quality_effect_counts_the_paradox() -> None:
    clean = [1.0] * 20 + [0.0] * 20
    hurts, helps = [0.0] * 18 + [1.0] * 2 + [1.0] + [0.0] * 19, [1.0] * 30 + [0.0] * 10
    base = {("clean", 0): clean, ("fog", 1): hurts, ("snow", 1): helps, ("snow", 2): clean}
    # There is no baseline, and a method's own scores must not matter.
    frame = records({(*key, "tuned"): [1.0] * 40 for key in base}, base)
    effect = paradox.quality_effect(frame)
    assert effect["verdict"].to_list() == ["hurts", "helps", "undecided"]
    assert effect.select("helped", "hurt").rows() == [(1, 18), (10, 0), (0, 0)]
    assert effect["delta"].to_list() == pytest.approx([-17 / 40, 10 / 40, 0])
    assert effect["p_holm"][1] == pytest.approx(2 * binomtest(0, 10).pvalue)
    halves = paradox.quality_effect(frame, by_category=True)
    assert halves["n"].to_list() == [20] * 6 and halves["helped"].sum() == effect["helped"].sum()


def test_quality_effect_needs_both_sides_and_only_shared_samples() -> None:
    base = {("clean", 0): [1.0] * 5, ("fog", 1): [0.0] * 9}
    both = records({("clean", 0, "none"): [1.0] * 5, ("fog", 1, "none"): [0.0] * 9}, base)
    assert paradox.quality_effect(both)["n"].to_list() == [5]
    assert paradox.quality_effect(both.filter(pl.col("degradation") == "clean")).is_empty()


def test_untuned_answers_come_from_the_baseline_unless_it_failed() -> None:
    base = {("fog", 1): [1.0, 1.0]}
    frame = records({("fog", 1, "a"): [0.0, 0.0], ("fog", 1, "none"): [1.0, 1.0]}, base)
    lost = (pl.col("method") == "none") & (pl.col("sample_id") == "001")
    frame = frame.with_columns(error=pl.when(lost).then(pl.lit("lost")).otherwise("error"))
    assert dict(summary.untuned(frame).select("sample_id", "method").rows()) == {"000": "none", "001": "a"}


def test_reliability_by_hand() -> None:
    bins = statistics.reliability([0.05, 0.95, 1.0, 0.91, np.nan], [0, 1, 1, 0, 1])
    assert [b.samples for b in bins] == [1, 3]
    assert bins[1].confidence == pytest.approx(2.86 / 3)
    assert bins[1].accuracy == pytest.approx(2 / 3)
