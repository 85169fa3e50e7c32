"""Tables of what methods and restorers do."""

from dataclasses import replace
from typing import Any

import polars as pl

from vqttt.results import statistics, summary
from vqttt.results.tables.numbers import gain, methods_of, tabulate, written
from vqttt.results.tables.table import Table
from vqttt.runs.records import ALL, CLEAN

_COST = ("n", "seconds", "p50", "p95", "cost", "tuned", "delta")


def overview_table(frame: pl.DataFrame, brief: bool = False) -> Table:
    """Tabulate an `overview`; `brief` leaves out the counts."""
    note = "Percent, and gains in points over the untuned model with 95% intervals; every cell has the same weight. "
    note += "" if brief else "Fixed and broken are answers on degraded images. "
    note += "Time is relative to no tuning."
    numbers = ["n", "clean_accuracy", "clean_delta", "accuracy", "delta", "corrective", "destructive", "cost"]
    numbers = [name for name in numbers if not brief or name not in ("n", "corrective", "destructive")]
    table = tabulate("Methods", frame, ("model", "task", "method"), numbers, note)
    degraded = {"accuracy": "degraded", "gain": "gain, degraded"}
    return replace(table, header=tuple(degraded.get(name, name) for name in table.header))


def remedies_table(remedies: pl.DataFrame, title: str = "Restorers and methods", brief: bool = False) -> Table:
    """Tabulate `remedies.remedies`, or the same by degradation; `brief` leaves out counts and tasks."""
    keys = ("model", "degradation", "task", "restorer", "method")
    numbers: tuple[str, ...] = ("n", "clean_delta", "accuracy", "delta", "corrective", "destructive", "psnr", "seconds")
    note = (
        "Percent, and gains in points with 95% intervals over the untuned model on the same images unrestored. "
        "Fixed and broken are answers on degraded images, whose mean PSNR is in dB."
    )
    if brief and len(remedies):
        note = "Percent, and gains in points over the untuned model on the same images unrestored."
        numbers, remedies = ("clean_delta", "accuracy", "delta", "seconds"), remedies.filter(task=ALL)
    return tabulate(title, remedies, keys, numbers if len(remedies) else (), note)


def category_table(records: pl.DataFrame) -> Table:
    """Tabulate untuned accuracy by category on clean and on degraded images, and each method's gain on the latter."""
    rows, base = [], summary.untuned(records)
    key = ("model", "task", "category")
    for (model, task, category), group in records.group_by(key, maintain_order=True):
        of_group = base.filter(model=model, task=task, category=category)
        clean, degraded = (pl.col("degradation") == CLEAN), (pl.col("degradation") != CLEAN)
        row = {"model": model, "task": task, "category": category or "–", "n": group["sample_id"].n_unique()}
        row |= {"clean": summary.pooled(of_group.filter(clean))["base_accuracy"]}
        row |= {"degraded": summary.pooled(of_group.filter(degraded))["base_accuracy"]}
        for method in methods_of(records)[1:]:
            pool = summary.pooled(group.filter(degraded, method=method))
            row[f"gain, {method}"] = gain(pool["delta"], pool["ci_low"], pool["ci_high"])
        rows.append(row)
    frame = pl.DataFrame(rows, infer_schema_length=None).sort("model", "task", "category")
    note = "The untuned model on clean and degraded images, in percent; each method's gain on degraded ones, in points."
    return tabulate("Accuracy by category", frame, key, frame.columns[3:], note)


def calibration_table(records: pl.DataFrame) -> Table:
    """Tabulate the calibration error of the untuned model and of each method, on the same samples."""
    rows = []
    for model, task, method, cells in summary.by_task(records):
        row: dict[str, Any] = {"model": model, "task": task, "method": method}
        for where, chosen in (("clean", pl.col("degradation") == CLEAN), ("degraded", pl.col("degradation") != CLEAN)):
            part = cells.filter(chosen)
            for when, prefix in (("before", "base_"), ("after", "")):
                error = statistics.ece(part[f"{prefix}confidence"], part[f"{prefix}score"], part["error"] != "")
                row[f"{where}, {when}"] = written(".3f")(error)
        rows.append(row)
    note = "Expected calibration error (10 bins) before and after tuning; 0 is best. Failed samples are left out."
    return tabulate("Calibration", pl.DataFrame(rows), ("model", "task", "method"), list(rows[0])[3:], note)


def cost_table(frame: pl.DataFrame) -> Table:
    """Tabulate `costs.costs`."""
    note = (
        "Seconds a sample on the machine of the run: mean, median and 95th percentile; of a batch, its share. Time is "
    )
    note += "relative to no tuning; tuned: the samples, in percent, that took a step. Gain: on degraded images."
    return tabulate("Cost", frame, ("model", "task", "method"), _COST if len(frame) else (), note)


def comparison_table(frame: pl.DataFrame, title: str) -> Table:
    """Tabulate `compare.compare`."""
    note = (
        "Percent right in the first run and the second, on the same images; p: a sign test over samples after Holm's "
    )
    note += "correction over the table."
    numbers = ("n", "first", "second", "change", "corrective", "destructive", "p_holm")
    return tabulate(title, frame, ("task", "method"), numbers, note)
