"""Tables of several models side by side."""

from typing import Any

import polars as pl

from vqttt.results.tables.columns import tabulate
from vqttt.results.tables.numbers import MISSING, count, gain, p_value, percent
from vqttt.results.tables.table import Table
from vqttt.runs.records import ALL, CLEAN, NONE


def between_models_tables(frame: pl.DataFrame, brief: bool = False) -> list[Table]:
    """Tabulate the untuned models of `between_models.between_models`, one table for each pair of models.

    There is one row for each degradation, all tasks and severities together. `brief` leaves out counts and accuracies.
    """
    if frame.is_empty():
        return []
    frame = frame.filter(pl.col("method") == NONE)
    return [_of_pair(pair, brief) for pair in frame.partition_by("first_model", "second_model", maintain_order=True)]


def untuned_overview(pair: pl.DataFrame) -> pl.DataFrame:
    """Select from the rows of one pair of models those of the untuned models over all tasks and severities.

    Clean images come first, then all degradations together. Images are unrestored, unless the models have only restored
    ones in common.
    """
    chosen = pair.filter(pl.col("method") == NONE)
    unrestored = chosen.filter(pl.col("restorer") == NONE)
    chosen = chosen if unrestored.is_empty() else unrestored
    if ALL in chosen["task"]:
        chosen = chosen.filter(pl.col("task") == ALL)
    chosen = chosen.filter(pl.col("severity").is_null() | (pl.col("degradation") == CLEAN))
    clean, together = pl.col("degradation") == CLEAN, pl.col("degradation") == ALL
    return pl.concat([chosen.filter(clean), chosen.filter(together), chosen.filter(~clean & ~together)])


def _of_pair(pair: pl.DataFrame, brief: bool) -> Table:
    chosen = untuned_overview(pair)
    first, second = (str(chosen[name][0]) for name in ("first_model", "second_model"))
    shared = (chosen["images"] < chosen["n"]).any()
    rows = [_row(row, first, second, brief, bool(shared)) for row in chosen.iter_rows(named=True)]
    keys = ["restorer", "degradation"]
    frame = pl.concat([chosen.select("task", *keys), pl.DataFrame(rows)], how="horizontal")
    note = (
        "The untuned models on the same questions about the same images, "
        + ("accuracy in percent, " if not brief else "")
        + "change from clean to degraded images in points, with 95% intervals, all severities together. "
        f"Difference: the change of {second} minus that of {first}. p: an exact test of the images' net "
        "differences, after Holm's correction. "
        "Failed answers count as wrong."
    )
    return tabulate(f"Models side by side: {first} and {second}", frame, keys, list(rows[0]), note)


def _row(row: dict[str, Any], first: str, second: str, brief: bool, shared: bool) -> dict[str, str]:
    """Write the numbers of one condition, by heading."""
    cells = {} if brief else {"samples": count(row["n"])} | ({"images": count(row["images"])} if shared else {})
    for name, column in ((first, "first"), (second, "second")):
        if not brief:
            cells[f"accuracy, {name}"] = percent(row[column])
        change = (row[f"{column}_change{end}"] for end in ("", "_low", "_high"))
        cells[f"change, {name}"] = gain(*change)
    cells["difference"] = gain(row["change_delta"], row["change_low"], row["change_high"])
    p = row["change_p_holm"]
    return cells | {"p": MISSING if p is None else p_value(p)}
