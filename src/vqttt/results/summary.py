"""Records to frames: one row per cell, method or degradation, and the selections of records behind them.

Records have the columns of `vqttt.runs.records.schema`. A sample that failed has score 0 and counts in every `n` and
every accuracy; only calibration leaves it out, because it has no confidence.

`n` counts questions and `images` the images that they ask about; intervals and tests take images for independent, not
questions. `chance` is the mean probability of guessing, null unless it is known for every record.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from vqttt.results.clusters import accuracy, cluster_mean, difference_of_changes, mcnemar
from vqttt.results.statistics import Estimate, Floats, ece, flips
from vqttt.runs.records import ALL, CELL, CLEAN, NONE, in_order

UNTUNED = "untuned"
"""Stands for the baseline where it was not run; every method's records carry the untuned answers."""

_POOLED = (
    "cells", "records", "seeds", "accuracy", "base_accuracy", "chance", "delta", "ci_low", "ci_high", "corrective",
    "destructive",
)  # fmt: skip
"""What `pooled` returns."""


def without_restorers(records: pl.DataFrame) -> pl.DataFrame:
    """Leave out the records of restored images, unless every image was restored."""
    unrestored = records.filter(pl.col("restorer") == NONE)
    return records if unrestored.is_empty() else unrestored


def methods_of(records: pl.DataFrame) -> list[str]:
    """List the methods, the baseline or its stand-in `UNTUNED` first."""
    names = set(records["method"].unique())
    return [NONE if NONE in names else UNTUNED, *sorted(names - {NONE})]


def untuned(records: pl.DataFrame) -> pl.DataFrame:
    """Select one record per image, whose `base_*` columns give the untuned model's answer.

    Every method's records carry the untuned answers. The baseline's record is taken if there is one, unless it failed
    and another method's did not.
    """
    choice = (pl.col("error") != "", pl.col("method") != NONE, "method")
    image = [*(name for name in CELL if name != "method"), "sample_id"]
    return in_order(records).sort(choice, maintain_order=True).unique(image, keep="first", maintain_order=True)


def clean_and_degraded(records: pl.DataFrame) -> pl.DataFrame:
    """Pair the untuned model's score on each degraded image (`base_score`) with that on the clean one (`clean_score`).

    The clean image is the unrestored one; if every image was restored, it is the one restored like the degraded image.
    """
    base = untuned(records)
    clean, same = clean_answers(base, ["model", "task", "seed", "sample_id"])
    degraded = base.filter(pl.col("degradation") != CLEAN)
    clean = clean.select(*same, clean_score="base_score")
    return in_order(degraded.join(clean, on=same, how="inner", maintain_order="left"))


def clean_answers(records: pl.DataFrame, same: list[str]) -> tuple[pl.DataFrame, list[str]]:
    """Select the records of clean images that degraded ones are compared with, one for each value of `same`.

    Returns them and the columns that match them with degraded records: `same`, and `restorer` if every clean image was
    restored; otherwise the clean image is the unrestored one.
    """
    clean = records.filter(pl.col("degradation") == CLEAN)
    if (clean["restorer"] == NONE).any():
        clean = clean.filter(pl.col("restorer") == NONE)
    else:
        same = [*same, "restorer"]
    return clean.unique(same, keep="first", maintain_order=True), same


def by_task(records: pl.DataFrame) -> Iterator[tuple[str, str, str, pl.DataFrame]]:
    """Yield (model, task, method, records) in order; each model starts with the task `all`, all tasks together."""
    for (model,), of_model in in_order(records).group_by("model", maintain_order=True):
        for task in (ALL, *of_model["task"].unique(maintain_order=True)):
            of_task = of_model if task == ALL else of_model.filter(pl.col("task") == task)
            methods = sorted(of_task["method"].unique(), key=lambda name: (name != NONE, name))
            for method in methods:
                yield str(model), task, method, of_task.filter(pl.col("method") == method)


def images(records: pl.DataFrame) -> Floats:
    """Return the image that each record's question asks about, as a number: the clusters of `vqttt.results.clusters`.

    Images are known by the hash of the undegraded image, in whatever task. Where there is none, as in records of older
    versions, each sample has an image of its own.
    """
    own = pl.concat_str("task", "sample_id", separator="\n")
    if "source_sha256" in records.columns:
        source = pl.col("source_sha256").fill_null("")
        own = pl.when(source == "").then(own).otherwise(source)
    numbers: Floats = records.select(own.rank("dense")).to_series().to_numpy()
    return numbers


def counts(records: pl.DataFrame) -> dict[str, int]:
    """Return the number of distinct questions, `n`, and of distinct `images`."""
    return {"n": records.select("task", "sample_id").n_unique(), "images": len(np.unique(images(records)))}


def chance(records: pl.DataFrame) -> float | None:
    """Return the mean over cells of the mean probability of guessing, or None unless every record has one."""
    if "chance" not in records.columns or records["chance"].is_null().any() or records["chance"].is_nan().any():
        return None
    cell = [name for name in CELL if name in records.columns]
    return float(records.group_by(cell, maintain_order=True).agg(pl.col("chance").mean())["chance"].to_numpy().mean())


def mean_of_cells(records: pl.DataFrame, value: pl.Expr) -> Estimate:
    """Apply `cluster_mean` to a column of records; the clusters are `images`."""
    return cluster_mean(records.select(value).to_series().to_numpy(), _cells(records), images(records))


def changes_of_cells(records: pl.DataFrame, first: pl.Expr, second: pl.Expr) -> Estimate:
    """Apply `clusters.difference_of_changes` to two changes of scores; the clusters are `images`."""
    one, other = (records.select(change).to_series().to_numpy() for change in (first, second))
    return difference_of_changes(one, other, _cells(records), images(records))


def accuracy_of_cells(records: pl.DataFrame, score: str) -> Estimate:
    """Apply `clusters.accuracy` to a column of scores; the clusters are `images`."""
    return accuracy(records[score].to_numpy(), _cells(records), images(records))


def _cells(records: pl.DataFrame) -> Floats:
    numbers: Floats = records.select(pl.struct(CELL).rank("dense")).to_series().to_numpy()
    return numbers


def gain_over(records: pl.DataFrame, before: str) -> Estimate:
    """Return the mean gain of `score` over the column `before`, with its interval.

    The baseline's gain over itself is 0 by construction, no finding of a sample: its interval is 0 as well.
    """
    if (records["method"] == NONE).all() and (records["score"] == records[before]).all():
        return Estimate(0.0, 0.0, 0.0)
    return mean_of_cells(records, pl.col("score") - pl.col(before))


def pooled(records: pl.DataFrame) -> dict[str, Any]:
    """Pool the cells of one model and method: means of the cells' means, and sums of flips.

    All values are None if there are no records.
    """
    if records.is_empty():
        return dict.fromkeys(_POOLED)
    means = records.group_by(CELL, maintain_order=True).agg(pl.col("score", "base_score").mean())
    accuracies = means["score"].mean(), means["base_score"].mean()
    gain = gain_over(records, "base_score")
    flipped = flips(records["base_score"].to_numpy(), records["score"].to_numpy())
    values = (len(means), len(records), records["seed"].n_unique(), *accuracies, chance(records), *gain, *flipped)
    return dict(zip(_POOLED, values, strict=True))


def summarise(records: pl.DataFrame) -> pl.DataFrame:
    """Summarise each cell in one row; `delta` is the gain of `score` over `base_score`, paired by sample.

    `p_value` is that of `mcnemar`, not corrected for the number of cells. `accuracy_low` and `accuracy_high` are the
    interval of `accuracy`. `tuned` and `rolled_back` are shares of samples.
    `format_accuracy` and `base_format_accuracy` give format credit; they are null where it was not recorded.
    """
    rows = []
    for cell in in_order(records).partition_by(CELL, maintain_order=True):
        before, after, failed = cell["base_score"].to_numpy(), cell["score"].to_numpy(), cell["error"] != ""
        delta, flipped = gain_over(cell, "base_score"), flips(before, after)
        right = accuracy_of_cells(cell, "score")
        key = cell.select("model", "task", "degradation", "severity", "restorer", "method").row(0, named=True)
        rows.append(
            key
            | counts(cell)
            | {"accuracy": right.value, "chance": chance(cell)}
            | {"delta": delta.value, "ci_low": delta.low, "ci_high": delta.high}
            | {"p_value": mcnemar(before, after, images(cell))}
            | flipped._asdict()
            | {"ece": ece(cell["confidence"].to_numpy(), after, failed.to_numpy())}
            | {"seconds_per_sample": _seconds(cell)}
            | {"accuracy_low": right.low, "accuracy_high": right.high, "rolled_back": cell["rolled_back"].mean()}
            | {"tuned": (cell["steps"] > 0).mean(), "failed": int(failed.sum())}
            | {"scale": cell["scale"][0], "seed": cell["seed"][0]}
            | {f"{name}format_accuracy": _mean(cell, f"{name}format_score") for name in ("", "base_")}
        )
    sometimes_null = ("chance", "ece", "seconds_per_sample", "format_accuracy", "base_format_accuracy")
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(sometimes_null, pl.Float64))


def _mean(records: pl.DataFrame, name: str) -> float | None:
    """Return a column's mean, or None if the column or any of its values is missing."""
    values = records[name].fill_null(float("nan")).to_numpy() if name in records.columns else np.array([np.nan])
    return None if np.isnan(values).any() else float(values.mean())


def overview(records: pl.DataFrame) -> pl.DataFrame:
    """Summarise each method of each model in one row per task, and one for all tasks.

    Plain columns cover degraded cells and `clean_*` columns clean ones; each cell has the same weight. `cost`
    is the time per sample relative to the baseline's, null without a baseline.
    Restorers, scales and seeds count as conditions.
    """
    rows = []
    seconds: dict[tuple[str, str, str], float | None] = {}
    for model, task, method, cells in by_task(records):
        seconds[model, task, method] = own = _seconds(cells)
        baseline = seconds.get((model, task, NONE))
        degraded = pooled(cells.filter(pl.col("degradation") != CLEAN))
        clean = pooled(cells.filter(pl.col("degradation") == CLEAN))
        rows.append(
            {"model": model, "task": task, "method": method}
            | counts(cells)
            | degraded
            | {"chance": chance(cells)}
            | {f"clean_{name}": clean[name] for name in ("accuracy", "base_accuracy", "delta", "ci_low", "ci_high")}
            | {"cost": own / baseline if own is not None and baseline else None}
        )
    return pl.DataFrame(rows, infer_schema_length=None, schema_overrides={"chance": pl.Float64})


def _seconds(records: pl.DataFrame) -> float | None:
    """Return the mean time of the samples that did not fail, or None if none was recorded."""
    seconds = records.filter(pl.col("error") == "")["seconds"].drop_nulls().drop_nans().to_numpy()
    return float(seconds.mean()) if len(seconds) else None


def gains(records: pl.DataFrame) -> pl.DataFrame:
    """Pool each method over severities: one row for each model, task (or `all`), method and degradation."""
    rows = [
        {"model": model, "task": task, "method": method, "degradation": degradation} | pooled(group)
        for model, task, method, cells in by_task(records)
        for (degradation,), group in cells.group_by("degradation", maintain_order=True)
    ]
    return in_order(pl.DataFrame(rows, infer_schema_length=None, schema_overrides={"chance": pl.Float64}))


def costs(records: pl.DataFrame, overview: pl.DataFrame) -> pl.DataFrame:
    """Add to each row of an `overview` the time its method took, over all samples that did not fail.

    New columns: mean `seconds` per sample, the median `p50`, the 95th percentile `p95`, and `tuned`, the share of
    samples tuned on or for which corrections were tried. Rows without recorded times are left out.
    """
    answered = records.filter(pl.col("error") == "", pl.col("seconds").is_not_nan())
    numbers = [pl.col("seconds").mean(), (pl.col("steps") > 0).mean().alias("tuned")]
    numbers += [pl.col("seconds").quantile(q / 100, "linear").alias(f"p{q}") for q in (50, 95)]
    keys = ["model", "task", "method"]
    parts = (answered.with_columns(task=pl.lit(ALL)), answered)
    spent = pl.concat([part.group_by(keys, maintain_order=True).agg(numbers) for part in parts])
    return overview.join(spent, on=keys, how="inner", maintain_order="left")
