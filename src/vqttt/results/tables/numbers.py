"""Which numbers tables show, how each is written, and a table made of them."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from vqttt.results.tables.table import Table
from vqttt.runs.records import ALL, NONE

UNTUNED = "untuned"
"""Stands in for the baseline where it was not run: every cell knows the untuned answers."""


def label(name: str) -> str:
    """Turn the name of a degradation into words."""
    return name.replace("_", " ")


def written(spec: str, factor: float = 1, unit: str = "") -> Callable[[Any], str]:
    """Return a writer of numbers; what is missing or not a number is a dash."""
    # Rounded first, so that equal numbers look equal whatever the last bits of their sums.
    return lambda value: "–" if value is None or value != value else f"{round(factor * value, 9):{spec}}{unit}"


_number, percent = written(",d"), written(".1f", 100)


def points(value: float) -> str:
    """Write a difference of accuracies in percentage points, signed."""
    return f"{round(round(100 * value, 9), 1) + 0.0:+.1f}".replace("+0.0", "0.0").replace("-", "−")


def gain(value: float | None, low: float, high: float) -> str:
    """Write a difference of accuracies with its interval, in points."""
    if value is None:
        return "–"
    return points(value) + (f" [{points(low)}, {points(high)}]" if low < high else "")


def _p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def _correlation(value: float, low: float, high: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.2f} [{low:+.2f}, {high:+.2f}]".replace("-", "−")


# Every number that a table may show: its heading, how it is written, and the columns it is written from.
_COLUMNS: dict[str, tuple[str, Callable[..., str], tuple[str, ...]]] = {
    "clean_delta": ("gain, clean", gain, ("clean_delta", "clean_ci_low", "clean_ci_high")),
    "delta": ("gain", gain, ("delta", "ci_low", "ci_high")),
    "change": ("change", gain, ("delta", "ci_low", "ci_high")),
    "p_holm": ("p", _p_value, ("p_holm",)),
    "p_equal": ("p of no effect", _p_value, ("p_equal",)),
    "rho": ("all images", _correlation, ("rho", "rho_low", "rho_high")),
    "within": ("same question", _correlation, ("within", "within_low", "within_high")),
}
for _show, _names in [
    (percent, "clean_accuracy:clean accuracy clean degraded rolled_back tuned oracle corrected redrawn first second"),
    (percent, "format_accuracy:with-format-credit"),
    (_number, "n:samples conditions seeds cells corrective:fixed destructive:broken failed helped hurt"),
    (written(".3f"), "ece seconds_per_sample:s/sample seconds:s/sample p50 p95"),
    (written(".1f", unit="×"), "cost:time"),
    (written(".1f"), "psnr:PSNR"),
    (_p_value, "p_value:p"),
]:
    for _name, _, _heading in (word.partition(":") for word in _names.split()):
        _COLUMNS[_name] = (_heading.replace("-", " ") or label(_name), _show, (_name,))


def tabulate(title: str, frame: pl.DataFrame, keys: Sequence[str], numbers: Sequence[str], note: str) -> Table:
    """Tabulate a frame by `keys`, leaving out those that tell nothing apart; columns of text are shown as they are."""
    if len(frame) and set(frame["task"].unique()) > {ALL} and frame["task"].n_unique() == 2:
        frame = frame.filter(pl.col("task") != ALL)  # the only task says the same
    always = ("task", "method", "degradation", "severity", "category", "error")
    keys = [key for key in keys if key in frame.columns and (key in always or frame[key].n_unique() > 1)]
    columns = [_COLUMNS.get(name, (name, str, (name,))) for name in numbers]
    if "degradation" in keys:
        frame = frame.with_columns(pl.Series("degradation", map(label, frame["degradation"]), pl.String))
    rows = [
        (*(str(row[key]) for key in keys), *(show(*(row[name] for name in names)) for _, show, names in columns))
        for row in frame.iter_rows(named=True)
    ]
    return Table(title=title, header=(*keys, *(column[0] for column in columns)), rows=rows, keys=len(keys), note=note)


def methods_of(records: pl.DataFrame) -> list[str]:
    """List the methods, first the baseline or what stands in for it."""
    names = set(records["method"].unique())
    return [NONE if NONE in names else UNTUNED, *sorted(names - {NONE})]
