"""The quality paradox: effects, headroom and redraws, by simulation and on cases worked by hand."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

from tests.support.runs import scored_records
from vqttt.results import paradox


def untuned_records(scores: dict[tuple[str, int, int], list[float]]) -> pl.DataFrame:
    """Make records of the untuned model from scores by (degradation, severity, seed); JPEG draws nothing at random."""
    constants = {"model": "m", "task": "t", "scale": "relative", "restorer": "none", "method": "none", "error": ""}
    return pl.concat(
        pl.DataFrame({"sample_id": [f"{i:03d}" for i in range(len(score))], "base_score": score, "score": score})
        .with_columns(pl.lit(value).alias(name) for name, value in constants.items())
        .with_columns(degradation=pl.lit(degradation), severity=pl.lit(severity), seed=pl.lit(seed))
        .with_columns(image_sha256=pl.lit(f"{degradation}{severity}{seed * (degradation != 'jpeg_compression')}"))
        for (degradation, severity, seed), score in scores.items()
    )


def test_quality_effect_counts_flips_and_gives_verdicts() -> None:
    clean = [1.0] * 20 + [0.0] * 20
    hurts, helps = [0.0] * 18 + [1.0] * 2 + [1.0] + [0.0] * 19, [1.0] * 30 + [0.0] * 10
    base = {("clean", 0): clean, ("fog", 1): hurts, ("snow", 1): helps, ("snow", 2): clean}
    # There is no baseline, and a method's own scores must not matter.
    frame = scored_records({(*key, "tuned"): [1.0] * 40 for key in base}, base)
    effect = paradox.quality_effect(frame)
    assert effect["verdict"].to_list() == ["hurts", "helps", "undecided"]
    assert effect.select("corrective", "destructive").rows() == [(1, 18), (10, 0), (0, 0)]
    assert effect["delta"].to_list() == pytest.approx([-17 / 40, 10 / 40, 0])
    assert effect["p_holm"][1] == pytest.approx(2 * binomtest(0, 10).pvalue)
    halves = paradox.quality_effect(frame, by_category=True)
    assert halves["n"].to_list() == [20] * 6 and halves["corrective"].sum() == effect["corrective"].sum()


def test_quality_effect_compares_only_samples_with_clean_and_degraded_answers() -> None:
    base = {("clean", 0): [1.0] * 5, ("fog", 1): [0.0] * 9}
    both = scored_records({("clean", 0, "none"): [1.0] * 5, ("fog", 1, "none"): [0.0] * 9}, base)
    assert paradox.quality_effect(both)["n"].to_list() == [5]
    assert paradox.quality_effect(both.filter(pl.col("degradation") == "clean")).is_empty()


def sampled(base: dict[tuple[str, int], list[float]], **columns: pl.Expr) -> pl.DataFrame:
    """Make records of the untuned model with further columns."""
    return scored_records({(*key, "none"): scores for key, scores in base.items()}, base).with_columns(**columns)


def verdicts(clean: list[float], degraded: list[float], **columns: pl.Expr) -> list[str]:
    frame = paradox.quality_effect(sampled({("clean", 0): clean, ("fog", 1): degraded}, **columns))
    return frame["verdict"].to_list()


def test_a_model_at_chance_has_nothing_to_lose() -> None:
    half, most = [1.0] * 110 + [0.0] * 90, [1.0] * 140 + [0.0] * 60
    known, unknown = {"chance": pl.lit(0.5)}, {"chance": pl.lit(float("nan"))}
    assert verdicts(half, half, **known) == ["uninformative"]
    assert verdicts(most, most, **known) == ["no effect"]
    # Without a known chance there is half of the accuracy to lose.
    assert verdicts(half, half, **unknown) == verdicts(half, half) == ["no effect"]
    # A clear effect is an effect, whatever the clean accuracy.
    assert verdicts(half, [0.0] * 200, **known) == ["hurts"]
    assert verdicts([0.0] * 200, [1.0] * 200) == ["helps"]


@pytest.mark.parametrize("right", [0, 1, 4])
def test_a_model_that_is_hardly_ever_right_has_nothing_to_lose(right: int) -> None:
    scores = [1.0] * right + [0.0] * (200 - right)
    assert verdicts(scores, scores) == ["uninformative"]
    assert verdicts(scores, [0.0] * 200, chance=pl.lit(None, pl.Float64)) == ["uninformative"]


def test_chance_is_given_only_if_it_is_known_for_all() -> None:
    base = {("clean", 0): [1.0] * 4, ("fog", 1): [1.0] * 4}
    mixed = sampled(base, chance=pl.when(pl.col("sample_id") < "002").then(0.5).otherwise(0.25))
    assert paradox.quality_effect(mixed)["chance"].to_list() == [0.375]
    lacking = mixed.with_columns(chance=pl.when(pl.col("sample_id") == "000").then(float("nan")).otherwise("chance"))
    assert paradox.quality_effect(lacking)["chance"].to_list() == [None]


def test_questions_about_one_image_are_not_independent() -> None:
    base = {("clean", 0): [1.0] * 600, ("fog", 1): [0.0] * 12 + [1.0] * 588}
    apart = sampled(base)
    shared = apart.with_columns(source_sha256=(pl.col("sample_id").cast(pl.Int64) // 12).cast(pl.String))
    one, many = (paradox.quality_effect(frame).row(0, named=True) for frame in (shared, apart))
    assert (one["n"], one["images"], many["images"]) == (600, 50, 600)
    assert (one["p_value"], many["p_value"]) == (1.0, pytest.approx(2 / 2**12))
    assert one["ci_high"] - one["ci_low"] > many["ci_high"] - many["ci_low"] > 0


def test_the_two_halves_that_choose_a_condition_share_no_image() -> None:
    rng = np.random.default_rng(5)
    gains = []
    for _ in range(10):
        # All eight questions of an image go the same way: had the halves an image in common, luck would repeat.
        cells = {name: rng.integers(0, 2, 75).repeat(8).astype(float).tolist()
                 for name in [("clean", 0, 0), *((f"d{i}", 1, 0) for i in range(40))]}  # fmt: skip
        image = pl.col("sample_id").cast(pl.Int64) // 8
        found = paradox.headroom(untuned_records(cells).with_columns(source_sha256=image.cast(pl.String)))
        assert found["images"].to_list() == [75]
        gains.append(found["delta"][0])
    assert abs(np.mean(gains)) < 0.06


def test_an_empty_quality_effect_has_the_usual_columns() -> None:
    both = untuned_records({("clean", 0, 0): [1.0, 0.0], ("fog", 3, 0): [0.0, 0.0]})
    full, none = paradox.quality_effect(both), paradox.quality_effect(both.filter(degradation="fog"))
    assert len(full) == 1 and none.is_empty() and set(none.columns) == set(full.columns)


def test_headroom_by_hand() -> None:
    clean, fog, snow = [1.0, 1, 0, 0, 0, 0, 1, 1], [1.0, 1, 1, 1, 0, 0, 1, 1], [0.0, 0, 0, 0, 1, 0, 0, 0]
    found = paradox.headroom(untuned_records({("clean", 0, 0): clean, ("fog", 3, 0): fog, ("snow", 3, 0): snow}))
    row = found.row(0, named=True)
    assert (row["n"], row["conditions"], row["best"]) == (8, 2, "fog 3")
    assert row["delta"] == pytest.approx(0.25)
    assert row["oracle"] == pytest.approx(7 / 8)


def test_the_best_condition_is_scored_on_other_samples_than_it_was_chosen_on() -> None:
    rng = np.random.default_rng(3)
    gains = []
    for _ in range(10):
        names = [("clean", 0, 0), *((f"d{i}", 1, 0) for i in range(40))]
        cells = {name: (rng.random(600) < 0.5).astype(float).tolist() for name in names}
        gains.append(paradox.headroom(untuned_records(cells))["delta"][0])
    # The best of 40 random conditions seems to gain more than 4 points on the samples that it was chosen on.
    assert abs(np.mean(gains)) < 0.02


def test_redraws_by_hand() -> None:
    cells = {("clean", 0, seed): [0.0, 0, 1, 1] for seed in (0, 1)}
    cells |= {("fog", 3, 0): [1.0, 0, 1, 0], ("fog", 3, 1): [0.0, 0, 1, 1]}
    cells |= {("jpeg_compression", 3, seed): [1.0, 1, 1, 1] for seed in (0, 1)}  # the same image under both seeds
    row = paradox.redraws(untuned_records(cells)).row(0, named=True)
    # Sample 0 is corrected under one seed of two; samples 0 and 3 differ between seeds, in one ordered pair of two.
    assert (row["n"], row["conditions"], row["seeds"]) == (4, 1, 2)
    assert row["corrective_share"] == pytest.approx(0.5 / 4)
    assert row["redrawn_share"] == pytest.approx(2 * 0.5 / 4)
    assert row["delta"] == pytest.approx(-0.5 / 4)


def test_redraws_do_not_take_restorers_for_seeds() -> None:
    cells = {("clean", 0, seed): [0.0, 0] for seed in (0, 1)} | {("fog", 3, seed): [1.0, 0] for seed in (0, 1)}
    other = untuned_records(cells).with_columns(restorer=pl.lit("median"), base_score=pl.lit(0.0))
    row = paradox.redraws(pl.concat([untuned_records(cells), other])).row(0, named=True)
    assert (row["seeds"], row["redrawn_share"]) == (2, 0)


def test_redraws_need_two_seeds() -> None:
    assert paradox.redraws(untuned_records({("clean", 0, 0): [1.0, 0], ("fog", 3, 0): [1.0, 0]})).is_empty()


def test_luck_alone_leaves_no_paradox() -> None:
    rng = np.random.default_rng(4)
    chance = rng.random(800)  # each question has its own chance of a right answer, whatever the image
    cells = {(kind, 3 * (kind != "clean"), seed): (rng.random(800) < chance).astype(float).tolist()
             for kind in ("clean", "fog") for seed in (0, 1, 2)}  # fmt: skip
    row = paradox.redraws(untuned_records(cells)).row(0, named=True)
    assert row["ci_low"] < 0.02 and abs(row["delta"]) < 0.05
