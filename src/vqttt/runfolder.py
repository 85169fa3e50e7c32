"""A run folder on disk: `run.json`, finished cells as parquet, unfinished ones as JSONL.

Rows are flushed to disk batch by batch; a finished cell becomes parquet by atomic rename. Whatever moment a run is
killed at, what is on disk is whole rows, and at most one broken line at a file's end, which is dropped.
"""

import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import polars as pl

from vqttt.errors import RunFolderError
from vqttt.types import Record

_BEGUN = {"cells", "examples", "run.json.part"}
"""What a run that was killed at its very start may have left."""

COLUMN_TYPES = {str: pl.String, float: pl.Float64, int: pl.Int64, bool: pl.Boolean}
"""How a field of `Record` is written in parquet."""


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        """Point at a folder, which need not exist yet."""
        self.path = path

    def open(self, description: dict[str, Any], identity: Sequence[str]) -> None:
        """Begin a run, or go on with the one that is there.

        Args:
            description: what `run.json` shall hold.
            identity: those of its keys that must agree for two runs to be the same study.

        Raises:
            RunFolderError: if the folder holds a different study, or other files, or cannot be written.
        """
        file = self.path / "run.json"
        if file.is_file():
            try:
                found = json.loads(file.read_text())
            except ValueError as error:
                raise RunFolderError(f"{file} is not readable as JSON ({error}); choose another --out") from error
            for key in identity:
                if found.get(key) != json.loads(json.dumps(description[key])):
                    changed = _differences(found.get(key), json.loads(json.dumps(description[key])))
                    raise RunFolderError(
                        f"{self.path} holds a different study ({key}: {changed}); choose another --out or remove it"
                    )
        elif self.path.exists() and (not self.path.is_dir() or {p.name for p in self.path.iterdir()} - _BEGUN):
            raise RunFolderError(f"{self.path} is in use but is not a run folder; choose another --out")
        try:
            for folder in ("cells", "examples"):
                (self.path / folder).mkdir(parents=True, exist_ok=True)
            if not file.is_file():
                write_atomically(file, json.dumps(description, indent=2) + "\n")
        except OSError as error:
            raise RunFolderError(f"cannot write {self.path}: {error.strerror}") from error

    def finished(self, key: str) -> bool:
        """Tell whether a cell is done."""
        return self._parquet(key).is_file()

    def rows(self, key: str) -> list[Record]:
        """Return the whole rows of an unfinished cell."""
        path = self._jsonl(key)
        if not path.is_file():
            return []
        rows = []
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:  # what follows the last newline is not whole
            rows.append(Record(**json.loads(line)))
        return rows

    def rewrite(self, key: str, rows: Sequence[Record]) -> None:
        """Replace the rows of an unfinished cell."""
        write_atomically(self._jsonl(key), "".join(_line(row) for row in rows))

    def append(self, key: str, rows: Sequence[Record]) -> None:
        """Add rows to an unfinished cell and see them to the disk."""
        with self._jsonl(key).open("a", encoding="utf-8") as file:
            file.write("".join(_line(row) for row in rows))
            file.flush()
            os.fsync(file.fileno())

    def illustrated(self, key: str) -> bool:
        """Tell whether there are examples under a key."""
        return self._examples(key).is_file()

    def illustrate(self, key: str, examples: dict[str, Any]) -> None:
        """Keep examples for the report."""
        write_atomically(self._examples(key), json.dumps(examples))

    def cell(self, key: str) -> pl.DataFrame:
        """Read the records of a finished cell."""
        return pl.read_parquet(self._parquet(key))

    def finish(self, key: str, identity: dict[str, Any]) -> None:
        """Turn an unfinished cell into parquet, each row with the cell's identity in front."""
        schema = {field.name: COLUMN_TYPES[field.type] for field in fields(Record)}  # type: ignore[index]
        frame = pl.DataFrame([asdict(row) for row in self.rows(key)], schema=schema, orient="row")
        frame = frame.select(*(pl.lit(value).alias(name) for name, value in identity.items()), pl.all())
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        write_atomically(self._parquet(key), buffer.getvalue())
        self._jsonl(key).unlink()

    def _examples(self, key: str) -> Path:
        return self.path / "examples" / f"{key}.json"

    def _parquet(self, key: str) -> Path:
        return self.path / "cells" / f"{key}.parquet"

    def _jsonl(self, key: str) -> Path:
        return self.path / "cells" / f"{key}.jsonl"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that it is either the old one or the whole new one."""
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _line(row: Record) -> str:
    return json.dumps(asdict(row)) + "\n"  # ASCII, so that a line cut anywhere still decodes


def _differences(found: Any, wanted: Any) -> str:
    if not isinstance(found, dict) or not isinstance(wanted, dict):
        return f"{found!r}, not {wanted!r}"
    keys = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]
    return "; ".join(f"{key} is {found.get(key)!r}, not {wanted.get(key)!r}" for key in keys)
