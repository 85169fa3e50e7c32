"""Models of one run side by side: cases worked by hand, symmetry, what cannot be compared, and how it is shown."""

from io import StringIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.support.figures import without_drawing
from tests.support.fuzzing import examples
from tests.support.runs import scored_records, write_cell
from vqttt.results import report
from vqttt.results.between_models import between_models
from vqttt.results.clusters import net_test
from vqttt.results.paradox import quality_effect
from vqttt.results.report.contents import Contents
from vqttt.results.report.models import side_by_side
from vqttt.results.statistics import holm
from vqttt.results.summary import untuned
from vqttt.results.tables import between_models_tables
from vqttt.runs.loading import load_records

CLEAN, BLUR, FOG = ("clean", 0), ("blur", 3), ("fog", 1)
Scores = dict[tuple[str, int], list[float]]


def answers(model: str, scores: Scores, **columns: str) -> pl.DataFrame:
    """Make untuned records of a model from its scores by condition."""
    records = scored_records({(*key, "none"): score for key, score in scores.items()}, scores)
    return records.with_columns(pl.lit(value).alias(name) for name, value in (columns | {"model": model}).items())


def right(n: int, of: int = 40) -> list[float]:
    """Scores of which the first n are right."""
    return [1.0] * n + [0.0] * (of - n)


SHARP = {CLEAN: right(38), BLUR: right(28), FOG: right(36)}
SOFT = {CLEAN: right(30), BLUR: right(36), FOG: right(28)}


def row(frame: pl.DataFrame, degradation: str, severity: int | None, **values: str) -> dict:
    same = pl.col("severity").is_null() if severity is None else pl.col("severity") == severity
    return frame.filter(pl.col("degradation") == degradation, same, **values).row(0, named=True)


def test_differences_and_changes_by_hand() -> None:
    frame = between_models(pl.concat([answers("sharp", SHARP), answers("soft", SOFT)]))
    conditions = [("clean", 0), ("all", None), ("blur", None), ("blur", 3), ("fog", None), ("fog", 1)]
    assert frame.select("degradation", "severity").rows() == conditions
    assert set(frame["task"]) == {"t"}  # with a single task there is no row for all
    blur, clean, together = row(frame, "blur", 3), row(frame, "clean", 0), row(frame, "all", None)
    assert (blur["first"], blur["second"], blur["delta"]) == pytest.approx((28 / 40, 36 / 40, 8 / 40))
    assert (blur["only_first"], blur["only_second"], blur["n"], blur["images"]) == (0, 8, 40, 40)
    assert blur["p_value"] == pytest.approx(2 / 2**8)
    assert (blur["first_change"], blur["second_change"]) == pytest.approx((-10 / 40, 6 / 40))
    assert blur["change_delta"] == pytest.approx(16 / 40) and 0 < blur["change_low"] < 0.4 < blur["change_high"]
    assert blur["change_p"] == pytest.approx(2 / 2**10)  # six questions differ by two, four by one, all one way
    assert (clean["only_first"], clean["delta"], clean["change_delta"], clean["change_p"]) == (8, -0.2, None, None)
    assert together["cells"] == 2 and together["change_delta"] == pytest.approx((16 / 40 + 0) / 2)


def test_changes_are_those_of_the_quality_table() -> None:
    records = pl.concat([answers("sharp", SHARP), answers("soft", SOFT)])
    frame = between_models(records).filter(pl.col("severity") > 0)
    for model, name in (("sharp", "first"), ("soft", "second")):
        effect = quality_effect(records.filter(model=model))
        columns = [f"{name}_change", f"{name}_change_low", f"{name}_change_high"]
        assert frame.select(columns).rows() == effect.select("delta", "ci_low", "ci_high").rows()


def test_p_values_are_corrected_within_a_pair_and_a_kind_of_row() -> None:
    two = [answers(name, scores, task=task) for name, scores in (("a", SHARP), ("b", SOFT)) for task in ("s", "t")]
    frame = between_models(pl.concat(two))
    for tasks in (pl.col("task") == "all", pl.col("task") != "all"):
        for together in (True, False):
            family = frame.filter(tasks, pl.col("severity").is_null() == together)
            assert family["p_holm"].to_list() == pytest.approx(holm(family["p_value"].to_numpy()).tolist())
            changed = family.filter(pl.col("change_p").is_not_null())
            assert changed["change_p_holm"].to_list() == pytest.approx(holm(changed["change_p"].to_numpy()).tolist())
    three = between_models(pl.concat([*two, answers("c", SOFT, task="s")]))
    assert three.filter(second_model="b").equals(frame)


def test_three_models_are_compared_with_the_first_in_order() -> None:
    frame = between_models(pl.concat([answers(name, SHARP) for name in ("b", "a", "c")]))
    assert frame.select("first_model", "second_model").unique(maintain_order=True).rows() == [("b", "a"), ("b", "c")]
    assert len(between_models_tables(frame)) == 2


NUMBERS = st.lists(st.sampled_from([0.0, 0.3, 0.5, 1.0]), min_size=12, max_size=12)


@examples(15)
@given(st.lists(NUMBERS, min_size=4, max_size=4))
def test_exchanging_the_models_changes_signs_only(scores: list[list[float]]) -> None:
    one, other = ({CLEAN: scores[n], BLUR: scores[n + 1]} for n in (0, 2))
    frame, swapped = (
        between_models(pl.concat([answers("a", first), answers("b", second)]))
        for first, second in ((one, other), (other, one))
    )
    for value, low, high in (("delta", "ci_low", "ci_high"), ("change_delta", "change_low", "change_high")):
        turned = swapped.select(-pl.col(value), -pl.col(high), -pl.col(low)).fill_null(0).to_numpy()
        assert frame.select(value, low, high).fill_null(0).to_numpy() == pytest.approx(turned)
    for same in ("p_value", "change_p", "p_holm", "change_p_holm"):
        assert frame[same].to_list() == swapped[same].to_list()
    assert frame["only_first"].to_list() == swapped["only_second"].to_list()


def test_restored_images_are_compared_with_clean_unrestored_ones() -> None:
    parts = [answers("a", SHARP), answers("b", SOFT)]
    parts += [answers(name, {CLEAN: right(20), BLUR: right(n)}, restorer="auto") for name, n in (("a", 38), ("b", 30))]
    frame = between_models(pl.concat(parts))
    blur = row(frame, "blur", 3, restorer="auto")
    assert (blur["first_change"], blur["second_change"]) == pytest.approx((0, 0))
    clean = row(frame, "clean", 0, restorer="auto")  # what restoring does to clean images is a change as well
    assert (clean["first_change"], clean["second_change"]) == pytest.approx((-18 / 40, -10 / 40))
    assert row(frame, "clean", 0, restorer="none")["first_change"] is None
    alone = between_models(pl.concat(parts[2:]))
    assert row(alone, "blur", 3)["first_change"] == pytest.approx(18 / 40)


def test_a_method_is_compared_with_itself_on_clean_images_and_brings_the_untuned_answers() -> None:
    parts = []
    for name, tuned, base in (("a", {CLEAN: right(40), BLUR: right(30)}, SHARP), ("b", SHARP, SOFT)):
        scores = {(*key, "tent"): score for key, score in tuned.items() if key in (CLEAN, BLUR)}
        parts.append(scored_records(scores, base).with_columns(model=pl.lit(name)))
    frame = between_models(pl.concat(parts))
    assert set(frame["method"]) == {"none", "tent"}
    tent, none = (row(frame, "blur", 3, method=method) for method in ("tent", "none"))
    assert (tent["first_change"], tent["second_change"]) == pytest.approx((-10 / 40, -10 / 40))
    assert (none["first_change"], none["second_change"]) == pytest.approx((-10 / 40, 6 / 40))


def test_only_the_same_questions_about_the_same_images_are_compared() -> None:
    part = answers("b", {CLEAN: right(20, 30), BLUR: right(20, 30)})
    frame = between_models(pl.concat([answers("a", SHARP), part]))
    assert set(frame["n"]) == {30} and "fog" not in frame["degradation"]
    for column in ("image_sha256", "source_sha256"):
        records = pl.concat([answers(name, SHARP, source_sha256="x") for name in ("a", "b")])
        other = (pl.col("model") == "b") & (pl.col("degradation") == "blur")
        found = pl.when(other & (pl.col("sample_id") < "010")).then(pl.lit("other")).otherwise(pl.lit("x"))
        frame = between_models(records.with_columns(found.alias(column)))
        assert row(frame, "blur", 3)["n"] == 30 and row(frame, "fog", 1)["n"] == 40


def test_models_that_share_no_question_are_not_compared(tmp_path: Path) -> None:
    records = pl.concat([answers("a", SHARP, task="s"), answers("b", SHARP, task="t")])
    frame = between_models(records)
    assert frame.is_empty() and between_models_tables(frame) == []
    assert side_by_side(records, frame) == [
        "a and b share no question about the same image, so they are not compared.",
    ]
    third = pl.concat([records, answers("c", SOFT, task="s")])
    assert [line[:7] for line in side_by_side(third, between_models(third))][:2] == ["a and b", "a and c"]


def test_one_model_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    write_cell(tmp_path, "digits", "clean", 0, "none")
    records = load_records(tmp_path)
    frame = between_models(records)
    assert frame.is_empty() and side_by_side(records, frame) == []
    written = report.write_report(tmp_path, "csv")
    assert [path.name for path in written] == ["summary.csv", "quality.csv"]
    assert 'id="models"' not in report.write_html(tmp_path).read_text()


def test_a_model_whose_answers_failed_counts_as_wrong_and_is_named() -> None:
    failed = answers("b", {key: right(0) for key in SHARP}, error="out of memory")
    records = pl.concat([answers("a", SHARP), failed])
    frame = between_models(records)
    clean = row(frame, "clean", 0)
    assert (clean["second"], clean["only_first"], clean["only_second"], clean["n"]) == (0, 38, 0, 40)
    lines = side_by_side(records, frame)
    assert lines[1].startswith("a and b: 0 answers of a and 120 of b failed and count as wrong")
    both = records.with_columns(error=pl.lit("out of memory"))
    assert len(side_by_side(both, between_models(both))) == 1


def test_runs_without_degraded_images_compare_accuracies() -> None:
    records = pl.concat([answers("a", {CLEAN: right(38)}), answers("b", {CLEAN: right(30)})])
    frame = between_models(records)
    (line,) = side_by_side(records, frame)
    assert "untuned accuracy is 95.0% and 75.0%, a difference of −20.0 [" in line and "lacks clean or degraded" in line
    (table,) = between_models_tables(frame)
    assert [cells[0] for cells in table.rows] == ["clean"]


def test_the_pooled_test_asks_for_the_mean_and_not_for_how_many_questions_change() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        # Both models lose 15 points from chance answers of 95 and 80 percent: most questions change a little one way,
        # few a lot the other way. A test of how many change would find a difference in nearly every sample.
        clean = [rng.random(200) < rate for rate in (0.8, 0.95)]
        degraded = [(rng.random((20, 200)) < rate).mean(0) for rate in (0.65, 0.8)]
        first, second = (after - before for before, after in zip(clean, degraded, strict=True))
        found.append(net_test(second - first))
        assert np.mean(second > first) > 0.5 or len(found) > 1
    assert np.mean(np.array(found) < 0.05) < 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 300)


def two_models(run: Path) -> pl.DataFrame:
    """Write a run of two models; the second answers differently."""
    for model in ("org/a-model-with-a-rather-long-name", "org/another-model-with-a-long-name"):
        for degradation, severity in (CLEAN, BLUR, ("fog", 3)):
            seed = 0 if "another" not in model else severity
            write_cell(run, "digits", degradation, severity, "none", model=model)
            if seed:
                file = next(run.glob(f"cells/digits-{degradation}-{severity}-none-org-another*"))
                flipped = pl.read_parquet(file).with_columns(base_score=1 - pl.col("base_score"))
                flipped.with_columns(score=pl.col("base_score")).write_parquet(file)
    return load_records(run)


def test_every_form_of_the_report_shows_models_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_drawing(monkeypatch)
    contents = Contents(two_models(tmp_path))
    page = report.write_html(tmp_path, contents).read_text()
    assert 'id="models"' in page and 'href="#models"' in page
    (table,) = contents.model_tables
    assert table.header[:3] == ("degradation", "samples", "accuracy, org/a-model-with-a-rather-long-name")
    assert [cells[0] for cells in table.rows] == ["clean", "all", "blur", "fog"]
    assert "## Models side by side" in report.write_markdown(tmp_path, contents).read_text()
    assert "Models side by side" in report.write_latex(tmp_path, contents).read_text()
    written = report.write_report(tmp_path, "csv")
    assert [path.name for path in written] == ["summary.csv", "quality.csv", "models.csv"]
    csv = pl.read_csv(written[-1])
    assert csv.columns == contents.frames.between_models.columns and len(csv) == len(contents.frames.between_models)


def test_the_table_of_models_fits_a_terminal_of_80_columns(tmp_path: Path) -> None:
    console = Console(width=80, file=StringIO(), record=True)
    (table,) = between_models_tables(Contents(two_models(tmp_path)).frames.between_models, brief=True)
    console.print(table.rich())
    shown = console.export_text()
    assert "…" not in shown and "difference" in shown and "blur" in shown


def test_untuned_answers_count_once_however_many_methods_carry_them() -> None:
    parts = []
    for name, base in (("a", SHARP), ("b", SOFT)):
        scores = {(*key, method): base[key] for key in base for method in ("none", "tent", "sar")}
        parts.append(scored_records(scores, base).with_columns(model=pl.lit(name)))
    records = pl.concat(parts)
    none = between_models(records).filter(method="none")
    assert none.drop("p_holm", "change_p_holm").equals(between_models(untuned(records)).drop("p_holm", "change_p_holm"))
