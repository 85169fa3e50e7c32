"""A run folder: `run.json`, finished cells as parquet, unfinished ones as JSONL.

Rows are flushed to disk batch by batch; a finished cell becomes parquet by atomic rename. Whatever moment a run is
killed at, what is on disk is whole rows, and at most one broken line at a file's end, which is dropped. The folder may
be an address of an object store: unfinished cells are then kept on this machine, as nothing can be appended there.
"""

import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from glob import escape
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from vqttt.errors import RunFolderError
from vqttt.runs.store import LocalStore, PART, open_store
from vqttt.runs.records import Record, to_frame


CHUNK = 20_000
"""So many rows of a cell are in memory at once when it is finished."""


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path | str, owner: str = "") -> None:
        """Point at a folder, which need not exist yet.

        Args:
            path: a path, or an address such as `s3://bucket/run`.
            owner: tells apart the unfinished rows of workers that may be taken for dead and yet go on writing.
        """
        self.store = open_store(path)
        self._owner = f".{owner}" if owner else ""
        if isinstance(self.store, LocalStore):
            self._rows_at = self.store.path / "cells"
        else:
            self._rows_at = Path(tempfile.mkdtemp(prefix="vqttt-"))
            weakref.finalize(self, shutil.rmtree, self._rows_at, ignore_errors=True)

    def open(self, description: dict[str, Any], identity: Sequence[str]) -> None:
        """Begin a run, or go on with the one that is there.

        Args:
            description: what `run.json` shall hold.
            identity: those of its keys that must agree for two runs to be the same study.

        Raises:
            RunFolderError: if the folder holds a different study, or other files, or cannot be written.
        """
        begun = self.begun()
        if begun:
            found = self.description()
            for key in identity:
                if found.get(key) != json.loads(json.dumps(description[key])):
                    changed = _differences(found.get(key), json.loads(json.dumps(description[key])))
                    raise RunFolderError(
                        f"{self.store} holds a different study ({key}: {changed}); choose another --out or remove it"
                    )
        elif {name for name in self.store.names() if not name.endswith(PART)} - {"cells", "examples"}:
            raise RunFolderError(f"{self.store} is in use but is not a run folder; choose another --out")
        try:
            if isinstance(self.store, LocalStore):
                for folder in ("cells", "examples"):
                    (self.store.path / folder).mkdir(parents=True, exist_ok=True)
            if not begun:
                self.store.write("run.json", (json.dumps(description, indent=2) + "\n").encode())
        except OSError as error:
            raise RunFolderError(f"cannot write {self.store}: {error.strerror}") from error

    def begun(self) -> bool:
        """Tell whether a run was begun here."""
        return self.store.exists("run.json")

    def description(self) -> dict[str, Any]:
        """Return what `run.json` holds.

        Raises:
            RunFolderError: if it is not JSON.
        """
        try:
            found = json.loads(self.store.read("run.json"))
        except ValueError as error:
            raise RunFolderError(
                f"{self.store}/run.json is not readable as JSON ({error}); choose another --out"
            ) from error
        return found if isinstance(found, dict) else {}

    def finished(self, key: str) -> bool:
        """Tell whether a cell is done."""
        return self.store.exists(f"cells/{key}.parquet")

    def rows(self, key: str) -> Iterator[Record]:
        """Iterate over the whole rows of an unfinished cell."""
        return map(Record.parse, _whole_lines(self._jsonl(key)))

    def resume(self, key: str, ids: Sequence[str], batch: int) -> int:
        """Keep of an unfinished cell's rows the whole batches that begin with the samples `ids`; return how many."""
        most, best = 0, self._jsonl(key)
        for path in self._unfinished(key):
            count = _agreeing(path, ids) // batch * batch
            if count > most:
                most, best = count, path
        partial = self._jsonl(key).with_suffix(PART)
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(islice(_whole_lines(best), most))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._jsonl(key))
        return most

    def append(self, key: str, rows: Sequence[Record]) -> None:
        """Add rows to an unfinished cell and see them to the disk."""
        with self._jsonl(key).open("a", encoding="utf-8") as file:
            file.write("".join(row.line() for row in rows))
            file.flush()
            os.fsync(file.fileno())

    def illustrated(self, key: str) -> bool:
        """Tell whether there are examples under a key."""
        return self.store.exists(f"examples/{key}.json")

    def illustrate(self, key: str, examples: dict[str, Any]) -> None:
        """Keep examples for the report."""
        self.store.write(f"examples/{key}.json", json.dumps(examples).encode())

    def cell(self, key: str, columns: Sequence[str]) -> pl.DataFrame:
        """Read columns of a finished cell's records."""
        return pl.read_parquet(self.store.read(f"cells/{key}.parquet"), columns=list(columns))

    def finish(self, key: str, identity: dict[str, Any], count: int) -> None:
        """Turn an unfinished cell of `count` rows into parquet, each row with the cell's identity in front.

        Raises:
            RunFolderError: if there are more or fewer rows.
        """
        rows, written, parts = self.rows(key), 0, list[Path]()
        with tempfile.TemporaryDirectory(dir=self._rows_at, suffix=PART) as folder:
            while not parts or written < count:
                frame = to_frame(list(islice(rows, CHUNK)), identity)
                parts.append(Path(folder) / f"{len(parts)}.parquet")
                frame.write_parquet(parts[-1])
                written += len(frame)
                if frame.is_empty():
                    break
            if written != count or next(rows, None) is not None:
                if self.finished(key):  # meanwhile, by a worker that was taken for dead
                    self.drop(key)
                    return
                raise RunFolderError(
                    f"{self.store}: cell {key} has not {count} rows; does another process write to it?"
                )
            if len(parts) > 1:
                parts.append(Path(folder) / "all.parquet")
                pl.scan_parquet(parts[:-1]).sink_parquet(parts[-1])
            self.store.write(f"cells/{key}.parquet", parts[-1].read_bytes())
        self.drop(key)

    def drop(self, key: str) -> None:
        """Forget the unfinished rows of a cell, whoever wrote them."""
        for path in self._unfinished(key):
            path.unlink(missing_ok=True)

    def _jsonl(self, key: str) -> Path:
        return self._rows_at / f"{key}{self._owner}.jsonl"

    def _unfinished(self, key: str) -> list[Path]:
        return sorted(path for path in self._rows_at.glob(f"{escape(key)}.*") if path.suffix == ".jsonl")


@contextmanager
def local_copy(run: Path | str) -> Iterator[Path]:
    """Give a run folder as one of this machine, and write back what is put there beside what was read.

    A local folder is given as it is. Of an address, a copy without unfinished cells, gone afterwards.

    Raises:
        RunFolderError: if it cannot be read, or what is new cannot be written.
    """
    store = open_store(run)
    if isinstance(store, LocalStore):
        yield store.path
        return
    if not store.exists("run.json"):
        raise RunFolderError(f"there is no run folder {run}")
    with tempfile.TemporaryDirectory(prefix="vqttt-") as scratch:
        copy = LocalStore(Path(scratch))
        copy.write("run.json", store.read("run.json"))
        for folder in ("cells", "examples"):
            for file in store.names(folder):
                copy.write(f"{folder}/{file}", store.read(f"{folder}/{file}"))
        yield copy.path
        for path in sorted(path for path in copy.path.rglob("*") if path.is_file()):
            name = path.relative_to(copy.path).as_posix()
            if name.partition("/")[0] not in ("run.json", "cells", "examples"):
                store.write(name, path.read_bytes())


def _whole_lines(path: Path) -> Iterator[str]:
    """Iterate over a file's lines; what follows the last newline is not whole."""
    if path.is_file():
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from (line for line in file if line.endswith("\n"))


def _agreeing(path: Path, ids: Sequence[str]) -> int:
    """Count the rows at a file's start that are of the samples `ids`, in order."""
    count = 0
    for line, wanted in zip(_whole_lines(path), ids, strict=False):
        try:
            if Record.parse(line).sample_id != wanted:
                break
        except (ValueError, TypeError):  # not a row, nor is what follows to be trusted
            break
        count += 1
    return count


def _differences(found: Any, wanted: Any) -> str:
    if not isinstance(found, dict) or not isinstance(wanted, dict):
        return f"{found!r}, not {wanted!r}"
    keys = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]
    both = {key: (found.get(key), wanted.get(key)) for key in keys}
    nested = {key for key, pair in both.items() if all(isinstance(one, dict) for one in pair)}
    return "; ".join(f"{key}{':' if key in nested else ' is'} {_differences(*both[key])}" for key in keys)
