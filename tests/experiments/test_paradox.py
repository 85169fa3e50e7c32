"""The experiment on training images: what it concludes from invented records."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest

from experiments.paradox import targets
from experiments.paradox.answers import demand, flips, peak, restoring, spectrum
from experiments.paradox.findings import (
    NO,
    UNDECIDED,
    YES,
    by_interval,
    difference,
    judged,
    measured,
    resampled,
    slope,
    together,
)
from experiments.paradox.frames import BAND_CENTRES, NotMeasuredError, Runs, kernels, log_gain
from experiments.paradox.inside import became, chosen, compared
from experiments.paradox.plan import DEMAND, OWN_QUALITY, SOFT
from tests.support.paradox import BLUR, KINDS, SIDE, N, axes, drawn, looks, of_own, recipes, records, restorer_study
from vqttt.results.statistics import Estimate
from vqttt.runs.records import CLEAN


@pytest.mark.parametrize(
    ("own", "clean", "n", "verdict"), [(0.95, 0.8, N, YES), (0.8, 0.95, N, NO), (0.85, 0.8, 40, UNDECIDED)]
)
def test_peak(own: float, clean: float, n: int, verdict: str) -> None:
    runs = axes(of_own(own, clean), n)
    answer = peak.answer(runs)
    assert answer.verdict == verdict
    assert answer.main.about.startswith("soft: own quality (gaussian blur 4")
    assert answer.main.value.value == pytest.approx(own - clean)
    assert answer.main.value.low < own - clean < answer.main.value.high
    assert answer.main.images == n and answer.main.n == len(OWN_QUALITY["soft"]) * len(SOFT) * n
    assert len(answer.findings) == 3 + 2 * 3


def test_peak_fails_if_clean_models_prefer_degraded_images() -> None:
    answer = peak.answer(axes(of_own(0.95, 0.8, for_clean=0.7, other=0.9)))
    verdicts = {one.about.split(":")[0]: one.verdict for one in answer.findings}
    assert verdicts == {"soft": YES, "noisy": YES, "dark": YES, "embedded": NO, "plain": NO}
    assert answer.verdict == NO and answer.cases == verdicts


def test_seeds_of_a_quality_are_given_one_by_one() -> None:
    def rate(quality: str, kind: str, severity: int, restorer: str) -> float:
        return 0.9 if kind != CLEAN else 0.8

    runs = axes(rate)
    better = records([SOFT[2]], BLUR, lambda *_: 1.0)
    runs["blur"] = pl.concat([runs["blur"].filter((pl.col("model") != SOFT[2]) | (pl.col("severity") == 0)), better])
    found, over = peak.by_seed(runs, "soft")
    assert [round(one.value.value, 6) for one in found.values()] == [0.1, 0.1, 0.2]
    assert over == pytest.approx(np.std([0.1, 0.1, 0.2], ddof=1))


def test_the_best_of_all_is_corrected_for_their_number() -> None:
    def rate(quality: str, kind: str, severity: int, restorer: str) -> float:
        return 0.9 if (kind, severity) == ("gaussian_blur", 3) else 0.8

    runs = axes(rate)
    name, best, count = peak.best_of_all(runs, "embedded")
    assert (name, count) == ("gaussian_blur 3", len(BLUR) + len(SIDE))
    (alone,) = judged([measured("", peak.degraded(runs).filter(quality="embedded", condition=name))])
    assert best.p == pytest.approx(min(1.0, alone.p * count))
    assert peak.chosen_on_half(runs, "embedded").value == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("embedded", "soft", "n", "verdict"),
    [(0.1, -0.1, N, YES), (0.1, 0.1, N, NO), (0.1, 0.0, 3 * N, NO), (0.05, -0.05, 20, UNDECIDED)],
)
def test_restoring(embedded: float, soft: float, n: int, verdict: str) -> None:
    runs = restorer_study(embedded, soft, n)
    answer = restoring.answer(runs)
    assert answer.verdict == verdict
    assert answer.main.value.value == pytest.approx(soft - embedded)
    cells = restoring.by_restorer(runs)
    assert cells["embedded", "blur 4", "auto"].value.value == pytest.approx(embedded)
    assert cells["soft, all", "clean", "auto"].value.value == 0


@pytest.mark.parametrize(
    ("gain", "sign", "noise", "verdict"),
    [(0.1, 1, 0.0, YES), (0.1, -1, 0.0, NO), (-0.1, 1, 0.0, NO), (0.1, 0, 1.0, UNDECIDED)],
)
def test_spectrum(gain: float, sign: float, noise: float, verdict: str) -> None:
    runs = recipes(gain, sign, noise)
    answer = spectrum.answer(runs)
    assert answer.verdict == verdict
    if sign:
        assert answer.main.value.value == pytest.approx(sign)
        assert answer.findings[1].value.value == pytest.approx(float(sign > 0))
    assert [one.about.split()[-5] for one in answer.findings[2:]] == ["sharper", "blurrier"]
    assert [one.value.value for one in answer.findings[2:]] == pytest.approx([gain, gain])


def test_images_with_more_fine_detail_are_sharper() -> None:
    of_cell = spectrum.sides(spectrum.curves(recipes(0.1, 1)))
    found = dict(of_cell.select("degradation", "side").iter_rows())
    assert found == {kind: "sharper" if n % 2 else "blurrier" for n, kind in enumerate(KINDS)} | {CLEAN: "blurrier"}


def test_kernels_are_read_as_gains_by_band() -> None:
    side = 33
    identity = np.zeros((side, side))
    identity[side // 2, side // 2] = 1
    assert log_gain(2 * identity) == pytest.approx(np.log(2) * np.ones(len(BAND_CENTRES)))
    blurs = identity / 2
    blurs[side // 2, side // 2 - 1] = blurs[side // 2, side // 2 + 1] = 0.25
    assert (np.diff(log_gain(blurs)) < 0).all() and log_gain(blurs)[0] == pytest.approx(0, abs=0.02)
    cell = {"model": SOFT[1], "degradation": "fog", "severity": 3, "seed": 0, "method": "vq-ttt"}
    found = kernels([cell | {"kernel": identity.tolist()}, cell | {"kernel": None}, cell | {"method": "tent"}])
    assert found["quality"].to_list() == ["soft"] and found["gain"][0].to_list() == pytest.approx([0] * 9, abs=1e-9)


def asked(effect: Callable[[int], float], n: int = 480) -> Runs:
    """Return blur and sides in which blur changes the accuracy of a category by `effect` of its level."""
    runs = axes(lambda *_: 0.5, 8)
    clean = records(SOFT, [(CLEAN, 0)], lambda *_: 0.5, n)
    level = pl.col("category").replace_strict({name: effect(level) for name, level in DEMAND.items()})
    number = pl.col("sample_id").str.tail(6).cast(pl.Int64) // len(DEMAND) / (n / len(DEMAND))
    blurred = [
        clean.with_columns(
            degradation=pl.lit("gaussian_blur"),
            severity=pl.lit(severity, pl.Int64),
            condition=pl.lit(f"gaussian_blur {severity}"),
            base_score=pl.when(number < level).then(1.0).otherwise(pl.col("base_score")),
        )
        for severity in (4, 5)
    ]
    runs["blur"] = pl.concat([runs["blur"].filter(pl.col("quality") != "soft"), clean, *blurred])
    return runs


@pytest.mark.parametrize(
    ("effect", "n", "verdict"),
    [
        (lambda level: 0.3 * (level - 1), 480, YES),
        (lambda level: 0.3 * (3 - level), 480, NO),
        (lambda level: 0.1 * level, 40, UNDECIDED),
    ],
)
def test_demand(effect: Callable[[int], float], n: int, verdict: str) -> None:
    runs = asked(effect, n)
    assert demand.answer(runs).verdict == verdict
    assert list(demand.by_category(runs)) == list(DEMAND)


def wrong_answers(signal: float, n: int = 400) -> Runs:
    """Return a soft twin that is wrong on all clean images; blur sets half right, as `d0` tells as far as `signal`."""
    rng = np.random.default_rng(2)
    d0 = rng.normal(0, 1, n)
    flipped = signal * d0 + rng.normal(0, 1, n) > 0
    clean = records(SOFT[:1], [(CLEAN, 0)], lambda *_: 0.0, n)
    blurred = records(SOFT[:1], [("gaussian_blur", 4)], lambda *_: 0.0, n)
    blurred = blurred.with_columns(base_score=pl.Series(flipped.astype(float)))
    columns = {f"d{k}": rng.normal(0, 1, n) for k in range(1, 5)}
    described = pl.DataFrame({"sample_id": clean["sample_id"], "d0": d0, **columns})
    return Runs(blur=pl.concat([clean, blurred]), descriptors=described)


@pytest.mark.parametrize(("signal", "n", "verdict"), [(3.0, 300, YES), (0.0, 800, NO), (0.3, 60, UNDECIDED)])
def test_flips(signal: float, n: int, verdict: str) -> None:
    answer = flips.answer(wrong_answers(signal, n))
    assert answer.verdict == verdict
    assert [one.about.split("from ")[1] for one in answer.findings] == [
        "spectrum and margin: AUC",
        "the spectrum: AUC",
        "the margin: AUC",
    ]
    if signal > 1:
        assert answer.main.value.value > 0.85 and answer.findings[2].value.low <= 0.5


def test_areas_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    predictions, flipped = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.4
    weights = rng.integers(0, 3, (5, 40)).astype(float)
    expected = [roc_auc_score(flipped, predictions, sample_weight=drawn) for drawn in weights]
    assert flips.areas(predictions, flipped, weights) == pytest.approx(expected)


def test_flips_need_enough_wrong_answers() -> None:
    with pytest.raises(NotMeasuredError, match="enough wrong answers"):
        flips.answer(wrong_answers(1.0, 12))


def test_flips_that_recur_do_so_more_often_than_by_chance() -> None:
    runs = drawn(lambda i, s: i % 4 == 0)
    found = flips.recurrence(runs)
    assert found.value.value == pytest.approx(0.75) and found.verdict == YES
    assert flips.shares(flips.drawn_right(runs["redraws"])) == [(3, 200, 1.0, 0.25)]


def test_flips_that_are_luck_do_not_recur() -> None:
    luck = np.random.default_rng(3).random((2000, 3)) < 0.3
    found = flips.recurrence(drawn(lambda i, s: bool(luck[i, s]), 2000))
    assert abs(found.value.value) < 0.04 and found.value.low < 0 < found.value.high
    with pytest.raises(NotMeasuredError, match="flip"):
        flips.recurrence(drawn(lambda i, s: False))


def test_gains_of_the_recipe() -> None:
    runs = recipes(0.1, 1)
    runs["auto"] = records(SOFT, [(kind, 3) for kind in KINDS], lambda *_: 0.65, restorers=["auto"])
    found = targets.gains(runs)
    recipe, auto = targets.of(found, "vq-ttt"), targets.of(found, "auto alone")
    assert recipe.degraded is not None and recipe.degraded.value.value == pytest.approx(0.1)
    assert recipe.clean is not None and recipe.clean.value.value == pytest.approx(0.1)
    assert (recipe.time, recipe.harmed) == (2.0, 0)
    assert auto.degraded is not None and auto.degraded.value.value == pytest.approx(-0.15)
    assert auto.harmed == len(KINDS) and auto.clean is None
    assert {one.model for one in found if one.method == "vq-ttt"} == {*SOFT, "all"}
    with pytest.raises(NotMeasuredError):
        targets.of(found, "tent")


def test_gains_along_the_stream() -> None:
    runs = recipes(0.1, 1)
    with pytest.raises(NotMeasuredError):
        targets.along_the_stream(runs, first=10**6)
    tuned = runs["recipe"].filter(pl.col("method") == "vq-ttt")
    place = pl.int_range(pl.len()).over("model", "degradation", "severity")
    score = pl.when(place >= 20).then(1.0).otherwise("base_score")
    runs["recipe"] = tuned.with_columns(score=score)
    early, later = targets.along_the_stream(runs)
    assert early.value.value == 0 and later.value.value > 0.1


def test_what_was_reached() -> None:
    runs = Runs(recipes(0.1, 1) | axes(of_own(0.95, 0.8)))
    assert [one.reached for one in targets.reached(runs)] == [True] * 6
    weak = Runs(recipes(0.01, 1) | axes(of_own(0.81, 0.8)))
    assert [one.reached for one in targets.reached(weak)] == [False, False, False, True, False, True]
    harmful = recipes(-0.1, 1)
    assert [one.reached for one in targets.reached(harmful)] == [None, False, False, False, False, False]
    assert [one.reached for one in targets.reached(Runs())] == [None] * 6


def test_looks_inside_are_compared_by_what_became_of_the_answer() -> None:
    found = {(row["value"], row["became"]): row for row in compared(Runs(inside=looks()))}
    moved = found["relative attention inside the box", "set right"]["moved"]
    assert moved.value.value == pytest.approx(0.1) and moved.n == 20 and moved.value.low > 0
    assert found["relative attention inside the box", "stays right"]["moved"].value.value == 0
    assert found["probability of the right answer one layer earlier", "set right"]["blurred"] == pytest.approx(0.3)


def test_answers_that_change_are_looked_into_first() -> None:
    pairs = [(True, True), (False, True), (True, False), (False, False), (True, True)]
    kinds = [became(*pair) for pair in pairs]
    assert kinds == ["stays right", "set right", "set wrong", "stays wrong", "stays right"]
    assert chosen(kinds, 2) == [1, 2] and chosen(kinds, 4) == [0, 1, 2, 3]


def rows_of(changes: Sequence[float]) -> pl.DataFrame:
    return pl.DataFrame({"change": changes, "image": [str(i) for i in range(len(changes))]})


def test_verdicts() -> None:
    gain, loss, nothing, unsure = (
        rows_of([1.0] * 30 + [0.0] * 70),
        rows_of([-1.0] * 30 + [0.0] * 70),
        rows_of([0.0] * 600),
        rows_of([1.0, -1.0] * 5),
    )
    family = [measured("", rows) for rows in (gain, loss, nothing, unsure)]
    assert [one.verdict for one in judged(family)] == [YES, NO, NO, UNDECIDED]
    assert judged([measured("", loss, expected=-1)])[0].verdict == YES
    both = gain.with_columns(none=pl.lit(0.0))
    assert difference("", both, "none", "change").value.value == pytest.approx(0.3)
    assert together(judged(family[:1])) == YES
    assert together(judged(family)) == NO
    assert together(judged([family[0], family[3]])) == UNDECIDED


@pytest.mark.parametrize(
    ("ends", "verdict"), [((0.2, 0.4), YES), ((-0.4, -0.2), NO), ((-0.1, 0.05), NO), ((-0.1, 0.3), UNDECIDED)]
)
def test_verdicts_by_interval(ends: tuple[float, float], verdict: str) -> None:
    assert by_interval("", Estimate(sum(ends) / 2, *ends), 0.0, 0.1).verdict == verdict


def test_a_slope_has_an_interval_that_covers_it() -> None:
    rng = np.random.default_rng(0)
    images = np.repeat(np.arange(60), 2)
    covered = 0
    for _ in range(400):
        levels = rng.integers(1, 4, 60)[images].astype(float)
        values = 0.5 * levels + rng.normal(0, 1, 60)[images] + rng.normal(0, 0.3, 120)
        value, _ = slope(levels, values, images)
        covered += value.low <= 0.5 <= value.high
    assert value.value == pytest.approx(np.polyfit(levels, values, 1)[0])
    assert 0.92 <= covered / 400 <= 0.98


def test_a_resampled_mean_has_the_interval_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(1, 2, 400)
    sums = np.stack([values, np.ones(400)], axis=1)
    found = resampled(sums, lambda totals: totals[:, 0] / totals[:, 1])
    reach = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((found.value - reach, found.value + reach), abs=0.03)
