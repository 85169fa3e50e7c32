"""The columns that tables may show, and tables made of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from vqttt.results.statistics import MARGIN
from vqttt.results.tables import numbers
from vqttt.results.tables.numbers import label, percent, verdict, written
from vqttt.results.tables.table import Table
from vqttt.runs.records import ALL


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes:
        name: how tables ask for it.
        heading: shown above it.
        write: turns the values of one row into text.
        values: the columns of the frame whose values `write` takes; only `name` by default.
    """

    name: str
    heading: str
    write: Callable[..., str]
    values: tuple[str, ...] = ()


COLUMNS = [
    Column("n", "samples", numbers.count),
    Column("images", "images", numbers.count),
    Column("conditions", "conditions", numbers.count),
    Column("seeds", "seeds", numbers.count),
    Column("accuracy", "accuracy", percent),
    Column("clean", "clean", percent),
    Column("degraded", "degraded", percent),
    Column("clean_accuracy", "clean", percent),
    Column("degraded_accuracy", "degraded", percent, ("accuracy",)),
    Column("format_accuracy", "with format credit", percent),
    Column("oracle", "best of each image", percent),
    Column("first", "first", percent),
    Column("second", "second", percent),
    Column("delta", "gain", numbers.gain, ("delta", "ci_low", "ci_high")),
    Column("clean_delta", "gain, clean", numbers.gain, ("clean_delta", "clean_ci_low", "clean_ci_high")),
    Column("degraded_delta", "gain, degraded", numbers.gain, ("delta", "ci_low", "ci_high")),
    Column("change", "change", numbers.gain, ("delta", "ci_low", "ci_high")),
    Column("corrective", "corrected", numbers.count),
    Column("destructive", "broken", numbers.count),
    Column("corrective_share", "corrected", percent),
    Column("redrawn_share", "corrected by redrawing", percent),
    Column("p_value", "p", numbers.p_value),
    Column("p_holm", "p", numbers.p_value),
    Column("p_equal", f"p (equivalence within {100 * MARGIN:g} points)", numbers.p_value),
    Column("rho", "all images", numbers.correlation, ("rho", "rho_low", "rho_high")),
    Column("within", "same question", numbers.correlation, ("within", "within_low", "within_high")),
    Column("ece", "calibration error", written(".3f")),
    Column("psnr", "PSNR", written(".1f")),
    Column("seconds", "seconds", written(".3f")),
    Column("seconds_per_sample", "seconds", written(".3f")),
    Column("p50", "median", written(".3f")),
    Column("p95", "95th percentile", written(".3f")),
    Column("cost", "time", written(".1f", unit="×")),
    Column("tuned", "tuned", percent),
    Column("rolled_back", "discarded", percent),
    Column("failed", "failed", numbers.count),
    Column("verdict", "verdict", verdict),
    Column("untuned", "untuned", "{:.1f}".format),
    Column("with_method", "with method", "{:.1f}".format),
]
"""Every number that a table may show."""

_BY_NAME = {column.name: column for column in COLUMNS}

_LEADS = ("delta", "degraded_delta", "change", "difference", "rho", "with_method", "degraded, after")
"""The columns that matter most; the first of them is the `lead` of a table."""

_KEPT = ("task", "method", "degradation", "severity", "category", "error", "score")
"""Key columns that are shown even if all their values are equal."""


def tabulate(title: str, frame: pl.DataFrame, keys: Sequence[str], names: Sequence[str], note: str) -> Table:
    """Make a table of a frame; it has no rows if the frame is empty.

    Args:
        title: title of the table.
        frame: one row per row of the table.
        keys: columns that say what a row is about. Missing ones are skipped, and so are most that do not vary.
        names: names of `COLUMNS`, or columns of text, which are shown as they are. `n` brings `images` with it where
            several samples share an image.
        note: explains the table.
    """
    if frame.is_empty():
        return Table(title=title, header=(), rows=[], keys=0, note=note)
    if ALL in frame["task"] and frame["task"].n_unique() == 2:
        frame = frame.filter(pl.col("task") != ALL)  # the only task has the same numbers
    keys = [key for key in keys if key in frame.columns and (key in _KEPT or frame[key].n_unique() > 1)]
    if "n" in names and "images" in frame.columns and (frame["images"] < frame["n"]).any():
        names = [shown for name in names for shown in ((name, "images") if name == "n" else (name,))]
    columns = [_BY_NAME.get(name, Column(name, name, str)) for name in names]
    if "degradation" in keys:
        frame = frame.with_columns(pl.Series("degradation", map(label, frame["degradation"]), pl.String))
    rows = [
        (
            *(str(row[key]) for key in keys),
            *(column.write(*(row[value] for value in column.values or (column.name,))) for column in columns),
        )
        for row in frame.iter_rows(named=True)
    ]
    header = (*keys, *(column.heading for column in columns))
    leads = [len(keys) + number for number, name in enumerate(names) if name in _LEADS or name.startswith("gain,")]
    return Table(title=title, header=header, rows=rows, keys=len(keys), note=note, lead=leads[0] if leads else None)
