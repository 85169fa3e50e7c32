"""Rank correlations of image quality with the untuned model's scores."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from tests.support.runs import RATED_SAMPLES, RATED_SEVERITIES, rated_records
from vqttt.images.quality import METRICS
from vqttt.results.quality_correlation import BINS, accuracy_by_quality, rank_correlations
from vqttt.results.statistics import clustered_correlation


def test_rho_is_spearmans() -> None:
    records = rated_records(1.0)
    table = rank_correlations(records)
    assert table["metric"].to_list() == list(METRICS)
    row = table.row(by_predicate=pl.col("metric") == "psnr", named=True)
    assert row["rho"] == pytest.approx(spearmanr(records["psnr"], records["base_score"]).statistic, abs=1e-9)
    assert row["n"] == RATED_SEVERITIES * RATED_SAMPLES
    assert row["rho_low"] < row["rho"] < row["rho_high"]


def test_within_is_the_correlation_of_centred_ranks_and_scores() -> None:
    records = rated_records(1.0).sample(fraction=0.6, seed=0)  # questions with different sets of images
    ranked = records.with_columns(rank=pl.col("psnr").rank("average"))
    centred = ranked.select(pl.col(name) - pl.col(name).mean().over("sample_id") for name in ("rank", "base_score"))
    row = rank_correlations(records).row(by_predicate=pl.col("metric") == "psnr", named=True)
    assert row["within"] == pytest.approx(np.corrcoef(centred["rank"], centred["base_score"])[0, 1], abs=1e-9)


def test_the_sign_shows_whether_quality_matters() -> None:
    by_metric = {row["metric"]: row for row in rank_correlations(rated_records(1.0)).rows(named=True)}
    assert by_metric["psnr"]["within_low"] > 0 and by_metric["noise_level"]["within_high"] < 0
    # Within a question, its difficulty does not blur the effect of quality.
    assert by_metric["psnr"]["within"] > by_metric["psnr"]["rho"]
    row = rank_correlations(rated_records(0.0)).row(by_predicate=pl.col("metric") == "psnr", named=True)
    assert row["within_low"] < 0 < row["within_high"]


def test_a_measure_that_does_not_vary_correlates_with_nothing() -> None:
    row = rank_correlations(rated_records(1.0)).row(by_predicate=pl.col("metric") == "sharpness", named=True)
    assert np.isnan([row["rho"], row["rho_low"], row["within"]]).all()


def test_failed_images_and_tuned_answers_do_not_count() -> None:
    records = rated_records(1.0)
    tuned = records.with_columns(method=pl.lit("vq-ttt"), score=1 - pl.col("score"))
    failed = records.with_columns(psnr=pl.lit(float("nan")), error=pl.lit("broken"), task=pl.lit("failed"))
    assert rank_correlations(pl.concat([records, tuned, failed])).equals(rank_correlations(records))


def test_intervals_cover_at_about_their_level() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        x = rng.normal(0, 1, (60, 4)) + rng.normal(0, 1, (60, 1))  # the four images of a question are alike
        y = 0.5 * x + rng.normal(0, 1, (60, 4)) + rng.normal(0, 1, (60, 1))
        truth = 0.5 * 2 / np.sqrt(2 * (0.25 * 2 + 2))
        interval = clustered_correlation(x.ravel(), y.ravel(), np.repeat(np.arange(60), 4), seed=trial, draws=400)
        hits += interval.low <= truth <= interval.high
    assert 180 <= hits <= 199


def test_bins_are_sorted_from_worst_to_best() -> None:
    table = accuracy_by_quality(rated_records(1.0)).filter(pl.col("metric") == "psnr")
    assert table["bin"].to_list() == list(range(BINS))
    assert table["value"].is_sorted()
    assert table["accuracy"][-1] > table["accuracy"][0] + 0.2
