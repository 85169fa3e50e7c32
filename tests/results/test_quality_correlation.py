"""Rank correlations of quality with right answers, and what remedies gain."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from vqttt.images.quality import METRICS
from vqttt.results.interventions import by_degradation, remedies
from vqttt.results.quality_correlation import BINS, accuracy_by_quality, rank_correlations
from vqttt.results.statistics import clustered_correlation
from vqttt.results.summary import without_restorers

SEVERITIES, SAMPLES = 5, 120


def images(matters: float, seed: int = 0) -> pl.DataFrame:
    """Invent untuned answers: questions differ in difficulty, and worse images are answered worse if they matter."""
    rng = np.random.default_rng(seed)
    skill = rng.normal(0, 1, SAMPLES)
    frames = []
    for severity in range(1, SEVERITIES + 1):
        psnr = 40 - 4 * severity + rng.normal(0, 1, SAMPLES)
        right = (skill + matters * (psnr - 28) / 6 + rng.normal(0, 0.5, SAMPLES) > 0).astype(float)
        quality = dict.fromkeys(METRICS, psnr) | {"noise_level": -psnr, "sharpness": np.full(SAMPLES, 2.0)}
        constants = {"model": "m", "task": "t", "degradation": "noise", "severity": severity, "scale": "relative"}
        constants |= {"restorer": "none", "method": "none", "seed": 0, "error": "", "seconds": 0.1, "reference": "yes"}
        frame = pl.DataFrame({"sample_id": [f"{i:03d}" for i in range(SAMPLES)], "base_score": right, "score": right})
        frame = frame.with_columns(**{name: pl.Series(values) for name, values in quality.items()})
        frames.append(frame.with_columns(pl.lit(value).alias(name) for name, value in constants.items()))
    return pl.concat(frames)


def test_rho_is_spearmans():
    records = images(1.0)
    table = rank_correlations(records)
    assert table["metric"].to_list() == list(METRICS)
    row = table.row(by_predicate=pl.col("metric") == "psnr", named=True)
    assert row["rho"] == pytest.approx(spearmanr(records["psnr"], records["base_score"]).statistic, abs=1e-9)
    assert row["n"] == SEVERITIES * SAMPLES
    assert row["rho_low"] < row["rho"] < row["rho_high"]


def test_the_sign_says_whether_quality_matters():
    by_metric = {row["metric"]: row for row in rank_correlations(images(1.0)).rows(named=True)}
    assert by_metric["psnr"]["within_low"] > 0 and by_metric["noise_level"]["within_high"] < 0
    # Within a question its difficulty does not blur what quality does.
    assert by_metric["psnr"]["within"] > by_metric["psnr"]["rho"]
    row = rank_correlations(images(0.0)).row(by_predicate=pl.col("metric") == "psnr", named=True)
    assert row["within_low"] < 0 < row["within_high"]


def test_a_measure_that_does_not_vary_correlates_with_nothing():
    row = rank_correlations(images(1.0)).row(by_predicate=pl.col("metric") == "sharpness", named=True)
    assert np.isnan([row["rho"], row["rho_low"], row["within"]]).all()


def test_failed_images_and_tuned_answers_do_not_count():
    records = images(1.0)
    tuned = records.with_columns(method=pl.lit("vq-ttt"), score=1 - pl.col("score"))
    failed = records.with_columns(psnr=pl.lit(float("nan")), error=pl.lit("broken"), task=pl.lit("failed"))
    assert rank_correlations(pl.concat([records, tuned, failed])).equals(rank_correlations(records))


def test_intervals_cover_at_about_their_level():
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        x = rng.normal(0, 1, (60, 4)) + rng.normal(0, 1, (60, 1))  # four images of a question are alike
        y = 0.5 * x + rng.normal(0, 1, (60, 4)) + rng.normal(0, 1, (60, 1))
        truth = 0.5 * 2 / np.sqrt(2 * (0.25 * 2 + 2))
        interval = clustered_correlation(x.ravel(), y.ravel(), np.repeat(np.arange(60), 4), seed=trial, draws=400)
        hits += interval.low <= truth <= interval.high
    assert 180 <= hits <= 199


def test_bins_go_from_worst_to_best():
    table = accuracy_by_quality(images(1.0)).filter(pl.col("metric") == "psnr")
    assert table["bin"].to_list() == list(range(BINS))
    assert table["value"].is_sorted()
    assert table["accuracy"][-1] > table["accuracy"][0] + 0.2


def restored() -> pl.DataFrame:
    """`good` mends every third wrong answer, `bad` breaks every tenth; clean images are never changed."""
    base = images(1.0).filter(pl.col("severity") <= 2)
    clean = base.filter(pl.col("severity") == 1).with_columns(
        degradation=pl.lit("clean"), severity=pl.lit(0, pl.Int32), base_score=1.0, score=1.0
    )
    base = pl.concat([base, clean])
    index, degraded = pl.int_range(pl.len()), pl.col("degradation") != "clean"
    mended = pl.when(degraded & (index % 3 == 0)).then(1.0).otherwise(pl.col("score"))
    broken = pl.when(degraded & (index % 10 == 0)).then(0.0).otherwise(pl.col("score"))
    return pl.concat(
        [
            base,
            base.with_columns(restorer=pl.lit("good"), base_score=mended, score=mended, psnr=pl.col("psnr") + 3),
            base.with_columns(restorer=pl.lit("bad"), base_score=broken, score=broken),
        ]
    )


def test_remedies_compare_with_the_unrestored_image():
    records = restored()
    table = remedies(records).filter(pl.col("task") == "all")
    assert table["restorer"].to_list() == ["none", "bad", "good"]
    none, bad, good = table.rows(named=True)
    assert (none["delta"], none["corrective"], none["destructive"]) == (0.0, 0, 0)
    assert good["ci_low"] > 0 and good["destructive"] == 0 and good["psnr"] == pytest.approx(none["psnr"] + 3)
    assert bad["ci_high"] < 0 and bad["corrective"] == 0
    degraded = records.filter(pl.col("degradation") != "clean")
    scores = {name: degraded.filter(pl.col("restorer") == name)["score"] for name in ("none", "good")}
    assert good["corrective"] == int((scores["good"] > scores["none"]).sum()) > 0
    assert good["clean_delta"] == bad["clean_delta"] == 0
    assert without_restorers(records)["restorer"].unique().to_list() == ["none"]


def test_remedies_by_degradation():
    table = by_degradation(restored())
    assert set(table["degradation"]) == {"noise"}
    assert len(table) == 3


def test_no_table_where_nothing_can_be_compared():
    assert remedies(images(1.0)).is_empty()
    assert remedies(images(1.0).with_columns(restorer=pl.lit("good"))).is_empty()
    everything = images(1.0).with_columns(restorer=pl.lit("good"))
    assert without_restorers(everything).equals(everything)
