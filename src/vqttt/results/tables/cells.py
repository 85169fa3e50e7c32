"""Tables of single cells: accuracy, all numbers, benchmark scores, and errors."""

from collections.abc import Sequence

import polars as pl

from vqttt.results import summary
from vqttt.results.order import ordered
from vqttt.results.tables.columns import tabulate
from vqttt.results.tables.numbers import label, percent, points, verdict
from vqttt.results.tables.table import Table
from vqttt.runs.records import CELL, CLEAN, NONE, in_order

_MARKS = {"hurts": "↓", "helps": "↑", "no effect": "="}
"""How `accuracy_table` marks the verdicts of `paradox.quality_effect`."""

_CELL_NUMBERS = (
    "n", "accuracy", "delta", "p_value", "corrective", "destructive", "format_accuracy",
    "ece", "seconds_per_sample", "tuned", "rolled_back", "failed",
)  # fmt: skip

_ERROR_LENGTH = 200
"""Longest part of an error message that a table shows, in characters."""


def accuracy_table(records: pl.DataFrame, effect: pl.DataFrame, order: Sequence[str] = ()) -> Table:
    """Tabulate accuracy by task and degradation against severity, with intervals, and gains in brackets.

    Args:
        records: of a run.
        effect: `paradox.quality_effect` of the same records; its verdicts mark the untuned accuracies.
        order: the degradations in order; by name if it is empty.
    """
    keys = [name for name in ("model", "restorer") if records[name].n_unique() > 1] + ["task", "degradation", "method"]
    severities = sorted(set(records["severity"]))
    rows: dict[tuple[str, ...], dict[int, str]] = {}
    marks = _marks(effect, [*keys[:-1], "severity"]) if NONE in records["method"] else {}
    for (*key, severity), group in ordered(in_order(records), order).group_by([*keys, "severity"], maintain_order=True):
        right = summary.accuracy_of_cells(group, "score")
        interval = f" [{percent(right.low)}, {percent(right.high)}]"
        if key[-1] == NONE:
            mark, gain = marks.get((*key[:-1], severity), ""), ""
        else:
            mark, gain = "", f" ({points(right.value - summary.accuracy_of_cells(group, 'base_score').value)})"
        key[-2] = label(str(key[-2]))
        rows.setdefault(tuple(map(str, key)), {})[int(str(severity))] = mark + percent(right.value) + interval + gain
    note = (
        "Accuracy in percent with its 95% interval, followed by the gain in points over the untuned model on the same "
        "images."
    )
    if any(marks.values()):
        note += (
            " Arrows compare the untuned model with clean images, after Holm's correction: ↓ lower, ↑ higher, "
            f"= {verdict('no effect')}."
        )
    return Table(
        title="Accuracy by severity",
        header=(*keys, *(str(severity) if severity else CLEAN for severity in severities)),
        rows=[(*key, *(row.get(severity, "") for severity in severities)) for key, row in rows.items()],
        keys=len(keys),
        note=note,
    )


def _marks(effect: pl.DataFrame, keys: list[str]) -> dict[tuple[str | int, ...], str]:
    """Return the mark of each condition whose verdict is the same for every seed."""
    if effect.is_empty():
        return {}
    verdicts = effect.group_by(keys).agg(pl.col("verdict").unique()).rows()
    return {tuple(key): _MARKS.get(found[0], "") for *key, found in verdicts if len(found) == 1}


def cells_table(cells: pl.DataFrame) -> Table:
    """Tabulate `summary.summarise`."""
    keys = ("model", "task", "degradation", "severity", "restorer", "method", "scale", "seed")
    note = (
        "Accuracy in percent; gains in points with 95% intervals. "
        "p: McNemar's exact test of corrected against broken answers, over images if they have several questions, not "
        "corrected for the number of cells. Calibration error: mean distance between confidence and accuracy, 0 is "
        "best. Tuned: share of samples tuned on, or for which corrections were tried; discarded: share whose new "
        "answer a safeguard undid."
    )
    return tabulate("All cells", cells, keys, _CELL_NUMBERS, note)


def benchmark_table(scores: pl.DataFrame) -> Table:
    """Tabulate `benchmark_scores.benchmark_scores`."""
    note = "As each benchmark defines its scores: in percent, except for sums (MME, OCRBench) and counts."
    return tabulate("Benchmark scores", scores, (*CELL, "score"), ("untuned", "with_method"), note)


def errors_table(records: pl.DataFrame) -> Table:
    """Tabulate the samples that failed, by cell and error."""
    keys = ["model", "task", "degradation", "severity", "restorer", "method", "error"]
    failed = records.filter(pl.col("error") != "").with_columns(pl.col("error").str.slice(0, _ERROR_LENGTH))
    counts = failed.group_by(keys, maintain_order=True).agg(failed=pl.len())
    note = f"{len(failed):,} of {len(records):,} records failed. They count as wrong in every accuracy."
    return tabulate("Errors", counts, keys, ["failed"], note)
