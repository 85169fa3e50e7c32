"""Tables of a report: which numbers they show and how they are written, as text for any medium."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from vqttt import stats
from vqttt.stats import ALL, BASELINE, CLEAN

if TYPE_CHECKING:
    import rich.table

UNTUNED = "untuned"
"""Stands in for the baseline where it was not run: every cell knows the untuned answers."""


def label(name: str) -> str:
    """Turn the name of a degradation into words."""
    return name.replace("_", " ")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as text, for any medium; its first `keys` columns are words and all others numbers."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    keys: int
    note: str = ""

    def rich(self) -> "rich.table.Table":
        """Render for a terminal."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        drawn = RichTable(title=Text(self.title), caption=Text(self.note), box=box.SIMPLE_HEAD, padding=0)
        for i, name in enumerate(self.header):
            longest = max((len(word) for row in self.rows for word in row[i].split()), default=1)
            if i < self.keys:
                drawn.add_column(Text(name), overflow="fold", min_width=min(longest, 15))
            else:
                drawn.add_column(Text(name), justify="right", no_wrap=True)
        for row in self.rows:
            # Brackets go on a line of their own, or 80 columns would be too few; `Text` keeps them from being markup.
            numbers = (cell.replace(" [", "\n[").replace(" (", "\n").removesuffix(")") for cell in row[self.keys :])
            drawn.add_row(*map(Text, (*row[: self.keys], *numbers)))
        return drawn

    def markdown(self) -> str:
        """Render as a table of GitHub's Markdown."""
        rule = ["---"] * self.keys + ["---:"] * (len(self.header) - self.keys)
        rows = [[_markdown(cell) for cell in row] for row in (self.header, *self.rows)]
        lines = ["| " + " | ".join(row) + " |" for row in (rows[0], rule, *rows[1:])]
        return "\n".join([f"## {_markdown(self.title)}", "", *lines, "", _markdown(self.note)]).rstrip() + "\n"

    def latex(self) -> str:
        """Render for LaTeX with the package booktabs."""
        lines = [" & ".join(map(_latex, row)) + r" \\" for row in (self.header, *self.rows)]
        columns = "l" * self.keys + "r" * (len(self.header) - self.keys)
        caption = rf"\caption{{{_latex(self.title)}. {_latex(self.note)}}}".replace(". }", ".}")
        start = [r"\begin{table}", r"\centering", caption, rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0]]
        return "\n".join([*start, r"\midrule", *lines[1:], r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


_LATEX = {character: "\\" + character for character in "&%$#_{}"}
_LATEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$"}
_LATEX |= {"−": "$-$", "×": r"$\times$", "–": "--", "→": r"$\rightarrow$"}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def _markdown(text: str) -> str:
    return re.sub(r"([\\|*_`<>\[\]])", r"\\\1", " ".join(text.split()))


def _format(spec: str, factor: float = 1, unit: str = "") -> Callable[[Any], str]:
    # Rounded first, so that equal numbers look equal whatever the last bits of their sums.
    return lambda value: "–" if value is None or value != value else f"{round(factor * value, 9):{spec}}{unit}"


_number, percent = _format(",d"), _format(".1f", 100)


def points(value: float) -> str:
    """Write a difference of accuracies in percentage points, signed."""
    return f"{round(round(100 * value, 9), 1) + 0.0:+.1f}".replace("+0.0", "0.0").replace("-", "−")


def _gain(value: float | None, low: float, high: float) -> str:
    if value is None:
        return "–"
    return points(value) + (f" [{points(low)}, {points(high)}]" if low < high else "")


def _p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def _correlation(value: float, low: float, high: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.2f} [{low:+.2f}, {high:+.2f}]".replace("-", "−")


# Every number that a table may show: its heading, how it is written, and the columns it is written from.
_COLUMNS: dict[str, tuple[str, Callable[..., str], tuple[str, ...]]] = {
    "clean_delta": ("gain, clean", _gain, ("clean_delta", "clean_ci_low", "clean_ci_high")),
    "delta": ("gain", _gain, ("delta", "ci_low", "ci_high")),
    "change": ("change", _gain, ("delta", "ci_low", "ci_high")),
    "p_holm": ("p", _p_value, ("p_holm",)),
    "p_equal": ("p of no effect", _p_value, ("p_equal",)),
    "rho": ("all pictures", _correlation, ("rho", "rho_low", "rho_high")),
    "within": ("same question", _correlation, ("within", "within_low", "within_high")),
}
for _show, _names in [
    (percent, "clean_accuracy:clean accuracy clean degraded rolled_back tuned oracle corrected redrawn first second"),
    (percent, "format_accuracy:with-format-credit"),
    (_number, "n:samples conditions seeds cells corrective:fixed destructive:broken failed helped hurt"),
    (_format(".3f"), "ece seconds_per_sample:s/sample seconds:s/sample"),
    (_format(".1f", unit="×"), "cost:time"),
    (_format(".1f"), "psnr:PSNR"),
    (_p_value, "p_value:p"),
]:
    for _name, _, _heading in (word.partition(":") for word in _names.split()):
        _COLUMNS[_name] = (_heading.replace("-", " ") or label(_name), _show, (_name,))


def _table(title: str, frame: pl.DataFrame, keys: Sequence[str], numbers: Sequence[str], note: str) -> Table:
    """Tabulate a frame by `keys`, leaving out those that tell nothing apart; columns of text are shown as they are."""
    if len(frame) and set(frame["task"]) > {ALL} and frame["task"].n_unique() == 2:
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


def overview_table(frame: pl.DataFrame, brief: bool = False) -> Table:
    """Tabulate an `overview`; `brief` leaves out the counts."""
    note = "Percent, and gains in points over the untuned model with 95% intervals; every cell has the same weight. "
    note += "" if brief else "Fixed and broken are answers on degraded pictures. "
    note += "Time is relative to no tuning."
    numbers = ["n", "clean_accuracy", "clean_delta", "accuracy", "delta", "corrective", "destructive", "cost"]
    numbers = [name for name in numbers if not brief or name not in ("n", "corrective", "destructive")]
    table = _table("Methods", frame, ("model", "task", "method"), numbers, note)
    degraded = {"accuracy": "degraded", "gain": "gain, degraded"}
    return replace(table, header=tuple(degraded.get(name, name) for name in table.header))


def accuracy_table(summary: pl.DataFrame) -> Table:
    """Tabulate a summary's accuracies by task and degradation against severity, with gains in brackets."""
    keys = [name for name in ("model", "restorer") if summary[name].n_unique() > 1] + ["task", "degradation", "method"]
    severities = sorted(set(summary["severity"]))
    rows: dict[tuple[str, ...], dict[int, str]] = {}
    numbers = pl.col("accuracy", "delta").mean()
    for *key, severity, accuracy, delta in (
        summary.group_by([*keys, "severity"], maintain_order=True).agg(numbers).rows()
    ):
        key[-2] = label(key[-2])
        gain = "" if key[-1] == BASELINE else f" ({points(delta)})"
        rows.setdefault(tuple(key), {})[severity] = percent(accuracy) + gain
    return Table(
        title="Accuracy by severity",
        header=(*keys, *(str(severity) if severity else CLEAN for severity in severities)),
        rows=[(*key, *(row.get(severity, "") for severity in severities)) for key, row in rows.items()],
        keys=len(keys),
        note="Percent, followed by the gain in points over the untuned model on the same pictures.",
    )


def quality_table(effect: pl.DataFrame) -> Table:
    """Tabulate a `quality_effect`."""
    keys = ("model", "task", "category", "degradation", "severity", "restorer", "scale", "seed")
    note = (
        "The untuned model on the same pictures clean and degraded, in percent. Helped: wrong when clean, right when "
    )
    note += "degraded; hurt: the reverse. p: McNemar's exact test; p of no effect: two one-sided tests for a change "
    note += "within two points. Both after Holm's correction over the whole table."
    numbers = ("n", "clean", "degraded", "change", "helped", "hurt", "p_holm", "p_equal", "verdict")
    return _table("Quality effect", effect, keys, numbers if len(effect) else (), note)


def headroom_table(frame: pl.DataFrame) -> Table:
    """Tabulate `paradox.headroom`."""
    note = "What choosing the picture's quality could gain the untuned model. Best: the degraded condition with most "
    note += "right answers; its change from clean is measured where it was not chosen. Oracle: right if the clean "
    note += "picture or any degraded one is; it knows the labels, and grows by luck with the number of conditions."
    numbers = ("n", "conditions", "clean", "best", "change", "oracle") if len(frame) else ()
    return _table("Headroom", frame, ("model", "task"), numbers, note)


def redraws_table(frame: pl.DataFrame) -> Table:
    """Tabulate `paradox.redraws`."""
    note = "Answers that degrading made right, of a hundred, beside those that drawing the same degradation anew with "
    note += "another seed makes right; change is the first less the second. At or below zero, all is luck of the draw."
    numbers = ("n", "seeds", "corrected", "redrawn", "change") if len(frame) else ()
    return _table("Corrected or redrawn", frame, ("model", "task"), numbers, note)


def correlation_table(correlations: pl.DataFrame) -> Table:
    """Tabulate `perception.rank_correlations`."""
    note = (
        "Spearman's rank correlation between a measure of the picture and the untuned model's score, with 95% "
        "intervals, over all pictures of the task; and, over those of the same question, Pearson's of ranks and scores "
        "less their means for that question. Of noise level, less is better."
    )
    if len(correlations):
        correlations = correlations.with_columns(measure=pl.col("metric").str.replace_all("_", " "))
    return _table("Quality and answers", correlations, ("model", "task", "measure"), ("n", "rho", "within"), note)


def remedies_table(remedies: pl.DataFrame, title: str = "Restorers and methods", brief: bool = False) -> Table:
    """Tabulate `remedies.remedies`, or the same by degradation; `brief` leaves out counts and tasks."""
    keys = ("model", "degradation", "task", "restorer", "method")
    numbers: tuple[str, ...] = ("n", "clean_delta", "accuracy", "delta", "corrective", "destructive", "psnr", "seconds")
    note = (
        "Percent, and gains in points with 95% intervals over the untuned model on the same pictures unrestored. "
        "Fixed and broken are answers on degraded pictures, whose mean PSNR is in dB."
    )
    if brief and len(remedies):
        note = "Percent, and gains in points over the untuned model on the same pictures unrestored."
        numbers, remedies = ("clean_delta", "accuracy", "delta", "seconds"), remedies.filter(task=ALL)
    return _table(title, remedies, keys, numbers if len(remedies) else (), note)


def category_table(records: pl.DataFrame) -> Table:
    """Tabulate untuned accuracy by category on clean and on degraded pictures, and each method's gain on the latter."""
    rows, base = [], stats.untuned(records)
    key = ("model", "task", "category")
    for (model, task, category), group in records.group_by(key, maintain_order=True):
        of_group = base.filter(model=model, task=task, category=category)
        clean, degraded = (pl.col("degradation") == CLEAN), (pl.col("degradation") != CLEAN)
        row = {"model": model, "task": task, "category": category or "–", "n": group["sample_id"].n_unique()}
        row |= {"clean": stats.pooled(of_group.filter(clean))["base_accuracy"]}
        row |= {"degraded": stats.pooled(of_group.filter(degraded))["base_accuracy"]}
        for method in methods_of(records)[1:]:
            gain = stats.pooled(group.filter(degraded, method=method))
            row[f"gain, {method}"] = _gain(gain["delta"], gain["ci_low"], gain["ci_high"])
        rows.append(row)
    frame = pl.DataFrame(rows, infer_schema_length=None).sort("model", "task", "category")
    note = (
        "The untuned model on clean and degraded pictures, in percent; each method's gain on degraded ones, in points."
    )
    return _table("Accuracy by category", frame, key, frame.columns[3:], note)


def calibration_table(records: pl.DataFrame) -> Table:
    """Tabulate the calibration error of the untuned model and of each method, on the same samples."""
    rows = []
    for model, task, method, cells in stats.by_task(records):
        row: dict[str, Any] = {"model": model, "task": task, "method": method}
        for where, chosen in (("clean", pl.col("degradation") == CLEAN), ("degraded", pl.col("degradation") != CLEAN)):
            part = cells.filter(chosen)
            for when, prefix in (("before", "base_"), ("after", "")):
                error = stats.ece(part[f"{prefix}confidence"], part[f"{prefix}score"], part["error"] != "")
                row[f"{where}, {when}"] = _format(".3f")(error)
        rows.append(row)
    note = "Expected calibration error (10 bins) before and after tuning; 0 is best. Failed samples are left out."
    return _table("Calibration", pl.DataFrame(rows), ("model", "task", "method"), list(rows[0])[3:], note)


def comparison_table(frame: pl.DataFrame, title: str) -> Table:
    """Tabulate `compare.compare`."""
    note = (
        "Percent right in the first run and the second, on the same pictures; p: a sign test over samples after Holm's "
    )
    note += "correction over the table."
    numbers = ("n", "cells", "first", "second", "change", "corrective", "destructive", "p_holm")
    return _table(title, frame, ("task", "method"), numbers, note)


def cells_table(summary: pl.DataFrame) -> Table:
    """Tabulate every cell."""
    keys = ("model", "task", "degradation", "severity", "restorer", "method", "scale", "seed")
    numbers = ["n", "accuracy", "delta", "p_value", "corrective", "destructive", "format_accuracy"]
    numbers += ["ece", "seconds_per_sample", "tuned", "rolled_back", "failed"]
    note = "Percent, and points with 95% intervals. p: McNemar's exact test, not corrected for the number of cells."
    return _table("All cells", summary, keys, numbers, note)


def errors_table(records: pl.DataFrame) -> Table:
    """Tabulate the samples that failed, by cell and reason."""
    keys = ["model", "task", "degradation", "severity", "restorer", "method", "error"]
    failed = records.filter(pl.col("error") != "").with_columns(pl.col("error").str.slice(0, 200))
    counts = failed.group_by(keys, maintain_order=True).agg(failed=pl.len())
    note = f"{len(failed):,} of {len(records):,} records failed; they count as wrong in every accuracy."
    return _table("Errors", counts, keys, ["failed"], note)


def methods_of(records: pl.DataFrame) -> list[str]:
    """List the methods, first the baseline or what stands in for it."""
    names = set(records["method"]) - {BASELINE}
    return [BASELINE if BASELINE in set(records["method"]) else UNTUNED, *sorted(names)]
