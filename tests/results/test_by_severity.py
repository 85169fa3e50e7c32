"""Changes by degradation and severity, against the quality effect and counts by hand."""

import polars as pl
import pytest

from tests.support.runs import scored_records, write_run
from vqttt.results.by_severity import gains_by_severity, quality_by_severity
from vqttt.results.paradox import quality_effect
from vqttt.results.proportions import wilson
from vqttt.runs.loading import load_records


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    return load_records(write_run(tmp_path_factory.mktemp("run")))


def test_with_one_seed_changes_agree_with_the_quality_effect(records: pl.DataFrame) -> None:
    keys = ["model", "task", "degradation", "severity"]
    table = quality_effect(records).select(*keys, "delta", "corrective", "destructive", "p_holm").sort(keys)
    single = quality_by_severity(records).filter(pl.col("task") != "all").select(table.columns).sort(keys)
    assert single.select(keys).equals(table.select(keys))
    for name in ("delta", "corrective", "destructive", "p_holm"):
        assert single[name].to_list() == pytest.approx(table[name].to_list())


def test_all_tasks_together_are_the_mean_of_their_cells(records: pl.DataFrame) -> None:
    every = quality_by_severity(records)
    means = (
        every.filter(pl.col("task") != "all")
        .group_by("degradation", "severity")
        .agg(pl.col("delta").mean(), pl.col("corrective", "destructive").sum())
    )
    pooled = every.filter(task="all").select(means.columns)
    for row in means.to_dicts():
        (found,) = pooled.filter(degradation=row["degradation"], severity=row["severity"]).to_dicts()
        assert found == pytest.approx(row)


def test_every_cell_has_the_same_weight_over_all_tasks() -> None:
    conditions = {("clean", 0): [1.0, 1.0], ("fog", 1): [0.0, 0.0]}
    worse = scored_records({(*condition, "none"): scores for condition, scores in conditions.items()}, conditions)
    same = worse.with_columns(task=pl.lit("other"), base_score=1.0)
    two_seeds = [same.with_columns(seed=pl.lit(seed, pl.Int32)) for seed in (0, 1)]
    changes = quality_by_severity(pl.concat([worse, *two_seeds]))
    assert dict(changes.select("task", "delta").rows()) == pytest.approx({"all": -1 / 3, "t": -1, "other": 0})


def test_gains_compare_with_the_untuned_answers(records: pl.DataFrame) -> None:
    gains = gains_by_severity(records)
    assert set(gains["method"]) == {"vq-ttt", "vq-ttt-episodic"}
    assert "clean" not in set(gains["degradation"])
    cell = records.filter(task="digits", method="vq-ttt", degradation="fog", severity=3)
    (row,) = gains.filter(task="digits", method="vq-ttt", degradation="fog", severity=3).to_dicts()
    assert row["corrective"] == ((cell["score"] > cell["base_score"]).sum())
    assert row["delta"] == pytest.approx((cell["score"] - cell["base_score"]).mean())


def test_seeds_of_a_sample_count_once(records: pl.DataFrame) -> None:
    doubled = pl.concat([records, records.with_columns(seed=pl.lit(1, pl.Int64))])
    once, twice = quality_by_severity(records), quality_by_severity(doubled)
    for name in ("delta", "corrective", "destructive", "p_holm"):
        assert once[name].to_list() == pytest.approx(twice[name].to_list())


def test_accuracies_have_intervals_clustered_by_image(records: pl.DataFrame) -> None:
    cell = records.filter(task="digits", method="none", degradation="fog", severity=3)
    shared = records.with_columns(source_sha256=pl.col("sample_id").str.head(-1))  # ten questions an image
    rows = [
        quality_by_severity(frame).filter(task="digits", degradation="fog", severity=3).row(0, named=True)
        for frame in (records, shared)
    ]
    assert [(row["n"], row["images"]) for row in rows] == [(40, 40), (40, 4)]
    assert [row["accuracy"] for row in rows] == pytest.approx([cell["score"].mean()] * 2)
    expected = wilson(cell["score"].sum(), len(cell))
    assert (rows[0]["accuracy_low"], rows[0]["accuracy_high"]) == pytest.approx(expected)
    assert rows[1]["accuracy_low"] < expected[0] < expected[1] < rows[1]["accuracy_high"]
    for frame in (quality_by_severity(records), gains_by_severity(records)):
        assert (frame["ci_low"] < frame["ci_high"]).all()
        assert frame["delta"].is_between(frame["ci_low"], frame["ci_high"]).all()
        assert frame["accuracy"].is_between(frame["accuracy_low"], frame["accuracy_high"]).all()


def test_no_records_give_no_changes() -> None:
    empty = pl.DataFrame(schema=dict.fromkeys(("model", "task", "degradation", "scale", "restorer"), pl.String))
    empty = empty.with_columns(method=pl.lit("none"), severity=pl.lit(1), seed=pl.lit(0), sample_id=pl.lit(""))
    empty = empty.with_columns(base_score=pl.lit(0.0), score=pl.lit(0.0), error=pl.lit(""))
    assert gains_by_severity(empty).is_empty() and quality_by_severity(empty).is_empty()
