"""The figures of the quality paradox, against scipy, by simulation, and on cases worked by hand."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import ttest_1samp

from vqttt.results import paradox, statistics


@pytest.mark.parametrize("shift", [0.0, 0.01, -0.03, 0.2])
def test_equivalence_of_many_samples_is_two_one_sided_t_tests(shift: float) -> None:
    rng = np.random.default_rng(0)
    before = rng.random(20_000)
    after = before + rng.normal(shift, 0.5, 20_000)
    above = ttest_1samp(after - before, -0.02, alternative="greater").pvalue
    below = ttest_1samp(after - before, 0.02, alternative="less").pvalue
    assert paradox.equivalence(before, after) == pytest.approx(max(above, below), abs=0.002)


def test_equivalence_is_seldom_claimed_where_the_change_is_as_large_as_the_margin() -> None:
    rng = np.random.default_rng(2)
    for n, discordant in ((100, 0.02), (400, 0.03), (400, 0.2), (2000, 0.1)):
        counts = rng.multinomial(n, [(discordant + 0.02) / 2, (discordant - 0.02) / 2, 1 - discordant], size=1000)
        claims = 0
        for fixed, broken, same in counts:
            before, after = (
                np.r_[np.zeros(fixed), np.ones(broken + same)],
                np.r_[np.ones(fixed), np.zeros(broken), np.ones(same)],
            )
            claims += paradox.equivalence(before, after) < 0.05
        assert claims / 1000 < 0.08, (n, discordant)


def test_few_questions_show_nothing_and_many_do() -> None:
    assert paradox.equivalence([], []) > 0.4
    assert paradox.equivalence(np.ones(100), np.ones(100)) > 0.05
    assert paradox.equivalence(np.ones(200), np.ones(200)) < 0.05


def test_no_difference_found_is_not_no_difference_shown() -> None:
    before, after = np.r_[np.zeros(10), np.ones(10)], np.r_[1, np.zeros(9), np.ones(9), 0]
    assert statistics.mcnemar(before, after) == 1.0
    assert paradox.equivalence(before, after) > 0.3


@pytest.mark.parametrize(("difference", "discordant"), [(0.02, 0.1), (0.05, 0.2), (0.05, 0.06)])
def test_so_many_questions_find_the_difference_four_times_of_five(difference: float, discordant: float) -> None:
    n = paradox.questions_needed(difference, discordant)
    rng = np.random.default_rng(1)
    up, down = (discordant + difference) / 2, (discordant - difference) / 2
    found = 0
    for fixed, broken, _ in rng.multinomial(n, [up, down, 1 - discordant], size=2000):
        before, after = np.r_[np.zeros(fixed), np.ones(broken)], np.r_[np.ones(fixed), np.zeros(broken)]
        found += statistics.mcnemar(before, after) < 0.05
    # The exact test is a little conservative; Connor's formula is of the approximate one.
    assert 0.72 < found / 2000 < 0.84
    assert paradox.power_of(n, difference, discordant) == pytest.approx(0.8, abs=0.01)
    least = paradox.smallest_difference(n, discordant)
    assert least == pytest.approx(difference, abs=0.0011)
    assert paradox.power_of(n, least, discordant) >= 0.8
    assert paradox.smallest_difference(5, discordant) is None


def test_questions_needed_rejects_what_cannot_be() -> None:
    for wrong in ((0.0, 0.1), (0.2, 0.1), (0.1, 1.5)):
        with pytest.raises(ValueError, match="discordant"):
            paradox.questions_needed(*wrong)


def test_an_effect_without_rows_has_the_same_columns() -> None:
    both = records({("clean", 0, 0): [1.0, 0.0], ("fog", 3, 0): [0.0, 0.0]})
    full, none = paradox.quality_effect(both), paradox.quality_effect(both.filter(degradation="fog"))
    assert len(full) == 1 and none.is_empty() and set(none.columns) == set(full.columns)


def test_risk_coverage_by_hand() -> None:
    coverage, risk = paradox.risk_coverage([0.9, 0.5, 0.7, np.nan], [1, 0, 1, 0])
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0, 0, 1 / 3, 0.5])


def test_risk_coverage_does_not_hang_on_the_order_of_ties() -> None:
    score = np.array([1.0, 0, 1, 0, 0, 1])
    one = paradox.risk_coverage(np.full(6, 0.5), score)[1]
    other = paradox.risk_coverage(np.full(6, 0.5), score[::-1])[1]
    assert one == pytest.approx(other)
    assert one == pytest.approx(np.full(6, 0.5))


def records(scores: dict[tuple[str, int, int], list[float]]) -> pl.DataFrame:
    """Make records of the untuned model from scores by (degradation, severity, seed)."""
    constants = {"model": "m", "task": "t", "scale": "relative", "restorer": "none", "method": "none", "error": ""}
    return pl.concat(
        pl.DataFrame({"sample_id": [f"{i:03d}" for i in range(len(score))], "base_score": score, "score": score})
        .with_columns(pl.lit(value).alias(name) for name, value in constants.items())
        .with_columns(degradation=pl.lit(degradation), severity=pl.lit(severity), seed=pl.lit(seed))
        .with_columns(image_sha256=pl.lit(f"{degradation}{severity}{seed * (degradation != 'jpeg_compression')}"))
        for (degradation, severity, seed), score in scores.items()
    )


def test_headroom_by_hand() -> None:
    clean, fog, snow = [1.0, 1, 0, 0, 0, 0, 1, 1], [1.0, 1, 1, 1, 0, 0, 1, 1], [0.0, 0, 0, 0, 1, 0, 0, 0]
    found = paradox.headroom(records({("clean", 0, 0): clean, ("fog", 3, 0): fog, ("snow", 3, 0): snow}))
    row = found.row(0, named=True)
    assert (row["n"], row["conditions"], row["best"]) == (8, 2, "fog 3")
    assert row["delta"] == pytest.approx(0.25)
    assert row["oracle"] == pytest.approx(7 / 8)


def test_the_best_condition_is_not_judged_by_what_it_was_chosen_on() -> None:
    rng = np.random.default_rng(3)
    cells = {("clean", 0, 0): (rng.random(600) < 0.5).astype(float).tolist()}
    cells |= {(f"d{i}", 1, 0): (rng.random(600) < 0.5).astype(float).tolist() for i in range(40)}
    row = paradox.headroom(records(cells)).row(0, named=True)
    assert row["ci_low"] < 0 < row["ci_high"]


def test_redrawing_by_hand() -> None:
    cells = {("clean", 0, seed): [0.0, 0, 1, 1] for seed in (0, 1)}
    cells |= {("fog", 3, 0): [1.0, 0, 1, 0], ("fog", 3, 1): [0.0, 0, 1, 1]}
    cells |= {("jpeg_compression", 3, seed): [1.0, 1, 1, 1] for seed in (0, 1)}  # the same image: nothing was drawn
    row = paradox.redraws(records(cells)).row(0, named=True)
    # Sample 0 is corrected under one seed of two; samples 0 and 3 differ between seeds, in one ordered pair of two.
    assert (row["n"], row["conditions"], row["seeds"]) == (4, 1, 2)
    assert row["corrected"] == pytest.approx(0.5 / 4)
    assert row["redrawn"] == pytest.approx(2 * 0.5 / 4)
    assert row["delta"] == pytest.approx(-0.5 / 4)


def test_redrawing_takes_no_restorer_for_a_seed() -> None:
    cells = {("clean", 0, seed): [0.0, 0] for seed in (0, 1)} | {("fog", 3, seed): [1.0, 0] for seed in (0, 1)}
    other = records(cells).with_columns(restorer=pl.lit("median"), base_score=pl.lit(0.0))
    row = paradox.redraws(pl.concat([records(cells), other])).row(0, named=True)
    assert (row["seeds"], row["redrawn"]) == (2, 0)


def test_redrawing_needs_two_seeds() -> None:
    assert paradox.redraws(records({("clean", 0, 0): [1.0, 0], ("fog", 3, 0): [1.0, 0]})).is_empty()


def test_luck_alone_leaves_no_paradox() -> None:
    rng = np.random.default_rng(4)
    chance = rng.random(800)  # each question has its own chance to be answered right, whatever the image
    cells = {(kind, 3 * (kind != "clean"), seed): (rng.random(800) < chance).astype(float).tolist()
             for kind in ("clean", "fog") for seed in (0, 1, 2)}  # fmt: skip
    row = paradox.redraws(records(cells)).row(0, named=True)
    assert row["ci_low"] < 0.02 and abs(row["delta"]) < 0.05
