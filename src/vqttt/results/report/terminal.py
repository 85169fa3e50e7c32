"""A run's report for a terminal: what was found in a few lines, and the tables behind them if they are wanted."""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from vqttt.results import tables
from vqttt.results.report.contents import Contents
from vqttt.results.summary import UNTUNED
from vqttt.runs.records import ALL, NONE

if TYPE_CHECKING:
    import rich.table
    import rich.text

_WORDS = {"hurts": "lower", "helps": "higher"}
"""How the terminal names verdicts of `paradox.quality_effect`, where it does not take them as they are."""

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
    shown.append(tables.errors_table(contents.records))
    return [*(table.rich() for table in shown if table.rows), text]


def _sentences(contents: Contents) -> Iterator[str]:
    questions = ", ".join(f"{task} {n:,}{_about(n, images)}" for task, n, images in contents.run["tasks"])
    yield f"Questions: {questions}. Recorded answers: {len(contents.records):,}."
    if contents.restored_by:
        yield f"Every image was restored by {', '.join(contents.restored_by)}."
    elif len(contents.frames.records) < len(contents.records):
        yield "Untuned accuracy covers unrestored images only."
    for facts in contents.findings:
        yield from (f"{facts['model']}: {sentence}" for sentence in _on_quality(facts))
        yield from (f"{facts['model']}: {sentence}" for sentence in _on_remedies(contents, facts["model"]))


def _about(questions: int, images: int) -> str:
    return f" about {images:,} image{'s' if images > 1 else ''}" if images < questions else ""


def _on_quality(facts: dict[str, Any]) -> Iterator[str]:
    if not facts["change"]:
        yield "the run lacks clean or degraded images, so it cannot show how image quality matters."
        return
    clean, degraded = tables.percent(facts["clean"]), tables.percent(facts["degraded"])
    change = tables.gain(*facts["change"])
    yield f"untuned accuracy is {clean}% on clean images and {degraded}% on degraded ones, a change of {change} points."
    found = {"hurts": 0, "helps": 0, "no effect": 0, "undecided": 0} | facts["verdicts"]
    counts = [f"{number} {_WORDS.get(verdict, verdict)}" for verdict, number in found.items()]
    yield f"conditions compared with clean images: {', '.join(counts)}."


def _on_remedies(contents: Contents, model: str) -> Iterator[str]:
    """Name the method, the restorer or both with the largest gain on degraded images, and what it costs."""
    tried = [row for row in remedies(contents) if row["model"] == model and row["delta"] is not None]
    if not tried:
        return
    best = max(tried, key=lambda row: float(row["delta"]))
    names = " + ".join(best[kind] for kind in ("restorer", "method") if best[kind] not in (NONE, UNTUNED))
    of = f"the best of {len(tried)} remedies" if len(tried) > 1 else "the remedy"
    clean = "" if best["clean_delta"] is None else f", {tables.points(best['clean_delta'])} on clean ones"
    cost = "" if best["cost"] is None else f", at {best['cost']:.1f} times the time of no remedy"
    sure = "" if best["ci_low"] > 0 else " This may be chance."
    gain = tables.gain(best["delta"], best["ci_low"], best["ci_high"])
    yield f"{of} is {names}: {gain} points on degraded images{clean}{cost}.{sure}"


def remedies(contents: Contents) -> list[dict[str, Any]]:
    """List what was tried against degradation, over all tasks: restorers, methods and both together.

    Each row has `model`, `restorer`, `method`, the gains `delta` (with `ci_low` and `ci_high`) and `clean_delta` over
    the untuned model on unrestored images, and `cost`, the time relative to that of the untuned model.
    """
    columns = ("model", "restorer", "method", "delta", "ci_low", "ci_high", "clean_delta", "cost")
    frame, overview = contents.frames.interventions, contents.frames.overview
    if frame.is_empty():
        rows = overview.filter(pl.col("task") == ALL, pl.col("method") != NONE).with_columns(restorer=pl.lit(NONE))
        return rows.select(columns).to_dicts()
    frame = frame.filter(pl.col("task") == ALL)
    plain = (pl.col("restorer") == NONE) & (pl.col("method") == NONE)
    seconds = frame.filter(plain).select("model", plain_seconds="seconds")
    rows = frame.filter(~plain).join(seconds, on="model", how="left")
    return rows.with_columns(cost=pl.col("seconds") / pl.col("plain_seconds")).select(columns).to_dicts()


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
        yield f"  {samples:,} {'sample' if samples == 1 else 'samples'}, {answers:,} answers: {reason}"
    if len(counts) > _REASONS:
        yield f"  and {len(counts) - _REASONS} other reasons; --verbose lists all."
