"""From the records of a study to the rows that are committed: one for each condition and method."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from experiments.method.plan import CORRECTIONS, Study
from experiments.method.rows import Row, read
from experiments.method.tasks import row_name, stream_of
from vqttt.results.statistics import ece
from vqttt.runs.loading import load_records
from vqttt.runs.records import NONE

Cells = dict[tuple[str, str], pl.DataFrame]
"""The records of one condition, by method and restorer."""


def gather(study: Study, run: Path) -> Iterator[Row]:
    """Yield the rows of a finished study, given its run folder."""
    for records in load_records(run).partition_by("task", "degradation", "severity", "seed", maintain_order=True):
        cells: Cells = dict(records.partition_by("method", "restorer", as_dict=True, maintain_order=True))
        yield from _of_condition(study, cells)


def merge(file: Path, rows: Iterable[Row]) -> None:
    """Put rows into a file of rows, a new one in the place of an old one."""
    merged = {_identity(row): row for row in (*read(file), *rows)}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in merged.values()))


def _identity(row: Row) -> tuple[object, ...]:
    return tuple(row[name] for name in ("task", "degradation", "severity", "seed", "batch", "method"))


def _of_condition(study: Study, cells: Cells) -> Iterator[Row]:
    """Yield the rows of one condition: of every method but the baseline, of every restorer, and of all corrections."""
    plain = cells[NONE, NONE]
    cell = plain.row(0, named=True)
    stream = stream_of(cell["task"])
    common: Row = {
        "phase": study.phase,
        "task": row_name(cell["task"]),
        "degradation": stream or cell["degradation"],
        "severity": cell["severity"],
        "seed": cell["seed"],
        "count": len(plain),
        "batch": study.config.batch,
        "before": _bits(plain["base_score"]),
    }
    if stream:
        common["conditions"] = plain["category"].to_list()
    for (method, restorer), records in cells.items():
        if restorer != NONE:
            yield common | {"method": f"restore: {restorer}", "after": _bits(records["base_score"])}
        elif method != NONE and method not in CORRECTIONS:
            yield common | {"method": study.label(method)} | _measured(records, plain)
    if all((name, NONE) in cells for name in CORRECTIONS):
        scores = [_bits(cells[name, NONE]["score"]) for name in CORRECTIONS]
        yield common | {"method": "corrections", "corrections": scores}


def _measured(records: pl.DataFrame, plain: pl.DataFrame) -> Row:
    """Return what a row says of a method, given its records and the baseline's."""
    return {
        "after": _bits(records["score"]),
        "calibration": [
            ece(records["base_confidence"], records["base_score"]),
            ece(records["confidence"], records["score"]),
        ],
        "tuned": (records["steps"] > 0).mean(),
        "rolled_back": records["rolled_back"].mean(),
        "cost": records["seconds"].mean() / plain["seconds"].mean(),
    }


def _bits(scores: pl.Series) -> str:
    return "".join("1" if score >= 0.5 else "0" for score in scores)
