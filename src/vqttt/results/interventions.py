"""What helps against degradation: restorers and methods, alone and together, against doing nothing."""

import polars as pl

from vqttt.results import statistics, summary
from vqttt.results.summary import mean_of_cells
from vqttt.runs.records import ALL, CELL, CLEAN, NONE, in_order


def remedies(records: pl.DataFrame) -> pl.DataFrame:
    """Compare every restorer with every method against the untuned model on the same images unrestored.

    One row for each model, task (or `all`), restorer and method: `n` samples, `accuracy` and gain (`delta` with a 95%
    interval clustered by sample) over degraded cells, the same as `clean_*` over clean ones, answers `corrective` and
    `destructive`, mean `psnr` of the degraded images in dB, and `seconds` a sample. Empty unless some images were
    restored and the same ones were not.
    """
    same = [name for name in CELL if name not in ("restorer", "method")] + ["sample_id"]
    unrestored = records.filter(pl.col("restorer") == NONE)
    if unrestored.is_empty() or len(unrestored) == len(records):
        return pl.DataFrame()
    reference = summary.untuned(unrestored).select(*same, plain="base_score")
    paired = records.join(reference, on=same, how="inner", maintain_order="left")
    rows = []
    for restorer in sorted(paired["restorer"].unique(), key=lambda name: (name != NONE, name)):
        for model, task, method, cells in summary.by_task(paired.filter(pl.col("restorer") == restorer)):
            row = {"model": model, "task": task, "restorer": restorer, "method": method}
            row |= {"n": cells.select("task", "sample_id").n_unique()}
            row |= _gain(cells.filter(pl.col("degradation") != CLEAN), "")
            row |= _gain(cells.filter(pl.col("degradation") == CLEAN), "clean_")
            rows.append(row | {"seconds": cells.filter(pl.col("error") == "")["seconds"].mean()})
    table = pl.DataFrame(rows, infer_schema_length=None)
    return table.sort("model", pl.col("task") != ALL, "task", maintain_order=True)


def by_degradation(records: pl.DataFrame) -> pl.DataFrame:
    """Break `remedies` down by degradation, over all tasks: rows of `model`, `degradation` and the same columns."""
    parts = []
    for (degradation,), group in in_order(records).group_by("degradation", maintain_order=True):
        table = remedies(group) if degradation != CLEAN else pl.DataFrame()
        if len(table):
            parts.append(table.filter(pl.col("task") == ALL).with_columns(degradation=pl.lit(degradation)))
    return pl.concat(parts, how="diagonal_relaxed") if parts else pl.DataFrame()


def _gain(cells: pl.DataFrame, prefix: str) -> dict[str, object]:
    names = ("accuracy", "delta", "ci_low", "ci_high", "corrective", "destructive", "psnr")
    if cells.is_empty():
        return {prefix + name: None for name in names}
    accuracy = mean_of_cells(cells, pl.col("score")).value
    gain = mean_of_cells(cells, pl.col("score") - pl.col("plain"))
    fixed, broken = statistics.flips(cells["plain"].to_numpy(), cells["score"].to_numpy())
    psnr = cells["psnr"].drop_nans().mean()
    values = (accuracy, *gain, fixed, broken, psnr)
    return {prefix + name: value for name, value in zip(names, values, strict=True)}
