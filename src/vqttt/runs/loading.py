"""Reading what a run folder holds, and writing beside it."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from vqttt.errors import RunFolderError
from vqttt.runs.records import conform, in_order, schema




def load_records(run: Path) -> pl.DataFrame:
    """Read the records of all finished cells, in order.

    Raises:
        RunFolderError: if there is no such folder, none of its cells is finished, or one cannot be read.
    """
    if not run.is_dir():
        raise RunFolderError(f"there is no run folder {run}")
    cells = []
    for file in sorted(run.glob("cells/*.parquet")):
        try:
            cells.append(conform(pl.read_parquet(file)))
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise RunFolderError(f"cannot read {file} ({reason}); remove it and run the study again") from error
    records = pl.concat(cells) if cells else pl.DataFrame(schema=schema())
    if records.is_empty():
        raise RunFolderError(f"{run} holds no finished cells; `vqttt study --resume {run}` goes on with what was begun")
    return in_order(records)


def load_examples(run: Path) -> list[dict[str, Any]]:
    """Read the examples of all cells, in order."""
    return [read_json(file) for file in sorted(run.glob("examples/*.json"))]


def load_description(run: Path) -> dict[str, Any]:
    """Read what was run and with what; empty where the folder does not say."""
    return read_json(run / "run.json") if (run / "run.json").exists() else {}


def read_json(file: Path) -> dict[str, Any]:
    """Read a file of the run."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"cannot read {file} ({error}); without it a report can be written, but the study not be resumed"
        ) from error
    return found if isinstance(found, dict) else {}


def write(file: Path, text: str) -> Path:
    """Write a file of the report."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunFolderError(f"cannot write {file}: {error.strerror}") from error
    return file
