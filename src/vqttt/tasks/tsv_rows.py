"""The rows of a TSV file, and where each is in the file, so that an image can be read again when it is needed.

Cells are separated by tabs, rows end with a line feed. A cell that starts with a quote ends at the next one that is not
doubled, and may hold tabs and line breaks; a quote elsewhere, and a bare carriage return, are ordinary characters.
"""

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True)
class Row:
    """One row: its number (the header is row 1), its place in the file, its cells, and why it cannot be read, if so."""

    number: int
    place: tuple[int, int]
    cells: list[str]
    fault: str = ""


def open_table(path: Path) -> BinaryIO:
    """Open a file that is in UTF-8, or begins with the byte order mark of UTF-16, as one in UTF-8 without a mark.

    Raises:
        OSError, ValueError: if it cannot be opened.
    """
    file = path.open("rb")
    start = file.read(3)
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if start.startswith(mark):
            with file:
                file.seek(len(mark))
                content = file.read()
            text = content[: len(content) // 2 * 2].decode(encoding, "surrogatepass")
            return io.BytesIO(text.encode("utf-8", "surrogatepass"))
    file.seek(3 if start == codecs.BOM_UTF8 else 0)
    return file


def rows(file: BinaryIO) -> Iterator[Row]:
    """Yield all rows that are not empty, the header first."""
    number = 0
    while True:
        start = file.tell()
        record, closed = _record(file)
        if not record:
            return
        number += 1
        place = (start, len(record))
        if not closed:
            yield Row(number, place, [], "it has a quoted cell that is never closed")
            continue
        raw = split(record)
        try:
            cells, fault = [cell.decode("utf-8") for cell in raw], ""
        except UnicodeDecodeError as error:
            cells, fault = [cell.decode("utf-8", "replace") for cell in raw], f"it is not UTF-8 ({error.reason})"
        if any(cells):
            yield Row(number, place, cells, fault)


def row_at(file: BinaryIO, place: tuple[int, int]) -> list[str]:
    """Return the cells of the row at a place."""
    file.seek(place[0])
    return [cell.decode("utf-8", "replace") for cell in split(file.read(place[1]))]


def split(record: bytes) -> list[bytes]:
    """Split a row into its cells."""
    cells, at = [], 0
    record = record.removesuffix(b"\n").removesuffix(b"\r")
    while at <= len(record):
        cell = b""
        if record[at : at + 1] == b'"':
            end = _closing(record, at + 1)
            end = len(record) if end < 0 else end
            cell, at = record[at + 1 : end].replace(b'""', b'"'), end + 1
        end = record.find(b"\t", at)
        end = len(record) if end < 0 else end
        cells.append(cell + record[at:end])
        at = end + 1
    return cells


def _record(file: BinaryIO) -> tuple[bytes, bool]:
    """Read up to the end of a row. If a quoted cell is never closed, only its first line counts."""
    start = file.tell()
    first = file.readline()
    end = start + len(first)
    inside = _is_open(first, inside=False)
    if not inside:
        return first, True
    while inside and (line := file.readline()):
        inside = _is_open(line, inside=True)
        end += len(line)
    file.seek(start)
    return file.read(len(first) if inside else end - start), not inside


def _is_open(line: bytes, *, inside: bool) -> bool:
    """Tell whether a line ends within a quoted cell; `inside` tells whether it starts in one."""
    at = 0
    while at < len(line):
        if inside or line[at : at + 1] == b'"':
            at = _closing(line, at if inside else at + 1)
            if at < 0:
                return True
            inside = False
        at = line.find(b"\t", at)
        if at < 0:
            return False
        at += 1
    return inside


def _closing(text: bytes, at: int) -> int:
    """Return where the next quote is that is not doubled; -1 if there is none."""
    at = text.find(b'"', at)
    while at >= 0 and text[at + 1 : at + 2] == b'"':
        at = text.find(b'"', at + 2)
    return at
