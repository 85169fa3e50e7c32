"""Frames made from records: cells, methods, costs, and the selections behind them."""

import polars as pl
import pytest

from tests.support.runs import METHODS, SAMPLES, TASKS, rated_records, scored_records, write_run
from vqttt.results.summary import clean_and_degraded, costs, images, overview, summarise, untuned, without_restorers
from vqttt.runs.loading import load_records

TIMED = {"seconds": pl.lit(0.1), "confidence": pl.lit(0.9), "steps": pl.lit(0), "rolled_back": pl.lit(False)}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    return load_records(write_run(tmp_path_factory.mktemp("run")))


def test_untuned_answers_come_from_the_baseline_unless_it_failed() -> None:
    base = {("fog", 1): [1.0, 1.0]}
    frame = scored_records({("fog", 1, "a"): [0.0, 0.0], ("fog", 1, "none"): [1.0, 1.0]}, base)
    lost = (pl.col("method") == "none") & (pl.col("sample_id") == "001")
    frame = frame.with_columns(error=pl.when(lost).then(pl.lit("lost")).otherwise("error"))
    assert dict(untuned(frame).select("sample_id", "method").rows()) == {"000": "none", "001": "a"}


def test_restored_images_are_left_out_unless_all_are_restored() -> None:
    plain = rated_records(1.0)
    restored = plain.with_columns(restorer=pl.lit("good"))
    assert without_restorers(pl.concat([restored, plain])).equals(plain)
    assert without_restorers(restored).equals(restored)


def test_the_clean_image_is_the_unrestored_one_unless_all_are_restored() -> None:
    base = {("clean", 0): [1.0, 0.0], ("fog", 1): [0.0, 0.0]}
    plain = scored_records({(*condition, "none"): scores for condition, scores in base.items()}, base)
    restored = plain.with_columns(restorer=pl.lit("median"), base_score=1 - pl.col("base_score"))
    pairs = clean_and_degraded(pl.concat([restored, plain]))
    assert pairs.select("restorer", "clean_score", "base_score").rows() == [
        ("median", 1, 1), ("median", 0, 1), ("none", 1, 0), ("none", 0, 0),
    ]  # fmt: skip
    assert clean_and_degraded(restored).select("clean_score", "base_score").rows() == [(0, 1), (1, 1)]


def test_summary_columns_and_failures(records: pl.DataFrame) -> None:
    cells = summarise(records)
    assert ",".join(cells.columns) == (
        "model,task,degradation,severity,restorer,method,n,images,accuracy,chance,delta,ci_low,ci_high,p_value,corrective,"
        "destructive,ece,seconds_per_sample,accuracy_low,accuracy_high,rolled_back,tuned,failed,scale,seed,"
        "format_accuracy,base_format_accuracy"
    )
    assert set(cells["n"]) == {SAMPLES}
    assert cells["failed"].to_list() == [int(severity == 3) for severity in cells["severity"]]
    assert (cells["ci_low"] <= cells["delta"]).all() and (cells["delta"] <= cells["ci_high"]).all()
    assert cells.filter(method="none").select("delta", "p_value").unique().rows() == [(0.0, 1.0)]
    assert set(cells.filter(method="vq-ttt")["tuned"]) == {1.0}
    assert cells["ece"].is_finite().all()


def test_the_image_of_a_record_is_its_source_or_else_its_sample() -> None:
    base = {("fog", 1): [1.0] * 4}
    frame = scored_records({("fog", 1, "none"): [1.0] * 4}, base)
    frame = pl.concat([frame, frame.with_columns(task=pl.lit("other"))]).with_columns(**TIMED)
    assert len(set(images(frame))) == 8
    source = frame.with_columns(source_sha256=pl.Series(["x", "x", "", None, "x", "y", "", None]))
    one, two, three, four, again, other, elsewhere, last = images(source)
    assert one == two == again != other
    assert len({one, three, four, other, elsewhere, last}) == 6
    assert summarise(source).select("task", "n", "images").rows() == [("other", 4, 4), ("t", 4, 3)]
    assert overview(source).filter(task="all").select("n", "images").rows() == [(8, 6)]


def test_only_the_baseline_has_intervals_of_zero_width() -> None:
    base = {("clean", 0): [1.0] * 20, ("fog", 1): [1.0] * 20}
    frame = scored_records({(*key, method): [1.0] * 20 for key in base for method in ("none", "tuned")}, base)
    frame = frame.with_columns(**TIMED)
    for made in (summarise(frame), overview(frame).filter(task="all")):
        widths = dict(made.select("method", width=pl.col("ci_high") - pl.col("ci_low")).rows())
        assert widths["none"] == 0 < 0.2 < widths["tuned"]
    assert (summarise(frame)["accuracy_low"] < 1).all()


def test_chance_stands_beside_accuracy() -> None:
    frame = scored_records({("fog", 1, "none"): [1.0, 0.0]}, {("fog", 1): [1.0, 0.0]})
    frame = frame.with_columns(**TIMED)
    known = frame.with_columns(chance=pl.Series([0.5, 0.25]))
    for made in (summarise, overview):
        assert set(made(known)["chance"]) == {0.375}
        assert set(made(known.with_columns(chance=pl.Series([0.5, float("nan")])))["chance"]) == {None}
        assert set(made(frame)["chance"]) == {None}


def test_overview_averages_cells_and_relates_time_to_the_baseline(records: pl.DataFrame) -> None:
    rows = {(row["task"], row["method"]): row for row in overview(records).to_dicts()}
    assert set(rows) == {(task, method) for task in ("all", *TASKS) for method in METHODS}
    degraded = summarise(records).filter(pl.col("degradation") != "clean", method="vq-ttt")
    row = rows["all", "vq-ttt"]
    assert row["accuracy"] == pytest.approx(degraded["accuracy"].mean())
    assert row["delta"] == pytest.approx(degraded["delta"].mean())
    assert (row["corrective"], row["cells"], row["n"]) == (degraded["corrective"].sum(), 8, 80)
    assert row["cost"] == pytest.approx(3.5)
    assert row["clean_ci_low"] <= row["clean_delta"] <= row["clean_ci_high"]


def test_costs_are_quantiles_over_answers(records: pl.DataFrame) -> None:
    slow = pl.when(pl.col("sample_id").str.ends_with("9")).then(3.5).otherwise(pl.col("seconds"))
    spent = costs(records.with_columns(seconds=slow), overview(records)).filter(task="digits", method="vq-ttt")
    (row,) = spent.to_dicts()
    assert (row["p50"], row["p95"], row["tuned"]) == (0.35, 3.5, 1.0)
    assert 0.35 < row["seconds"] < 3.5
