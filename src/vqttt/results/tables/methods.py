"""Tables of what methods and restorers do: gains, calibration and cost."""

from typing import Any

import polars as pl

from vqttt.results import statistics, summary
from vqttt.results.tables.columns import tabulate
from vqttt.results.tables.numbers import MISSING, gain, written
from vqttt.results.tables.table import Table
from vqttt.runs.records import ALL, CLEAN


def overview_table(overview: pl.DataFrame, brief: bool = False) -> Table:
    """Tabulate `summary.overview`; `brief` leaves out the counts."""
    counts = "" if brief else "Corrected and broken count answers on degraded images. "
    note = (
        "Accuracy in percent; gains in points over the untuned model, with 95% intervals. "
        f"Every cell has the same weight. {counts}Time is relative to no tuning."
    )
    names = ["clean_accuracy", "clean_delta", "degraded_accuracy", "degraded_delta", "cost"]
    if not brief:
        names = ["n", *names[:-1], "corrective", "destructive", "cost"]
    return tabulate("Methods", overview, ("model", "task", "method"), names, note)


def interventions_table(
    interventions: pl.DataFrame, title: str = "Restorers and methods", brief: bool = False
) -> Table:
    """Tabulate `interventions.interventions`, or the same by degradation; `brief` leaves out counts and tasks."""
    keys = ("model", "degradation", "task", "restorer", "method")
    if brief and len(interventions):
        note = (
            "Accuracy in percent; gains in points over the untuned model on the same images unrestored; seconds per "
            "sample."
        )
        names = ("clean_delta", "accuracy", "delta", "seconds")
        return tabulate(title, interventions.filter(task=ALL), keys, names, note)
    note = (
        "Accuracy in percent; gains in points with 95% intervals, over the untuned model on the same images "
        "unrestored. Accuracy, gain, corrected, broken and mean PSNR (peak signal-to-noise ratio to the undegraded "
        "image, dB) cover degraded images. Seconds are per sample."
    )
    numbers = ("n", "clean_delta", "accuracy", "delta", "corrective", "destructive", "psnr", "seconds")
    return tabulate(title, interventions, keys, numbers, note)


def category_table(records: pl.DataFrame) -> Table:
    """Tabulate the untuned accuracy by category on clean and degraded images, and each method's gain on the latter."""
    rows, base = [], summary.untuned(records)
    key = ("model", "task", "category")
    for (model, task, category), group in records.group_by(key, maintain_order=True):
        of_group = base.filter(model=model, task=task, category=category)
        clean, degraded = (pl.col("degradation") == CLEAN), (pl.col("degradation") != CLEAN)
        row = {"model": model, "task": task, "category": category or MISSING, "n": group["sample_id"].n_unique()}
        row |= {"clean": summary.pooled(of_group.filter(clean))["base_accuracy"]}
        row |= {"degraded": summary.pooled(of_group.filter(degraded))["base_accuracy"]}
        for method in summary.methods_of(records)[1:]:
            pool = summary.pooled(group.filter(degraded, method=method))
            row[f"gain, {method}"] = gain(pool["delta"], pool["ci_low"], pool["ci_high"])
        rows.append(row)
    frame = pl.DataFrame(rows, infer_schema_length=None).sort("model", "task", "category")
    note = (
        "Accuracy of the untuned model on clean and degraded images, in percent; "
        "gain of each method on degraded images, in points."
    )
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
    note = (
        "Calibration error before and after tuning: how far confidence and accuracy are apart, on average over ten "
        "ranges of confidence; 0 is best. Failed samples are left out."
    )
    return tabulate("Calibration", pl.DataFrame(rows), ("model", "task", "method"), list(rows[0])[3:], note)


def cost_table(costs: pl.DataFrame) -> Table:
    """Tabulate `summary.costs`."""
    note = (
        "Mean seconds per sample on the machine of the run, where a sample takes its share of a batch's time, with "
        "their median and 95th percentile. Time is relative to no tuning. Tuned: percentage of samples tuned on, "
        "or for which corrections were tried. Gain: in points, on degraded images."
    )
    names = ("n", "seconds", "p50", "p95", "cost", "tuned", "delta")
    return tabulate("Cost", costs, ("model", "task", "method"), names, note)


def comparison_table(comparison: pl.DataFrame, title: str) -> Table:
    """Tabulate `compare.compare`."""
    note = (
        "Accuracy in percent in the first and the second run, on the same images; change in points. "
        "p: an exact test of the images' net changes, after Holm's correction over the table."
    )
    models = comparison["model"].unique(maintain_order=True).to_list()
    if len(models) == 1 and "→" in models[0]:
        note += f" Models: {models[0]}."
    names = ("n", "first", "second", "change", "corrective", "destructive", "p_holm")
    return tabulate(title, comparison, ("model", "task", "method"), names, note)
