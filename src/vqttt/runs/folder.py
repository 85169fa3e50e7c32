"""A run folder: `run.json`, the records of finished cells as parquet, and examples for the report.

A finished cell becomes parquet by an atomic rename, so a run can be killed at any time. The folder may be an address in
an object store. Unfinished cells then stay on this machine, because object stores cannot append to a file.
"""

import json
import re
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from vqttt.errors import RunFolderError
from vqttt.runs.records import Record, to_frame
from vqttt.runs.store import PART, LocalStore, open_store
from vqttt.runs.unfinished import UnfinishedCells

CHUNK = 20_000
"""Number of records held in memory at once while a cell is finished."""


class RunFolder:
    """The files of one run.

    Attributes:
        store: where they are kept.
        unfinished: the records of cells that are not finished yet.
    """

    def __init__(self, path: Path | str, owner: str = "") -> None:
        """Open a folder, which need not exist yet.

        Args:
            path: a path, or an address such as `s3://bucket/run`.
            owner: names the worker in its files of unfinished records. A worker presumed dead may go on writing; this
                keeps its records apart from those of its replacement.
        """
        self.store = open_store(path)
        if isinstance(self.store, LocalStore):
            folder = self.store.path / "cells"
        else:
            folder = Path(tempfile.mkdtemp(prefix="vqttt-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.unfinished = UnfinishedCells(folder, owner)

    def open(self, description: dict[str, Any], identity: Sequence[str]) -> None:
        """Start a run, or check that the run in this folder can be resumed.

        Args:
            description: the content of `run.json`.
            identity: the keys of `description` that must agree for two runs to be the same study.

        Raises:
            RunFolderError: if the folder holds a different study or other files, or cannot be written.
        """
        exists = self.exists()
        if exists:
            self._check_same_study(description, identity)
        elif {name for name in self.store.names() if not name.endswith(PART)} - {"cells", "examples", "usage"}:
            raise RunFolderError(f"{self.store} is in use but is not a run folder; choose another --out")
        try:
            if isinstance(self.store, LocalStore):
                for folder in ("cells", "examples"):
                    (self.store.path / folder).mkdir(parents=True, exist_ok=True)
            if not exists:
                self.store.write("run.json", (json.dumps(description, indent=2) + "\n").encode())
        except OSError as error:
            raise RunFolderError(f"cannot write {self.store}: {error.strerror}") from error

    def _check_same_study(self, description: dict[str, Any], identity: Sequence[str]) -> None:
        found, given = self.description(), json.loads(json.dumps(description))
        for key in identity:
            old = found.get(key, {})  # a run of an older version may lack a key
            if old != given[key]:
                raise RunFolderError(
                    f"{self.store} holds a different study ({key}: {_differences(old, given[key])}); "
                    "choose another --out or remove it"
                )

    def exists(self) -> bool:
        """Tell whether a run was started in this folder."""
        return self.store.exists("run.json")

    def description(self) -> dict[str, Any]:
        """Return the content of `run.json`.

        Raises:
            RunFolderError: if it is not JSON.
        """
        try:
            found = json.loads(self.store.read("run.json"))
        except (ValueError, RecursionError) as error:
            raise RunFolderError(
                f"{self.store}/run.json is not readable as JSON ({error}); choose another --out"
            ) from error
        return found if isinstance(found, dict) else {}

    def is_finished(self, key: str) -> bool:
        """Tell whether a cell is finished."""
        return self.store.exists(f"cells/{key}.parquet")

    def read_cell(self, key: str, columns: Sequence[str]) -> pl.DataFrame:
        """Read some columns of a finished cell's records.

        Raises:
            RunFolderError: if its file is damaged.
        """
        file = f"cells/{key}.parquet"
        try:
            return pl.read_parquet(self.store.read(file), columns=list(columns))
        except pl.exceptions.PolarsError as error:
            reason = str(error).strip().partition("\n")[0]
            raise RunFolderError(
                f"cannot read {self.store}/{file} ({reason}); delete it and run the study again"
            ) from error

    def finished_cells(self) -> Iterator[str]:
        """Iterate over the keys of the finished cells, in order."""
        names = self.store.names("cells")
        return (name.removesuffix(".parquet") for name in names if name.endswith(".parquet"))

    def tidy(self) -> None:
        """Delete what killed processes left half written; only once every cell is finished."""
        self.unfinished.clear()
        folders = (
            [self.store.path / name for name in ("cells", "examples")] if isinstance(self.store, LocalStore) else []
        )
        for path in (path for folder in folders for path in folder.glob(f"*{PART}")):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def abandon(self, keys: Iterable[str]) -> None:
        """Forget what was begun of some cells, and those of them that are finished without an answer.

        A run that has no finished cell then is forgotten as a whole, so that another one can start.
        """
        for key in keys:
            self.unfinished.drop(key)
            # Another worker may have finished a cell before it was stopped.
            if self.is_finished(key) and (self.read_cell(key, ["error"])["error"] != "").all():
                self.store.delete(f"cells/{key}.parquet")
        if next(self.finished_cells(), None) is None:
            self.unfinished.clear()
            for name in self.store.names("usage"):
                self.store.delete(f"usage/{name}")
            self.store.delete("run.json")

    def add_usage(self, key: str, counts: Mapping[str, int]) -> None:
        """Add what a job took of a model's server to what it took before it was resumed."""
        name = f"usage/{key}.json"
        before = json.loads(self.store.read(name)) if self.store.exists(name) else {}
        total = {what: before.get(what, 0) + count for what, count in counts.items()}
        self.store.write(name, json.dumps(total).encode())

    def usage(self) -> dict[str, int]:
        """Return what all jobs took of servers; empty for models without one."""
        total = Counter[str]()
        for name in self.store.names("usage"):
            if name.endswith(".json"):
                total.update(json.loads(self.store.read(f"usage/{name}")))
        return dict(total)

    def has_examples(self, key: str) -> bool:
        """Tell whether examples were written under a key."""
        return self.store.exists(f"examples/{key}.json")

    def write_examples(self, key: str, examples: dict[str, Any]) -> None:
        """Write examples for the report."""
        self.store.write(f"examples/{key}.json", json.dumps(examples).encode())

    def finish(self, key: str, identity: dict[str, Any], count: int) -> None:
        """Turn an unfinished cell into parquet, with the columns that identify the cell first.

        Args:
            key: of the cell.
            identity: the values of those columns.
            count: how many records the cell must have.

        Raises:
            RunFolderError: if it has more or fewer.
        """
        with tempfile.TemporaryDirectory(dir=self.unfinished.folder, suffix=PART) as scratch:
            written, file = _write_parquet(self.unfinished.records(key), identity, Path(scratch))
            if written == count:
                self.store.write(f"cells/{key}.parquet", file.read_bytes())
            elif not self.is_finished(key):  # by another worker, which was presumed dead
                raise RunFolderError(
                    f"{self.store}: cell {key} has {written} records, not {count}; does another process write to it?"
                )
        self.unfinished.drop(key)


def _write_parquet(records: Iterator[Record], identity: dict[str, Any], scratch: Path) -> tuple[int, Path]:
    """Write records to one parquet file, `CHUNK` at a time; return how many there were, and the file."""
    written, parts = 0, list[Path]()
    frame = to_frame(list(islice(records, CHUNK)), identity)
    while not parts or len(frame):  # a cell without records becomes a file as well
        parts.append(scratch / f"{len(parts)}.parquet")
        frame.write_parquet(parts[-1])
        written += len(frame)
        frame = to_frame(list(islice(records, CHUNK)), identity)
    if len(parts) == 1:
        return written, parts[0]
    whole = scratch / "all.parquet"
    pl.scan_parquet(parts).sink_parquet(whole)
    return written, whole


@contextmanager
def local_copy(run: Path | str) -> Iterator[Path]:
    """Give a run folder as a local path, and upload the files that are added to it.

    A local folder is given as it is. An address is copied, without its unfinished cells, to a temporary folder.

    Raises:
        RunFolderError: if it cannot be read, or a new file cannot be uploaded.
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


def _differences(found: Any, given: Any) -> str:
    """Describe how two values from JSON differ, down to the keys that do."""
    if not isinstance(found, dict) or not isinstance(given, dict):
        return "changed" if _is_hash(found) and _is_hash(given) else f"{found!r}, not {given!r}"
    keys = [key for key in {**found, **given} if found.get(key) != given.get(key)]
    both = {key: (found.get(key), given.get(key)) for key in keys if key in found and key in given}
    nested = {key for key, pair in both.items() if all(isinstance(one, dict) for one in pair)}
    parts = [f"{key} was {found[key]!r} and is not given now" for key in keys if key not in given]
    parts += [f"{key} was not given and is {given[key]!r} now" for key in keys if key not in found]
    for key in both:
        difference = _differences(*both[key])
        parts.append(f"{key}{':' if key in nested else '' if difference == 'changed' else ' is'} {difference}")
    return "; ".join(parts)


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
