"""What a terminal shows of a run: the findings in a few lines, then tables."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vqttt.results import tables
from vqttt.results.report.contents import Contents

if TYPE_CHECKING:
    import rich.table
    import rich.text


def for_terminal(contents: Contents) -> list["rich.text.Text | rich.table.Table"]:
    """Return what was run and found, the methods, accuracy by severity, and what failed, if anything."""
    from rich.text import Text

    shown = [tables.overview_table(contents.overview, brief=True), contents.main_tables["accuracy"]]
    if contents.records["restorer"].n_unique() > 1:
        shown.insert(1, tables.remedies_table(contents.remedies, brief=True))
    shown.append(tables.errors_table(contents.records))
    said = Text("\n".join(_sentences(contents)) + "\n")
    return [said, *(table.rich() for table in shown if table.rows)]


def _sentences(contents: Contents) -> Iterator[str]:
    questions = ", ".join(f"{task} {n:,}" for task, n in contents.run["tasks"])
    yield f"Questions: {questions}. Answers on record: {len(contents.records):,}."
    if contents.restored:
        yield f"Every image was restored, by {', '.join(contents.restored)}."
    elif len(contents.plain) < len(contents.records):
        yield 'What follows is of unrestored images, except for "Restorers and methods".'
    for found in contents.findings:
        yield from (f"{found['model']}: {sentence}" for sentence in _of_quality(found))


def _of_quality(found: dict[str, Any]) -> Iterator[str]:
    if not found["change"]:
        yield "without both clean and degraded images, nothing can be said of what quality does."
        return
    clean, degraded = tables.percent(found["clean"]), tables.percent(found["degraded"])
    change = tables.gain(*found["change"])
    yield f"untuned, {clean}% right on clean images and {degraded}% on degraded ones: {change} points."
    words = {"hurts": "lower", "helps": "higher", "no effect": "no effect", "undecided": "undecided"}
    counts = ", ".join(f"{found['verdicts'].get(name, 0)} {word}" for name, word in words.items())
    yield f"conditions against clean, one by one: {counts}."
