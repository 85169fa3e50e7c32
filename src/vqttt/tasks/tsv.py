"""VLMEvalKit's files: a table separated by tabs, with one question per row and its image in base64.

Columns: `index`, `question`, `answer`, and `image` or `image_path`; optionally `A`, `B`, ... (the options), `hint`,
`category` and others. An `image` of at most 64 characters is the index of another row, whose image is used, or a path.
Paths are relative to the file. An answer is the letter or the text of an option.

A file with VLMEvalKit's name for a benchmark, such as `ChartQA_TEST.tsv`, is scored by that benchmark's rule (see
`benchmark_of`). Other files are scored by letter where there are options, and as text where there are none.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from vqttt.errors import InputError
from vqttt.images.files import load_image
from vqttt.tasks.broken import gather, some_usable
from vqttt.tasks.cells import SHORT, as_text, is_file, is_inline, one_image, open_inline, shown
from vqttt.tasks.references import settle
from vqttt.tasks.tsv_questions import Cells, read_question
from vqttt.tasks.tsv_rows import Row, open_table, row_at, rows
from vqttt.types import Image, Sample

_ADVICE = "each row needs an index, a question, an answer and an image, separated by tabs, in UTF-8"


@dataclass
class _Table:
    """A file's rows without their images: images stay on disk.

    Attributes:
        path: of the file.
        read: each row's number, what its columns hold, and why it cannot be used, if so. Of an image in the row itself,
            the column `image` holds nothing.
        inline: by row number, where the rows are that hold an image.
        by_index: the same by the row's index.
    """

    path: Path
    read: list[tuple[int, Cells, str]] = field(default_factory=list)
    inline: dict[int, tuple[int, int]] = field(default_factory=dict)
    by_index: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, header: list[str], row: Row) -> None:
        """Take a row."""
        cells, fault = dict(zip(header, row.cells, strict=False)), row.fault
        if not fault and (len(row.cells) < len(header) or any(row.cells[len(header) :])):
            fault = f"it has {len(row.cells)} cells, and the header {len(header)}; a tab within a cell needs quotes"
        try:
            image = one_image(cells["image"]) if cells.get("image", "").strip() else ""
        except ValueError as error:
            image, fault = "", fault or str(error)
        if is_inline(image):
            self.inline[row.number] = row.place
            self.by_index.setdefault(cells.get("index", "").strip(), row.place)
            image = ""
        self.read.append((row.number, cells | {"image": image}, fault))


def samples(path: Path) -> list[Sample]:
    """Read the samples of a TSV file, in UTF-8, or in UTF-16 if it begins with its byte order mark.

    A row that cannot be used becomes a sample whose `load` raises `InputError`, so that a study marks and counts it.

    Raises:
        InputError: if the file cannot be read, a column is missing or there twice, or no row can be used.
    """
    try:
        with closing(open_table(path)) as file:
            table = _read(path, rows(file))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {path}: {reason}; give a TSV file") from error
    if not table.read:
        raise InputError(f"{path} has no rows; give one question per row")
    parsers = ((f"row {number}", partial(_sample, table, number, cells, fault)) for number, cells, fault in table.read)
    return some_usable(gather(path.name, parsers), f"rows of {path}", _ADVICE)


def _read(path: Path, found: Iterator[Row]) -> _Table:
    head = next(found, None)
    if head is None:
        raise InputError(f"{path} is empty; give a header and one question per row")
    header = [name.strip() for name in head.cells]
    missing = [name for name in ("index", "question", "answer") if name not in header]
    missing += [] if {"image", "image_path"} & set(header) else ["image"]
    if missing:
        there = _short(", ".join(header) or "no header")
        hint = "; it may be UTF-16, save it as UTF-8" if any("\0" in name for name in head.cells) else ""
        raise InputError(
            f"{path} lacks the column{'s' * (len(missing) != 1)} {', '.join(missing)}; it has {there}{hint}"
        )
    twice = [name for name in dict.fromkeys(header) if name and header.count(name) > 1]
    if twice:
        raise InputError(f"{path} has several columns named {_short(', '.join(twice))}; give each a name of its own")
    table = _Table(path)
    for row in found:
        table.add(header, row)
    return table


def _short(text: str) -> str:
    line = " ".join(text.replace("\0", "").split())
    return line if len(line) <= 200 else f"{line[:197]}..."


def _sample(table: _Table, number: int, cells: Cells, fault: str) -> Sample:
    """Turn a row into a sample; raises `ValueError` with the reason if that is impossible."""
    if fault:
        raise ValueError(fault)
    asked = read_question(cells, table.path.stem)
    if not asked.question:
        raise ValueError("the question is empty")
    return Sample(
        id=as_text(cells["index"]),
        question=asked.question,
        answers=settle(asked.answers, asked.choices, asked.rule),
        choices=asked.choices,
        category=asked.category,
        question_type=asked.question_type,
        prompt=asked.prompt,
        rule=asked.rule,
        **_image_of(table, number, cells),
    )


def _image_of(table: _Table, number: int, cells: Cells) -> dict[str, Any]:
    """Return `load`, and `file` if the image is a file: the row's own image, that of another row, or one at a path."""
    image, folder = cells["image"], table.path.parent
    place = table.inline.get(number) or (table.by_index.get(image) if 0 < len(image) <= SHORT else None)
    if place:
        return {"load": partial(_image, table.path, place), "file": table.path}
    if image and is_file(folder / image):
        return {"load": partial(load_image, folder / image), "file": folder / image}
    path = cells.get("image_path", "").strip()
    if path:
        path = one_image(path)
        return {"load": partial(load_image, folder / path), "file": folder / path}
    if not image:
        raise ValueError("the question has no image")
    raise ValueError(f"the image {shown(image)} is not base64, another row's index, or the path of a file")


def _image(path: Path, place: tuple[int, int]) -> Image:
    """Read the image of the row at a place."""
    with closing(open_table(path)) as file:
        header = [name.strip() for name in next(rows(file)).cells]
        cells = row_at(file, place)
    try:
        return open_inline(one_image(cells[header.index("image")]))
    except (IndexError, ValueError) as error:
        raise InputError(f"{path.name}: the image is no longer where it was; the file has changed") from error
