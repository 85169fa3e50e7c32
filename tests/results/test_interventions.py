"""Gains of restorers and methods over the untuned model on unrestored images."""

import polars as pl
import pytest

from tests.support.runs import RATED_SAMPLES, rated_records
from vqttt.results.interventions import interventions, interventions_by_degradation


def restored() -> pl.DataFrame:
    """Make records of two restorers: on noise, `good` corrects every third answer and `bad` breaks every tenth.

    Neither changes the answers to clean and to blurred images.
    """
    base = rated_records(1.0).filter(pl.col("severity") <= 2)
    clean = base.filter(pl.col("severity") == 1).with_columns(
        degradation=pl.lit("clean"), severity=pl.lit(0, pl.Int32), base_score=1.0, score=1.0
    )
    blurred = base.with_columns(degradation=pl.lit("blur"))
    base = pl.concat([base, clean, blurred])
    index, noisy = pl.int_range(pl.len()), pl.col("degradation") == "noise"
    corrected = pl.when(noisy & (index % 3 == 0)).then(1.0).otherwise(pl.col("score"))
    broken = pl.when(noisy & (index % 10 == 0)).then(0.0).otherwise(pl.col("score"))
    return pl.concat(
        [
            base,
            base.with_columns(restorer=pl.lit("good"), base_score=corrected, score=corrected, psnr=pl.col("psnr") + 3),
            base.with_columns(restorer=pl.lit("bad"), base_score=broken, score=broken),
        ]
    )


def test_interventions_compare_with_the_unrestored_image() -> None:
    records = restored()
    table = interventions(records).filter(pl.col("task") == "all")
    assert table["restorer"].to_list() == ["none", "bad", "good"]
    none, bad, good = table.rows(named=True)
    assert none["ci_low"] == none["ci_high"] == 0
    assert (none["delta"], none["corrective"], none["destructive"]) == (0.0, 0, 0)
    assert good["ci_low"] > 0 and good["destructive"] == 0 and good["psnr"] == pytest.approx(none["psnr"] + 3)
    assert bad["ci_high"] < 0 and bad["corrective"] == 0
    degraded = records.filter(pl.col("degradation") != "clean")
    scores = {name: degraded.filter(pl.col("restorer") == name)["score"] for name in ("none", "good")}
    assert good["corrective"] == int((scores["good"] > scores["none"]).sum()) > 0
    assert good["clean_delta"] == bad["clean_delta"] == 0


def test_a_restorer_and_a_method_together_are_compared_with_neither() -> None:
    neither = rated_records(1.0).filter(pl.col("severity") == 1).with_columns(base_score=0.0, score=0.0)
    half = (pl.int_range(pl.len()) % 2).cast(pl.Float64)
    restorer = neither.with_columns(restorer=pl.lit("good"), base_score=half, score=half)
    both = restorer.with_columns(method=pl.lit("tuned"), score=1.0)
    table = interventions(pl.concat([neither, restorer, both])).filter(task="all")
    rows = {(row["restorer"], row["method"]): row for row in table.to_dicts()}
    assert {key: row["delta"] for key, row in rows.items()} == {
        ("none", "none"): 0.0,
        ("good", "none"): 0.5,
        ("good", "tuned"): 1.0,
    }
    assert rows["good", "tuned"]["corrective"] == RATED_SAMPLES


def test_interventions_by_degradation() -> None:
    table = interventions_by_degradation(restored())
    assert len(table) == 2 * 3
    gains = {(row["degradation"], row["restorer"]): row["delta"] for row in table.to_dicts()}
    assert gains["noise", "bad"] < 0 == gains["noise", "none"] < gains["noise", "good"]
    assert gains["blur", "bad"] == gains["blur", "good"] == gains["blur", "none"] == 0


def test_no_rows_without_restored_and_unrestored_images() -> None:
    assert interventions(rated_records(1.0)).is_empty()
    assert interventions(rated_records(1.0).with_columns(restorer=pl.lit("good"))).is_empty()
