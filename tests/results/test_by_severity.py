"""What changes where: against the table of the quality effect, and on cases counted by hand."""

import polars as pl
import pytest

from tests.support.runs import write_run
from vqttt.results import report
from vqttt.results.by_severity import gain_map, quality_map
from vqttt.results.paradox import quality_effect
from vqttt.results.summary import costs


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    return report.load_records(write_run(tmp_path_factory.mktemp("run")))


def test_with_one_seed_a_map_agrees_with_the_table_of_conditions(records: pl.DataFrame) -> None:
    keys = ["model", "task", "degradation", "severity"]
    table = quality_effect(records).select(*keys, "delta", "helped", "hurt", "p_holm").sort(keys)
    single = quality_map(records).filter(pl.col("task") != "all").select(table.columns).sort(keys)
    assert single.select(keys).equals(table.select(keys))
    for name in ("delta", "helped", "hurt", "p_holm"):
        assert single[name].to_list() == pytest.approx(table[name].to_list())


def test_all_tasks_together_are_the_mean_of_their_cells(records: pl.DataFrame) -> None:
    every = quality_map(records)
    means = (
        every.filter(pl.col("task") != "all")
        .group_by("degradation", "severity")
        .agg(pl.col("delta").mean(), pl.col("helped", "hurt").sum())
    )
    pooled = every.filter(task="all").select(means.columns)
    for row in means.to_dicts():
        (found,) = pooled.filter(degradation=row["degradation"], severity=row["severity"]).to_dicts()
        assert found == pytest.approx(row)


def test_gains_are_counted_against_the_untuned_answers(records: pl.DataFrame) -> None:
    gains = gain_map(records)
    assert set(gains["method"]) == {"vq-ttt", "vq-ttt-episodic"}
    assert "clean" not in set(gains["degradation"])
    cell = records.filter(task="digits", method="vq-ttt", degradation="fog", severity=3)
    (row,) = gains.filter(task="digits", method="vq-ttt", degradation="fog", severity=3).to_dicts()
    assert row["helped"] == ((cell["score"] > cell["base_score"]).sum())
    assert row["delta"] == pytest.approx((cell["score"] - cell["base_score"]).mean())


def test_seeds_are_one_sample(records: pl.DataFrame) -> None:
    doubled = pl.concat([records, records.with_columns(seed=pl.lit(1, pl.Int64))])
    once, twice = quality_map(records), quality_map(doubled)
    for name in ("delta", "helped", "hurt", "p_holm"):
        assert once[name].to_list() == pytest.approx(twice[name].to_list())


def test_nothing_to_map() -> None:
    empty = pl.DataFrame(schema=dict.fromkeys(("model", "task", "degradation", "scale", "restorer"), pl.String))
    empty = empty.with_columns(method=pl.lit("none"), severity=pl.lit(1), seed=pl.lit(0), sample_id=pl.lit(""))
    empty = empty.with_columns(base_score=pl.lit(0.0), score=pl.lit(0.0), error=pl.lit(""))
    assert gain_map(empty).is_empty() and quality_map(empty).is_empty()


def test_costs_are_quantiles_over_answers(records: pl.DataFrame) -> None:
    slow = pl.when(pl.col("sample_id").str.ends_with("9")).then(3.5).otherwise(pl.col("seconds"))
    spent = costs(records.with_columns(seconds=slow), report.overview(records)).filter(task="digits", method="vq-ttt")
    (row,) = spent.to_dicts()
    assert (row["p50"], row["p95"], row["tuned"]) == (0.35, 3.5, 1.0)
    assert 0.35 < row["seconds"] < 3.5
