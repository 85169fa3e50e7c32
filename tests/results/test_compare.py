"""Comparisons of two runs, on cases worked by hand."""

import polars as pl
import pytest

from tests.support.runs import scored_records
from vqttt.errors import InputError
from vqttt.results.compare import compare, unpaired

CLEAN, FOG = ("clean", 0), ("fog", 3)


def run(method: str, clean: list[float], fog: list[float]) -> pl.DataFrame:
    return scored_records({(*CLEAN, method): clean, (*FOG, method): fog}, {CLEAN: clean, FOG: fog})


def test_gains_are_those_of_the_second_run() -> None:
    found = compare(run("none", [1, 1, 0, 0], [0, 0, 0, 1]), run("none", [1, 1, 0, 0], [1, 0, 1, 0]))
    row = found.filter(task="t").row(0, named=True)
    assert (row["n"], row["cells"], row["method"]) == (4, 2, "none")
    assert (row["first"], row["second"]) == (0.375, 0.5)
    assert row["delta"] == pytest.approx(0.125)
    assert (row["corrective"], row["destructive"]) == (2, 1)


def test_runs_of_one_method_each_compare_the_methods() -> None:
    found = compare(run("none", [1, 0], [0, 0]), run("tuned", [1, 0], [1, 0]))
    assert set(found["method"]) == {"none → tuned"}
    assert found["delta"].to_list() == pytest.approx([0.25])


def test_a_sample_under_many_conditions_counts_once_in_the_test() -> None:
    conditions = [("fog", severity) for severity in range(1, 6)]
    wrong = {key: [0.0] * 20 for key in conditions}
    better = {key: [1.0] * 4 + [0.0] * 16 for key in conditions}
    first = scored_records({(*key, "none"): score for key, score in wrong.items()}, wrong)
    second = scored_records({(*key, "none"): score for key, score in better.items()}, wrong)
    row = compare(first, second).row(0, named=True)
    assert (row["corrective"], row["cells"]) == (20, 5)
    assert row["p_value"] == pytest.approx(2 / 2**4)


def test_rounding_noise_of_soft_scores_is_no_gain() -> None:
    fog, snow = ("fog", 3), ("snow", 3)
    before, after = {fog: [0.6] * 20, snow: [0.6] * 20}, {fog: [0.9] * 20, snow: [0.3] * 20}
    first = scored_records({(*key, "none"): score for key, score in before.items()}, before)
    second = scored_records({(*key, "none"): score for key, score in after.items()}, before)
    row = compare(first, second).row(0, named=True)
    assert 0.9 - 0.6 + (0.3 - 0.6) != 0  # the mean is not quite zero
    assert row["delta"] == pytest.approx(0, abs=1e-12) and row["ci_low"] < 0 < row["ci_high"]
    assert row["p_value"] == row["p_holm"] == 1.0


def test_questions_about_one_image_count_once_in_the_test() -> None:
    first, second = (scored_records({(*FOG, "none"): [score] * 20}, {FOG: [0.0] * 20}) for score in (0.0, 1.0))
    shared = [part.with_columns(source_sha256=pl.Series(list("abcde") * 4)) for part in (first, second)]
    row = compare(*shared).row(0, named=True)
    assert (row["n"], row["images"], row["corrective"]) == (20, 5, 20)
    assert row["p_value"] == pytest.approx(2 / 2**5)


def test_answers_to_different_images_are_not_compared() -> None:
    one, other = (run("none", [1, 0], [0, 1]).with_columns(image_sha256=pl.lit(name)) for name in ("a", "b"))
    with pytest.raises(InputError, match="every image differs"):
        compare(one, other)
    assert compare(one, one)["n"].to_list() == [2]
    assert unpaired(one, other) == (0, 0, 0, 0, 4)


def test_only_shared_cells_and_samples_are_compared() -> None:
    whole, part = run("none", [1, 0, 1], [0, 0, 1]), run("none", [1, 0], [1, 0]).filter(degradation="fog")
    assert compare(whole, part)["n"].to_list() == [2]
    assert unpaired(whole, part) == (4, 0, 1, 1, 0)
    assert unpaired(whole, whole) == (0, 0, 0, 0, 0)


def test_runs_with_nothing_in_common_are_an_error() -> None:
    with pytest.raises(InputError, match="no cell in common"):
        compare(run("none", [1], [1]).filter(degradation="fog"), run("none", [1], [1]).filter(degradation="clean"))
