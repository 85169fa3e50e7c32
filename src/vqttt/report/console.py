"""What a terminal shows of a run: the findings in a few lines, then tables."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vqttt import tables
from vqttt.report.contents import Contents

if TYPE_CHECKING:
    import rich.table
    import rich.text


def console(contents: Contents) -> list["rich.text.Text | rich.table.Table"]:
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
    for found in contents.findings:
        whose = f"{found['model']}: " if len(contents.findings) > 1 else ""
        if found["change"]:
            yield whose + _of_quality(found)
            yield f"By condition: {_of_conditions(found['verdicts'])}."


def _of_quality(found: dict[str, Any]) -> str:
    change = tables.gain(*found["change"])
    clean, degraded = tables.percent(found["clean"]), tables.percent(found["degraded"])
    return f"Untuned, right on {clean}% of clean pictures and {degraded}% of degraded ones: {change} points."


def _of_conditions(verdicts: dict[str, int]) -> str:
    words = {"hurts": "{} lower accuracy", "helps": "{} raise it", "no effect": "{} have no effect"}
    words |= {"undecided": "{} undecided"}
    return ", ".join(words[name].format(verdicts.get(name, 0)) for name in words)
