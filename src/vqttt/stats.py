"""Statistics of a study: intervals, paired tests, flips, calibration, and the figures of the quality paradox.

All intervals are at 95%. A score is 0 to 1, and counts as right from 0.5 up. Frames of records have the columns of
`CELL`, which say which cell a row belongs to, followed by the fields of `Record`. A sample that failed has score 0 and
stays in every n, except in calibration, since it has no confidence.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, ndtri

BASELINE = "none"
"""The method that changes nothing, and likewise the restorer; listed first, and never required."""

CLEAN = "clean"
"""The undegraded condition."""

ALL = "all"
"""Stands for the mean over all tasks in a `task` column."""

CELL = ("model", "task", "degradation", "severity", "scale", "restorer", "method", "seed")
"""The columns that tell cells apart."""

ALPHA = 0.05
DRAWS = 2000
Floats: TypeAlias = NDArray[np.float64]


class Estimate(NamedTuple):
    """A mean and its 95% interval."""

    value: float
    low: float
    high: float


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Return Wilson's interval for a proportion; `successes` may be fractional; (0, 1) if `n` is 0."""
    if n == 0:
        return 0.0, 1.0
    z = float(ndtri(1 - ALPHA / 2))
    rate, shrink = successes / n, 1 + z * z / n
    centre = (rate + z * z / (2 * n)) / shrink
    half = z / shrink * float(np.sqrt(rate * (1 - rate) / n + (z / (2 * n)) ** 2))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def paired_difference(before: ArrayLike, after: ArrayLike, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """Return the mean of `after - before` with a percentile interval from a bootstrap over samples."""
    difference = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    # Resampling n values is one multinomial draw over the distinct ones: exact, and far smaller than n indices a draw.
    values, counts = np.unique(difference, return_counts=True)
    n = len(difference)
    means = np.random.default_rng(seed).multinomial(n, counts / n, size=draws) @ values / n
    return Estimate(float(difference.mean()), *_percentiles(means))


def flips(before: ArrayLike, after: ArrayLike) -> tuple[int, int]:
    """Count the corrective (wrong to right) and the destructive (right to wrong) changes."""
    was, now = np.asarray(before) >= 0.5, np.asarray(after) >= 0.5
    return int((~was & now).sum()), int((was & ~now).sum())


def mcnemar(before: ArrayLike, after: ArrayLike) -> float:
    """Return the exact two-sided p-value of McNemar's test; 1 where no pair disagrees."""
    corrective, destructive = flips(before, after)
    return min(1.0, 2 * float(bdtr(min(corrective, destructive), corrective + destructive, 0.5)))


def holm(p_values: ArrayLike) -> Floats:
    """Adjust a family of p-values so that the chance of any false alarm stays below the level (Holm 1979)."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted


class Bin(NamedTuple):
    """One bin of a reliability curve: how many samples, their mean confidence, and the share that is right."""

    samples: int
    confidence: float
    accuracy: float


def reliability(confidence: ArrayLike, score: ArrayLike, bins: int = 10) -> list[Bin]:
    """Return the filled bins of a reliability curve, over equal widths of confidence; skips what has none."""
    c, s = np.asarray(confidence, np.float64), np.asarray(score, np.float64)
    c, s = c[np.isfinite(c)], s[np.isfinite(c)]
    of = np.minimum((c * bins).astype(np.int64), bins - 1)
    return [Bin(int((of == b).sum()), float(c[of == b].mean()), float(s[of == b].mean())) for b in np.unique(of)]


def ece(confidence: ArrayLike, score: ArrayLike, failed: ArrayLike | None = None, bins: int = 10) -> float | None:
    """Return the expected calibration error over equal-width bins; None if no sample has a confidence.

    Args:
        confidence: 0 to 1; samples without a finite one are left out.
        score: 0 to 1.
        failed: marks samples to leave out.
        bins: number of bins.
    """
    kept = slice(None) if failed is None else ~np.asarray(failed, np.bool_)
    curve = reliability(np.asarray(confidence, np.float64)[kept], np.asarray(score, np.float64)[kept], bins)
    gaps = [part.samples * abs(part.confidence - part.accuracy) for part in curve]
    return sum(gaps) / sum(part.samples for part in curve) if curve else None


def cluster_mean(
    values: ArrayLike, cells: ArrayLike, clusters: ArrayLike, strata: ArrayLike, seed: int = 0, draws: int = DRAWS
) -> Estimate:
    """Return the mean of the cells' means, with an interval that knows that samples recur from cell to cell.

    The bootstrap draws whole clusters (a sample with all its conditions), each stratum (task) by itself; treating the
    rows as independent would make the interval far too narrow.

    Args:
        values: one number a row.
        cells: which cell of its stratum a row belongs to; every cell has the same weight.
        clusters: which sample of its stratum a row belongs to.
        strata: which stratum a row belongs to.
        seed: of the bootstrap.
        draws: of the bootstrap.
    """
    rows, cell_of, cluster_of, stratum_of = np.asarray(values, np.float64), *map(np.asarray, (cells, clusters, strata))
    if np.ptp(rows) == 0:  # as for the baseline, whose gains are all 0
        return Estimate(*[float(rows[0])] * 3)
    one_cell = (cell_of == cell_of[0]).all() and (stratum_of == stratum_of[0]).all()
    if one_cell and len(np.unique(cluster_of)) == len(rows):
        return paired_difference(np.zeros(len(rows)), rows, seed, draws)  # the numbers that the cell's own row has
    rng = np.random.default_rng(seed)
    means, resampled = [], []
    for stratum in np.unique(stratum_of):
        inside = stratum_of == stratum
        sums, counts = _cross_table(rows[inside], cluster_of[inside], cell_of[inside])
        n = len(sums)
        picks = rng.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
        weights = np.bincount(picks.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)
        means.append(sums.sum(axis=0) / counts.sum(axis=0))
        with np.errstate(invalid="ignore"):
            resampled.append((weights @ sums) / (weights @ counts))
    # A draw may miss every sample of a small cell; its mean is then over the cells that it did reach.
    spread = np.nanmean(np.hstack(resampled), axis=1)
    return Estimate(float(np.hstack(means).mean()), *_percentiles(spread))


def in_order(frame: pl.DataFrame) -> pl.DataFrame:
    """Sort rows by cell: clean before degraded and the baseline before other methods, otherwise by name."""
    first = {"degradation": pl.col("degradation") != CLEAN, "method": pl.col("method") != BASELINE}
    keys = [name for name in CELL if name in frame.columns]
    return frame.sort([key for name in keys for key in (first.get(name), name) if key is not None], maintain_order=True)


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
            methods = sorted(of_task["method"].unique(), key=lambda name: (name != BASELINE, name))
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
        reference = seconds.get((model, task, BASELINE))
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
    """Take the untuned model's answer to each picture once, as `base_*`, whichever methods were run.

    It is the baseline's if there is one, unless it failed there and not under another method.
    """
    choice = (pl.col("error") != "", pl.col("method") != BASELINE, "method")
    picture = [*(name for name in CELL if name != "method"), "sample_id"]
    return in_order(records).sort(choice, maintain_order=True).unique(picture, keep="first", maintain_order=True)


def clean_and_degraded(records: pl.DataFrame) -> pl.DataFrame:
    """Pair the untuned model's score on each degraded picture (`base_score`) with that on the clean (`clean_score`).

    Clean means as it came; where every picture was restored, restored as the degraded one was.
    """
    base, same = untuned(records), ["model", "task", "seed", "sample_id"]
    clean, degraded = base.filter(pl.col("degradation") == CLEAN), base.filter(pl.col("degradation") != CLEAN)
    if (clean["restorer"] == BASELINE).any():
        clean = clean.filter(pl.col("restorer") == BASELINE)
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


def _percentiles(draws: Floats) -> tuple[float, float]:
    low, high = np.quantile(draws, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def _cross_table(values: Floats, rows: NDArray[Any], columns: NDArray[Any]) -> tuple[Floats, Floats]:
    """Add up and count the values that fall in each row and column of a table."""
    row_names, row_of = np.unique(rows, return_inverse=True)
    column_names, column_of = np.unique(columns, return_inverse=True)
    shape = len(row_names), len(column_names)
    flat, size = row_of * shape[1] + column_of, shape[0] * shape[1]
    sums, counts = np.bincount(flat, weights=values, minlength=size), np.bincount(flat, minlength=size)
    return sums.astype(np.float64).reshape(shape), counts.astype(np.float64).reshape(shape)
