"""Records to frames: one row for each cell, method or degradation."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from vqttt.results.statistics import Estimate, cluster_mean, ece, flips, mcnemar, paired_difference, wilson
from vqttt.runs.records import ALL, CELL, CLEAN, NONE, in_order


def summarise(records: pl.DataFrame) -> pl.DataFrame:
    """Summarise each cell in one row; differences are those between `score` and `base_score`, paired by sample.

    `p_value` is McNemar's, not adjusted for the number of cells; `tuned` and `rolled_back` are shares of samples;
    `format_accuracy` and `base_format_accuracy` are accuracies with format credit, null where it was not taken.
    """
    rows = []
    for cell in in_order(records).partition_by(CELL, maintain_order=True):
        before, after, failed = cell["base_score"].to_numpy(), cell["score"].to_numpy(), cell["error"] != ""
        delta = paired_difference(before, after)
        low, high = wilson(float(after.sum()), len(after))
        corrective, destructive = flips(before, after)
        key = cell.select("model", "task", "degradation", "severity", "restorer", "method").row(0, named=True)
        rows.append(
            key
            | {"n": len(cell), "accuracy": float(after.mean())}
            | {"delta": delta.value, "ci_low": delta.low, "ci_high": delta.high, "p_value": mcnemar(before, after)}
            | {"corrective": corrective, "destructive": destructive}
            | {"ece": ece(cell["confidence"].to_numpy(), after, failed.to_numpy())}
            | {"seconds_per_sample": _seconds(cell)}
            | {"accuracy_low": low, "accuracy_high": high, "rolled_back": cell["rolled_back"].mean()}
            | {"tuned": (cell["steps"] > 0).mean(), "failed": int(failed.sum())}
            | {"scale": cell["scale"][0], "seed": cell["seed"][0]}
            | {f"{name}format_accuracy": _mean(cell, f"{name}format_score") for name in ("", "base_")}
        )
    sometimes = ("ece", "seconds_per_sample", "format_accuracy", "base_format_accuracy")
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(sometimes, pl.Float64))


def pooled(records: pl.DataFrame) -> dict[str, Any]:
    """Pool cells of one model and method: means of the cells' means, flips added up; None for all if there are none."""
    names = ["cells", "records", "seeds", "accuracy", "base_accuracy", "delta", "ci_low", "ci_high"]
    names += ["corrective", "destructive"]
    if records.is_empty():
        return dict.fromkeys(names)
    means = records.group_by(CELL, maintain_order=True).agg(pl.col("score", "base_score").mean())
    accuracies = means["score"].mean(), means["base_score"].mean()
    gain = mean_of_cells(records, pl.col("score") - pl.col("base_score"))
    turned = flips(records["base_score"].to_numpy(), records["score"].to_numpy())
    values = (len(means), len(records), records["seed"].n_unique(), *accuracies, *gain, *turned)
    return dict(zip(names, values, strict=True))


def mean_of_cells(records: pl.DataFrame, value: pl.Expr) -> Estimate:
    """Apply `cluster_mean` to a column of records."""
    columns = (pl.struct(CELL), pl.col("sample_id"), pl.col("task"))
    cells, clusters, strata = (records.select(column.rank("dense")).to_series().to_numpy() for column in columns)
    return cluster_mean(records.select(value).to_series().to_numpy(), cells, clusters, strata)


def by_task(records: pl.DataFrame) -> Iterator[tuple[str, str, str, pl.DataFrame]]:
    """Yield (model, task, method, records) in order, the task `all` before the tasks themselves."""
    for (model,), of_model in in_order(records).group_by("model", maintain_order=True):
        for task in (ALL, *of_model["task"].unique(maintain_order=True)):
            of_task = of_model if task == ALL else of_model.filter(pl.col("task") == task)
            methods = sorted(of_task["method"].unique(), key=lambda name: (name != NONE, name))
            for method in methods:
                yield str(model), task, method, of_task.filter(pl.col("method") == method)


def overview(records: pl.DataFrame) -> pl.DataFrame:
    """Give each method of each model one row a task, and one for all tasks.

    Plain columns are over degraded cells and `clean_*` ones over clean cells, each cell with the same weight; `n`
    counts distinct samples, and `cost` is the time a sample relative to the baseline's. Restorers, scales and seeds
    count as conditions.
    """
    rows = []
    seconds: dict[tuple[str, str, str], float | None] = {}
    for model, task, method, cells in by_task(records):
        seconds[model, task, method] = own = _seconds(cells)
        reference = seconds.get((model, task, NONE))
        degraded = pooled(cells.filter(pl.col("degradation") != CLEAN))
        clean = pooled(cells.filter(pl.col("degradation") == CLEAN))
        rows.append(
            {"model": model, "task": task, "method": method, "n": cells.select("task", "sample_id").n_unique()}
            | degraded
            | {f"clean_{name}": clean[name] for name in ("accuracy", "base_accuracy", "delta", "ci_low", "ci_high")}
            | {"cost": own / reference if own is not None and reference else None}
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def gains(records: pl.DataFrame) -> pl.DataFrame:
    """Pool each method over severities: one row for each model, task (or `all`), method and degradation."""
    rows = [
        {"model": model, "task": task, "method": method, "degradation": degradation} | pooled(group)
        for model, task, method, cells in by_task(records)
        for (degradation,), group in cells.group_by("degradation", maintain_order=True)
    ]
    return in_order(pl.DataFrame(rows, infer_schema_length=None))


def untuned(records: pl.DataFrame) -> pl.DataFrame:
    """Take the untuned model's answer to each image once, as `base_*`, whichever methods were run.

    It is the baseline's if there is one, unless it failed there and not under another method.
    """
    choice = (pl.col("error") != "", pl.col("method") != NONE, "method")
    image = [*(name for name in CELL if name != "method"), "sample_id"]
    return in_order(records).sort(choice, maintain_order=True).unique(image, keep="first", maintain_order=True)


def clean_and_degraded(records: pl.DataFrame) -> pl.DataFrame:
    """Pair the untuned model's score on each degraded image (`base_score`) with that on the clean (`clean_score`).

    Clean means as it came; where every image was restored, restored as the degraded one was.
    """
    base, same = untuned(records), ["model", "task", "seed", "sample_id"]
    clean, degraded = base.filter(pl.col("degradation") == CLEAN), base.filter(pl.col("degradation") != CLEAN)
    if (clean["restorer"] == NONE).any():
        clean = clean.filter(pl.col("restorer") == NONE)
    else:
        same.append("restorer")
    clean = clean.unique(same, keep="first", maintain_order=True).select(*same, clean_score="base_score")
    return in_order(degraded.join(clean, on=same, how="inner", maintain_order="left"))


def _seconds(records: pl.DataFrame) -> float | None:
    """Return the mean time a sample that did not fail, where any was taken."""
    seconds = records.filter(pl.col("error") == "")["seconds"].drop_nulls().drop_nans().to_numpy()
    return float(seconds.mean()) if len(seconds) else None


def _mean(records: pl.DataFrame, name: str) -> float | None:
    """Return a column's mean, where there is such a column and every row has a value."""
    values = records[name].fill_null(float("nan")).to_numpy() if name in records.columns else np.array([np.nan])
    return None if np.isnan(values).any() else float(values.mean())


def without_restorers(records: pl.DataFrame) -> pl.DataFrame:
    """Leave out what was restored, unless everything was."""
    plain = records.filter(pl.col("restorer") == NONE)
    return records if plain.is_empty() else plain


def costs(records: pl.DataFrame, overview: pl.DataFrame) -> pl.DataFrame:
    """Add to each row of an `overview` what time its method took, over all its samples that did not fail.

    New columns: `seconds` a sample, the mean, with median `p50` and `p95`; and `tuned`, the share of samples that took
    a step. Rows without any time are left out.
    """
    answered = records.filter(pl.col("error") == "", pl.col("seconds").is_not_nan())
    numbers = [pl.col("seconds").mean(), (pl.col("steps") > 0).mean().alias("tuned")]
    numbers += [pl.col("seconds").quantile(q / 100, "linear").alias(f"p{q}") for q in (50, 95)]
    keys = ["model", "task", "method"]
    spent = pl.concat(
        [
            part.group_by(keys, maintain_order=True).agg(numbers)
            for part in (answered.with_columns(task=pl.lit(ALL)), answered)
        ]
    )
    return overview.join(spent, on=keys, how="inner", maintain_order="left")
