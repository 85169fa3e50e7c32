"""Interventions against degradation: restorers and methods, alone and together, compared with doing nothing."""

import polars as pl

from vqttt.results import statistics, summary
from vqttt.runs.records import ALL, CELL, CLEAN, NONE, in_order


def interventions(records: pl.DataFrame) -> pl.DataFrame:
    """Compare every restorer with every method, against the untuned model on the same images unrestored.

    One row for each model, task (or `all`), restorer and method: `n` distinct samples and their `images`; over degraded
    cells, the `accuracy`, the mean `chance` of guessing (null unless known for all), the gain `delta` with a 95%
    interval clustered by image, the counts of corrected (`corrective`) and broken (`destructive`) answers, and the mean
    `psnr` of the images in dB; the same over clean cells as `clean_*`; and `seconds` per sample. Empty unless the run
    has both restored and unrestored images.
    """
    same = [name for name in CELL if name not in ("restorer", "method")] + ["sample_id"]
    unrestored = records.filter(pl.col("restorer") == NONE)
    if unrestored.is_empty() or len(unrestored) == len(records):
        return pl.DataFrame()
    reference = summary.untuned(unrestored).select(*same, unrestored_score="base_score")
    paired = records.join(reference, on=same, how="inner", maintain_order="left")
    rows = []
    for restorer in sorted(paired["restorer"].unique(), key=lambda name: (name != NONE, name)):
        for model, task, method, cells in summary.by_task(paired.filter(pl.col("restorer") == restorer)):
            row = {"model": model, "task": task, "restorer": restorer, "method": method}
            row |= summary.counts(cells)
            row |= _gain(cells.filter(pl.col("degradation") != CLEAN), "")
            row |= _gain(cells.filter(pl.col("degradation") == CLEAN), "clean_")
            rows.append(row | {"seconds": cells.filter(pl.col("error") == "")["seconds"].mean()})
    table = pl.DataFrame(rows, infer_schema_length=None)
    return table.sort("model", pl.col("task") != ALL, "task", maintain_order=True)


def _gain(cells: pl.DataFrame, prefix: str) -> dict[str, object]:
    names = ("accuracy", "chance", "delta", "ci_low", "ci_high", "corrective", "destructive", "psnr")
    if cells.is_empty():
        return {prefix + name: None for name in names}
    accuracy = summary.mean_of_cells(cells, pl.col("score")).value
    gain = _gain_over_nothing(cells)
    flipped = statistics.flips(cells["unrestored_score"].to_numpy(), cells["score"].to_numpy())
    psnr = cells["psnr"].drop_nans().mean()
    values = (accuracy, summary.chance(cells), *gain, *flipped, psnr)
    return {prefix + name: value for name, value in zip(names, values, strict=True)}


def _gain_over_nothing(cells: pl.DataFrame) -> statistics.Estimate:
    """Return the gain over the unrestored, untuned model; a restorer's is a finding even with the method `none`."""
    if (cells["restorer"] == NONE).all():
        return summary.gain_over(cells, "unrestored_score")
    return summary.mean_of_cells(cells, pl.col("score") - pl.col("unrestored_score"))


def interventions_by_degradation(records: pl.DataFrame) -> pl.DataFrame:
    """Break `interventions` down by degradation over all tasks; the same columns, and `degradation`."""
    parts = []
    for (degradation,), group in in_order(records).group_by("degradation", maintain_order=True):
        table = interventions(group) if degradation != CLEAN else pl.DataFrame()
        if len(table):
            parts.append(table.filter(pl.col("task") == ALL).with_columns(degradation=pl.lit(degradation)))
    return pl.concat(parts, how="diagonal_relaxed") if parts else pl.DataFrame()
