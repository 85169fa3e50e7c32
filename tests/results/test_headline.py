"""The headline, the counts of verdicts and the list of remedies say what records show, and no more."""

import polars as pl
import pytest

from tests.support.runs import scored_records
from tests.support.several_models import FROM_BLURRED, FROM_CLEAN, MODELS, write_models
from vqttt.results.report.contents import Contents
from vqttt.results.report.findings import verdict_counts
from vqttt.results.report.headline import on_remedies
from vqttt.runs.loading import load_records

N = 400


def scores(right: int) -> list[float]:
    return [1.0] * right + [0.0] * (N - right)


def run_of(accuracies: dict[tuple[str, int], int], model: str = "m", task: str = "t") -> pl.DataFrame:
    """Records of the untuned model, from the number of right answers by condition."""
    base = {condition: scores(right) for condition, right in accuracies.items()}
    records = scored_records({(*condition, "none"): right for condition, right in base.items()}, base)
    return records.with_columns(model=pl.lit(model), task=pl.lit(task), psnr=20.0, seconds=0.1)


def says(*runs: pl.DataFrame) -> str:
    return Contents(pl.concat(runs)).headline


CLEAN, FOG, SNOW = ("clean", 0), ("fog", 3), ("snow", 1)


@pytest.mark.parametrize(
    ("accuracies", "sentence"),
    [
        ({CLEAN: 300, FOG: 340}, "m answers 10.0 points better on images with fog (severity 3) than on clean ones."),
        (
            {CLEAN: 380, FOG: 300},
            "Degradation costs m 20.0 points of accuracy: it answers 95.0% right on clean images "
            "and 75.0% on degraded ones.",
        ),
        ({CLEAN: 380, FOG: 375}, "No clear effect of degradation on m: it answers 95.0% right on clean images"),
        (
            {CLEAN: 380, FOG: 380, SNOW: 380},
            "Image quality does not matter to m: under every condition the change is within 2 points.",
        ),
        ({CLEAN: 2, FOG: 2}, "On clean images m is not clearly better than guessing"),
        ({CLEAN: 300}, "m answers 75.0% right on clean images; the run has no degraded ones."),
        ({FOG: 300, SNOW: 200}, "m answers 62.5% right on degraded images; the run has no clean ones."),
    ],
)
def test_the_headline_of_one_model(accuracies: dict[tuple[str, int], int], sentence: str) -> None:
    assert says(run_of(accuracies)).startswith(sentence)


def test_the_best_condition_beyond_chance_comes_before_a_loss() -> None:
    sentence = says(run_of({CLEAN: 300, FOG: 330, SNOW: 100}))
    assert sentence == "m answers 7.5 points better on images with fog (severity 3) than on clean ones."


def test_a_gain_within_chance_is_no_headline() -> None:
    assert "better" not in says(run_of({CLEAN: 380, FOG: 383}))


def test_a_failed_run_says_so() -> None:
    failed = run_of({CLEAN: 0, FOG: 0}).with_columns(error=pl.lit("broken"))
    assert says(failed) == "All 800 answers of m failed."


def test_models_that_do_not_gain_are_named_with_what_was_found() -> None:
    better, worse, same = {CLEAN: 300, FOG: 340}, {CLEAN: 380, FOG: 300}, {CLEAN: 380, FOG: 381}
    sentence = says(run_of(better, "a"), run_of(worse, "b"), run_of(same, "c"))
    assert sentence == (
        "a answers 10.0 points better on images with fog (severity 3) than on clean ones; on those, "
        "b answers 20.0 points worse; no condition is shown to help c."
    )


def test_several_models_that_gain_are_ordered_by_their_gain() -> None:
    sentence = says(run_of({CLEAN: 300, FOG: 330}, "a"), run_of({CLEAN: 300, SNOW: 340}, "b"))
    assert sentence == (
        "b answers 10.0 points better on images with snow (severity 1) than on clean ones; "
        "a 7.5 points better with fog (severity 3)."
    )


def test_several_models_that_nothing_helps() -> None:
    sentence = says(run_of({CLEAN: 380, FOG: 300}, "a"), run_of({CLEAN: 380, FOG: 379}, "b"))
    assert sentence == (
        "Degradation costs a 20.0 points; no clear effect of degradation on b; "
        "no condition is shown to help any of them."
    )


def test_many_models_are_counted() -> None:
    runs = [run_of({CLEAN: 300, FOG: 340 - i}, f"m{i}") for i in range(6)]
    assert says(*runs).endswith("; of the 5 other models, a condition is shown to help 5.")


def test_a_condition_is_named_with_its_task_if_there_are_several() -> None:
    sentence = says(run_of({CLEAN: 300, FOG: 340}, task="t"), run_of({CLEAN: 380, FOG: 370}, task="u"))
    assert sentence.startswith("On t, m answers 10.0 points better on images with fog")


def test_counts_are_in_plain_words() -> None:
    assert verdict_counts({"hurts": 10, "helps": 3, "undecided": 23}) == (
        "of 36 conditions 10 lower accuracy, 3 raise it, 0 proven unchanged (within 2 points), 23 inconclusive"
    )
    assert verdict_counts({"hurts": 1, "helps": 1, "uninformative": 2}).endswith(
        "1 raises it, 0 proven unchanged (within 2 points), 0 inconclusive, "
        "2 uninformative (clean images answered no better than by guessing)"
    )


def test_restoring_alone_stands_beside_methods_with_its_cost(tmp_path) -> None:
    write_models(tmp_path, examples=False)
    clean, soft = Contents(load_records(tmp_path)).findings
    for facts in (clean, soft):
        assert [(one.name, one.kind) for one in facts["remedies"]] == [("auto", "restorer"), ("vq-ttt", "method")]
        assert [round(one.cost, 6) for one in facts["remedies"]] == [1.3, 2.3]
    assert "auto, restoring alone, gains" in on_remedies(clean) and "at 1.3 times the time" in on_remedies(clean)
    assert "auto, restoring alone, loses" in on_remedies(soft) and "vq-ttt gains" in on_remedies(soft)


def test_a_gain_that_may_be_zero_is_no_gain(tmp_path) -> None:
    write_models(tmp_path, {"other": FROM_CLEAN}, examples=False)  # nothing helps this model
    (facts,) = Contents(load_records(tmp_path)).findings
    assert "vq-ttt has no clear effect (" in on_remedies(facts) and "gains" not in on_remedies(facts)


def test_the_story_of_the_two_models(tmp_path) -> None:
    assert MODELS == {"embedded": FROM_CLEAN, "embedded-soft": FROM_BLURRED}
    sentence = Contents(load_records(write_models(tmp_path, tried=("none",), examples=False))).headline
    assert sentence.startswith("embedded-soft answers ")
    assert "points better on images with gaussian blur (severity 4) than on clean ones; on those, embedded" in sentence
