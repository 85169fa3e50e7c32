"""The records of unfinished cells: one JSONL file per cell and worker, on this machine's disk.

Records are flushed to disk batch by batch. Whenever a run is killed, the file starts with whole lines. What a full disk
or a power failure left after them (half a line, zeros, other bytes) is ignored.
"""

import os
from collections.abc import Iterator, Sequence
from glob import escape
from itertools import islice, takewhile
from pathlib import Path

from vqttt.runs.records import Record
from vqttt.runs.store import PART


class UnfinishedCells:
    """The JSONL files of unfinished cells in one folder; each worker appends to files of its own."""

    def __init__(self, folder: Path, owner: str = "") -> None:
        """Store the folder, which need not exist yet, and the worker's suffix for file names (empty: none)."""
        self.folder = folder
        self._owner = f".{owner}" if owner else ""

    def records(self, key: str) -> Iterator[Record]:
        """Iterate over this worker's records of a cell, up to the first line that is not a whole record."""
        return _records(self._file(key))

    def append(self, key: str, records: Sequence[Record]) -> None:
        """Add records to a cell and flush them to disk."""
        with self._file(key).open("a", encoding="utf-8") as file:
            file.write("".join(record.line() for record in records))
            file.flush()
            os.fsync(file.fileno())

    def resume(self, key: str, ids: Sequence[str], batch: int) -> int:
        """Take over the records of a cell, whichever worker wrote them, and return their number.

        Only whole batches of `batch` records that start the sequence of sample `ids` are kept.
        """
        most, source = 0, self._file(key)
        for path in self._files(key):
            count = _matching(path, ids) // batch * batch
            if count > most:
                most, source = count, path
        partial = self._file(key).with_suffix(PART)
        with partial.open("w", encoding="utf-8") as file:
            file.writelines(record.line() for record in islice(_records(source), most))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._file(key))
        return most

    def drop(self, key: str) -> None:
        """Delete the unfinished records of a cell, whichever worker wrote them."""
        for path in self._files(key):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete the unfinished records of all cells, whichever worker wrote them."""
        for path in self.folder.glob("*.jsonl"):
            path.unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}{self._owner}.jsonl"

    def _files(self, key: str) -> list[Path]:
        return sorted(path for path in self.folder.glob(f"{escape(key)}.*") if path.suffix == ".jsonl")


def _records(path: Path) -> Iterator[Record]:
    """Iterate over the records at a file's start; nothing after a line that is not a record can be trusted."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                record = Record.parse(line) if line.endswith(b"\n") else None
            except (ValueError, TypeError, RecursionError):
                return
            if record is None:
                return
            yield record


def _matching(path: Path, ids: Sequence[str]) -> int:
    """Count the records at a file's start that belong to the samples `ids`, in order."""
    pairs = zip(_records(path), ids, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0].sample_id == pair[1], pairs))
