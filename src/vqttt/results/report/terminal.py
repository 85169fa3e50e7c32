"""A run's report for a terminal: the findings in a few lines, then tables."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vqttt.results import tables
from vqttt.results.report.contents import Contents

if TYPE_CHECKING:
    import rich.table
    import rich.text

_VERDICTS = {"hurts": "lower", "helps": "higher", "no effect": "no effect", "undecided": "undecided"}
"""How the terminal names the verdicts of `paradox.quality_effect`."""


def for_terminal(contents: Contents) -> list["rich.text.Text | rich.table.Table"]:
    """Return the findings, then the tables of methods, of accuracy by severity, and of errors if there are any."""
    from rich.text import Text

    shown = [tables.overview_table(contents.frames.overview, brief=True), contents.main_tables["accuracy"]]
    if contents.records["restorer"].n_unique() > 1:
        shown.insert(1, tables.interventions_table(contents.frames.interventions, brief=True))
    shown.append(tables.errors_table(contents.records))
    text = Text("\n".join(_sentences(contents)) + "\n")
    return [text, *(table.rich() for table in shown if table.rows)]


def _sentences(contents: Contents) -> Iterator[str]:
    questions = ", ".join(f"{task} {n:,}" for task, n in contents.run["tasks"])
    yield f"Questions: {questions}. Recorded answers: {len(contents.records):,}."
    if contents.restored_by:
        yield f"Every image was restored by {', '.join(contents.restored_by)}."
    elif len(contents.frames.records) < len(contents.records):
        yield 'Everything below except "Restorers and methods" and "Errors" covers unrestored images only.'
    for facts in contents.findings:
        yield from (f"{facts['model']}: {sentence}" for sentence in _on_quality(facts))


def _on_quality(facts: dict[str, Any]) -> Iterator[str]:
    if not facts["change"]:
        yield "the run lacks clean or degraded images, so it cannot show how image quality matters."
        return
    clean, degraded = tables.percent(facts["clean"]), tables.percent(facts["degraded"])
    change = tables.gain(*facts["change"])
    yield f"untuned accuracy is {clean}% on clean images and {degraded}% on degraded ones, a change of {change} points."
    counts = ", ".join(f"{facts['verdicts'].get(name, 0)} {word}" for name, word in _VERDICTS.items())
    yield f"conditions compared with clean images: {counts}."
