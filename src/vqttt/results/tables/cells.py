"""Tables of single cells: accuracy, everything, and what failed."""

import polars as pl

from vqttt.results.tables.numbers import label, percent, points, tabulate
from vqttt.results.tables.table import Table
from vqttt.runs.records import CLEAN, NONE

_MARKS = {"hurts": "↓", "helps": "↑", "no effect": "="}


def accuracy_table(summary: pl.DataFrame, effect: pl.DataFrame) -> Table:
    """Tabulate a summary's accuracies by task and degradation against severity, with gains in brackets.

    Args:
        summary: see `summary.summarise`.
        effect: `paradox.quality_effect` of the same records, whose verdicts mark the untuned accuracies.
    """
    keys = [name for name in ("model", "restorer") if summary[name].n_unique() > 1] + ["task", "degradation", "method"]
    severities = sorted(set(summary["severity"]))
    rows: dict[tuple[str, ...], dict[int, str]] = {}
    numbers = pl.col("accuracy", "delta").mean()
    marks = _marks(effect, [*keys[:-1], "severity"]) if NONE in summary["method"] else {}
    for *key, severity, accuracy, delta in (
        summary.group_by([*keys, "severity"], maintain_order=True).agg(numbers).rows()
    ):
        mark = marks.get((*key[:-1], severity), "") if key[-1] == NONE else ""
        gain = "" if key[-1] == NONE else f" ({points(delta)})"
        key[-2] = label(key[-2])
        rows.setdefault(tuple(key), {})[severity] = mark + percent(accuracy) + gain
    note = "Percent, followed by the gain in points over the untuned model on the same images."
    if any(marks.values()):
        note += " Untuned, against clean images, after Holm's correction: ↓ lower, ↑ higher, = no effect."
    return Table(
        title="Accuracy by severity",
        header=(*keys, *(str(severity) if severity else CLEAN for severity in severities)),
        rows=[(*key, *(row.get(severity, "") for severity in severities)) for key, row in rows.items()],
        keys=len(keys),
        note=note,
    )


def _marks(effect: pl.DataFrame, keys: list[str]) -> dict[tuple[str | int, ...], str]:
    """Return the mark of each condition whose verdict is the same under every seed."""
    if effect.is_empty():
        return {}
    verdicts = effect.group_by(keys).agg(pl.col("verdict").unique()).rows()
    return {tuple(key): _MARKS.get(found[0], "") for *key, found in verdicts if len(found) == 1}


def cells_table(summary: pl.DataFrame) -> Table:
    """Tabulate every cell."""
    keys = ("model", "task", "degradation", "severity", "restorer", "method", "scale", "seed")
    numbers = ["n", "accuracy", "delta", "p_value", "corrective", "destructive", "format_accuracy"]
    numbers += ["ece", "seconds_per_sample", "tuned", "rolled_back", "failed"]
    note = "Percent, and points with 95% intervals. p: McNemar's exact test, not corrected for the number of cells."
    return tabulate("All cells", summary, keys, numbers, note)


def errors_table(records: pl.DataFrame) -> Table:
    """Tabulate the samples that failed, by cell and reason."""
    keys = ["model", "task", "degradation", "severity", "restorer", "method", "error"]
    failed = records.filter(pl.col("error") != "").with_columns(pl.col("error").str.slice(0, 200))
    counts = failed.group_by(keys, maintain_order=True).agg(failed=pl.len())
    note = f"{len(failed):,} of {len(records):,} records failed; they count as wrong in every accuracy."
    return tabulate("Errors", counts, keys, ["failed"], note)
