"""A run's report for a terminal: what was found in a few lines, and the tables behind them if they are wanted."""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from vqttt.results import tables
from vqttt.results.report.contents import Contents
from vqttt.results.report.remedies import Remedy

if TYPE_CHECKING:
    import rich.table
    import rich.text

_REASONS = 3
"""Most reasons of failures that are printed."""

_LENGTH = 160
"""Longest reason that is printed whole, in characters."""


def for_terminal(contents: Contents, verbose: bool = False) -> list["rich.text.Text | rich.table.Table"]:
    """Return the findings as text; with `verbose`, the tables of methods, severities and errors before it."""
    from rich.text import Text

    text = Text("\n".join([*_sentences(contents), *_failures(contents.records)]))
    if not verbose:
        return [text]
    shown = [tables.overview_table(contents.frames.overview, brief=True), contents.main_tables["accuracy"]]
    if contents.records["restorer"].n_unique() > 1:
        shown.insert(1, tables.interventions_table(contents.frames.interventions, brief=True))
    shown += tables.between_models_tables(contents.model_differences, brief=True)
    shown.append(tables.errors_table(contents.records))
    return [*(table.rich() for table in shown if table.rows), text]


def _sentences(contents: Contents) -> Iterator[str]:
    questions = ", ".join(f"{task} {n:,}{_about(n, images)}" for task, n, images in contents.run["tasks"])
    yield from contents.doubts
    yield contents.headline
    yield f"Questions: {questions}. Recorded answers: {len(contents.records):,}."
    if contents.restored_by:
        yield f"Every image was restored by {', '.join(contents.restored_by)}."
    elif len(contents.frames.records) < len(contents.records):
        yield "Untuned accuracy covers unrestored images only."
    for facts in contents.findings:
        yield from (f"{facts['model']}: {sentence}" for sentence in _on_quality(facts))
        yield from (f"{facts['model']}: {sentence}" for sentence in _on_remedies(facts))
    yield from contents.between_models


def _about(questions: int, images: int) -> str:
    return f" about {images:,} image{'s' if images > 1 else ''}" if images < questions else ""


def _on_quality(facts: dict[str, Any]) -> Iterator[str]:
    if not facts["change"]:
        yield "the run lacks clean or degraded images, so it cannot show how image quality matters."
        return
    clean, degraded = tables.percent(facts["clean"]), tables.percent(facts["degraded"])
    change = tables.gain(*facts["change"])
    yield f"untuned accuracy is {clean}% on clean images and {degraded}% on degraded ones, a change of {change} points."
    yield f"{facts['counts']}."


def _on_remedies(facts: dict[str, Any]) -> Iterator[str]:
    """Name the method, the restorer or both with the largest gain on degraded images, and what it costs."""
    best: Remedy | None = facts["best"][""]
    if best is None or best.gain is None:
        return
    of = f"the best of {facts['tried']} remedies" if facts["tried"] > 1 else "the remedy"
    clean = "" if best.clean_gain is None else f", {tables.points(best.clean_gain.value)} on clean ones"
    cost = "" if best.cost is None else f", at {best.cost:.1f} times the time of no remedy"
    sure = " This may be chance." if best.gain.side == 0 else ""
    yield f"{of} is {best.name}: {tables.gain(*best.gain)} points on degraded images{clean}{cost}.{sure}"
    alone: Remedy | None = facts["best"]["restorer"]
    if alone is not None and alone is not best and alone.gain is not None:
        cost = "" if alone.cost is None else f", at {alone.cost:.1f} times the time"
        yield f"restoring alone by {alone.name}: {tables.gain(*alone.gain)} points{cost}."


def _failures(records: pl.DataFrame) -> Iterator[str]:
    """Say what failed: each reason once, with the number of samples and of records."""
    failed = records.filter(pl.col("error") != "")
    if failed.is_empty():
        return
    counts = failed.group_by("error", maintain_order=True).agg(
        samples=pl.struct("task", "sample_id").n_unique(), records=pl.len()
    )
    counts = counts.sort("records", descending=True, maintain_order=True)
    yield f"Failed: {len(failed):,} of {len(records):,} answers; they count as wrong."
    for error, samples, answers in counts.head(_REASONS).rows():
        reason = textwrap.shorten(error, _LENGTH, placeholder=" …")
        yield f"  {samples:,} sample{'s' * (samples != 1)}, {answers:,} answer{'s' * (answers != 1)}: {reason}"
    if (left := len(counts) - _REASONS) > 0:
        yield f"  and {left} other reason{'s' * (left != 1)}; the report lists all."
