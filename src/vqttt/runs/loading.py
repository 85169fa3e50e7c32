"""Read what a run folder holds: records, examples, and the description of the run."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from vqttt.errors import RunFolderError
from vqttt.runs.records import conform, in_order, schema


def load_records(run: Path) -> pl.DataFrame:
    """Read the records of all finished cells, in order, with the columns of `schema`.

    Raises:
        RunFolderError: if the folder does not exist, is not a run's, has no finished cell, or one that cannot be read.
    """
    if not run.is_dir():
        raise RunFolderError(f"there is no run folder {run}")
    cells = []
    for file in sorted(run.glob("cells/*.parquet")):
        with reading(file):
            cells.append(conform(pl.read_parquet(file)))
    records = pl.concat(cells) if cells else pl.DataFrame(schema=schema())
    if records.is_empty() and not (run / "run.json").is_file():
        raise RunFolderError(f"{run} is not a run folder: it has no run.json and no finished cells")
    if records.is_empty():
        raise RunFolderError(f"{run} holds no finished cells; `vqttt study --resume {run}` continues the study")
    return in_order(records)


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Within the block, a finished cell's file is read.

    Raises:
        RunFolderError: if it cannot be read.
    """
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RunFolderError(f"cannot read {file} ({reason}); delete it and run the study again") from error


def load_examples(run: Path) -> list[dict[str, Any]]:
    """Read the examples of all cells, one dictionary per file, in order.

    Raises:
        RunFolderError: if a file cannot be read.
    """
    return [_read_json(file) for file in sorted(run.glob("examples/*.json"))]


def load_description(run: Path) -> dict[str, Any]:
    """Read `run.json`, which describes the run; empty if there is no such file.

    Raises:
        RunFolderError: if the file cannot be read.
    """
    return _read_json(run / "run.json") if (run / "run.json").exists() else {}


def _read_json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunFolderError(f"cannot read {file} ({error}); move it away to write a report without it") from error
    return found if isinstance(found, dict) else {}
