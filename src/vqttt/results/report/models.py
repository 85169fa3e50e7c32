"""What a report says of several models in one run, as sentences for the page and the terminal."""

from collections.abc import Iterator

import polars as pl

from vqttt.results.between_models import answers_of, model_pairs
from vqttt.results.compare import left_out
from vqttt.results.tables import gain, percent
from vqttt.results.tables.models import untuned_overview
from vqttt.runs.records import ALL, CLEAN


def side_by_side(records: pl.DataFrame, frame: pl.DataFrame) -> list[str]:
    """Say of each pair of models how differently degradation affects them, and what the comparison leaves out.

    Args:
        records: of a run.
        frame: `between_models.between_models` of these records.
    """
    return [line for pair in model_pairs(records) for line in _of_pair(records, frame, *pair)]


def _of_pair(records: pl.DataFrame, frame: pl.DataFrame, first: str, second: str) -> Iterator[str]:
    rows = frame if frame.is_empty() else frame.filter(first_model=first, second_model=second)
    if rows.is_empty():
        yield f"{first} and {second} share no question about the same image, so they are not compared."
        return
    yield f"{first} and {second}: {_headline(untuned_overview(rows), first, second)}"
    answers = answers_of(records, first), answers_of(records, second)
    yield from (f"{first} and {second}: {line}." for line in left_out(*answers, (first, second)))
    failed = [int((each["error"] != "").sum()) for each in answers]
    if failed[0] != failed[1]:  # equal failures are in the report's list of errors, and favour neither model
        yield (
            f"{first} and {second}: {failed[0]:,} answers of {first} and {failed[1]:,} of {second} failed and count as "
            "wrong, so part of the difference may be failures."
        )


def _headline(rows: pl.DataFrame, first: str, second: str) -> str:
    """Say what degradation does to both models, or how accurate they are if the run cannot show that."""
    degraded = rows.filter(pl.col("degradation") != CLEAN)
    chosen = degraded.filter(pl.col("degradation") == ALL) if ALL in degraded["degradation"] else degraded
    row = (rows if chosen.is_empty() else chosen).row(0, named=True)
    if row["change_delta"] is None:
        return (
            f"untuned accuracy is {percent(row['first'])}% and {percent(row['second'])}%, a difference of "
            f"{gain(row['delta'], row['ci_low'], row['ci_high'])} points. The run lacks clean or degraded images, so "
            "it cannot show whether quality matters alike to both."
        )
    changes = [gain(*(row[f"{name}_change{end}"] for end in ("", "_low", "_high"))) for name in ("first", "second")]
    clear = "" if row["change_low"] > 0 or row["change_high"] < 0 else ", not clearly different from zero"
    return (
        f"degradation changes the untuned accuracy of {first} by {changes[0]} points and that of {second} by "
        f"{changes[1]}, a difference of {gain(row['change_delta'], row['change_low'], row['change_high'])}{clear}."
    )
