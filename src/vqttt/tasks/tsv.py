"""VLMEvalKit's files: a table separated by tabs, with one question per row and its image in base64.

Columns: `index`, `question`, `answer`, and `image` or `image_path`; optionally `A`, `B`, ... (the options), `hint`,
`category` and others. An `image` of at most 64 characters is the index of another row, whose image is used.
`image_path` is relative to the file.

A file with VLMEvalKit's name for a benchmark, such as `ChartQA_TEST.tsv`, is scored by that benchmark's rule. Other
files are scored by letter where there are options, and as text where there are none.
"""

import ast
import base64
import binascii
import csv
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from vqttt.errors import InputError
from vqttt.images.files import load_image
from vqttt.tasks.benchmarks.spec import BY_LETTER, BY_PHRASE, choices_in, lettered, text
from vqttt.tasks.broken import broken
from vqttt.types import LETTERS, Image, Sample

# The beginning of a file's name, in lower case, to the rule of that benchmark.
_RULES = {
    "ai2d": "letter", "chartqa": "chartqa", "gqa": "exact", "mmbench": "mmbench", "mme": "mme", "mmmu": "mmmu-choice",
    "mmstar": "mmstar", "ocrbench": "ocrbench", "pope": "pope", "realworldqa": "letter", "scienceqa": "scienceqa",
    "textvqa": "vqa",
}  # fmt: skip
# The rule for a question without options, where it differs.
_OPEN = {"mmmu-choice": "mmmu-open", "letter": "exact", "mmbench": "exact", "mmstar": "exact", "scienceqa": "exact"}
_REFERENCE = 64
"""The most characters of an `image` that is the index of another row."""


def samples(path: Path) -> list[Sample]:
    """Read the samples of a TSV file; images stay on disk until they are needed.

    A row that cannot be used becomes a sample whose `load` raises `InputError`, so that a study marks and counts it.

    Raises:
        InputError: if the file cannot be read, has no rows, or a column is missing.
    """
    csv.field_size_limit(sys.maxsize)
    rows, places = list[dict[str, str]](), dict[str, tuple[int, int]]()
    try:
        with path.open("rb") as file:
            for row, place in _rows(file, path):
                rows.append(row)
                if len(row.get("image", "")) > _REFERENCE:
                    places.setdefault(row["index"], place)
                row["image"] = row.get("image", "")[: _REFERENCE + 1]  # do not hold all images in memory
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give a TSV file") from error
    if not rows:
        raise InputError(f"{path} has no rows; give one question per row")
    seen = set[str]()
    read = []
    for number, row in enumerate(rows, start=2):
        sample = _sample(row, number, path, places)
        if sample.id in seen:
            sample = _broken(row, number, path, f"the index {sample.id} is already used on an earlier row")
        seen.add(sample.id)
        read.append(sample)
    return read


def _rows(file: BinaryIO, path: Path) -> Iterator[tuple[dict[str, str], tuple[int, int]]]:
    """Yield each row with its place in the file: the offset of its first byte, and its length in bytes."""
    header: list[str] | None = None
    place, record = 0, b""
    for line in file:
        record += line
        if not _whole(record):  # a quoted cell may hold line breaks
            continue
        cells = _cells(record)
        if header is None:
            header = [cell.lstrip("\ufeff") for cell in cells]
            missing = [name for name in ("index", "question", "answer") if name not in header]
            missing += [] if {"image", "image_path"} & set(header) else ["image"]
            if missing:
                raise InputError(f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(header)}")
        elif any(cells):
            yield dict(zip(header, cells, strict=False)), (place, len(record))
        place, record = place + len(record), b""
    if record:
        start = record.decode("utf-8", "replace").splitlines()[0][:60]
        raise InputError(f"{path}: the row that starts with {start!r} has a quoted cell that is never closed")


def _whole(record: bytes) -> bool:
    """Tell whether every cell that starts with a quote also ends with one; a quote elsewhere has no meaning."""
    at = 0
    while at < len(record):
        if record[at : at + 1] == b'"':
            at = record.find(b'"', at + 1)
            while at >= 0 and record[at + 1 : at + 2] == b'"':  # a doubled quote stands for one
                at = record.find(b'"', at + 2)
            if at < 0:
                return False
        at = record.find(b"\t", at)
        if at < 0:
            return True
        at += 1
    return True


def _cells(record: bytes) -> list[str]:
    return next(csv.reader([record.decode("utf-8", "replace").rstrip("\r\n")], delimiter="\t"), [])


def _sample(row: dict[str, str], number: int, path: Path, places: dict[str, tuple[int, int]]) -> Sample:
    question, hint, options = text(row.get("question")), text(row.get("hint")), choices_in(row, LETTERS)
    image, image_path = text(row["image"]), text(row.get("image_path"))
    source = row["index"] if len(image) > _REFERENCE else image
    answers = _answers(text(row.get("answer")))
    if source in places:
        load = partial(_image, path, places[source])
    elif image_path and not image_path.startswith("["):
        load = partial(load_image, path.parent / image_path)
    else:
        return _broken(row, number, path, f"no usable image (image {image!r}, image_path {image_path!r})")
    if options and len(answers[0]) == 1 and answers[0].upper() in LETTERS[len(options) :]:
        return _broken(row, number, path, f"the answer is {answers[0]}, but there are only {len(options)} options")
    if not question or not any(answers):
        return _broken(row, number, path, "the question is empty" if not question else "the answer is empty")
    rule = next((rule for name, rule in _RULES.items() if path.stem.lower().startswith(name)), "letter")
    rule = rule if options else _OPEN.get(rule, rule)
    by_letter = f"{lettered(options)}\n{BY_LETTER}" if options else BY_PHRASE
    return Sample(
        id=text(row["index"]) or f"row {number}",
        load=load,
        question=question,
        answers=tuple(answer.lower() for answer in answers) if rule in ("mme", "pope") else answers,
        choices=options,
        category=text(row.get("category")),
        question_type=text(row.get("l2-category") or row.get("l2_category")),
        prompt=f"{f'{hint} ' if hint else ''}{question}\n{by_letter}",
        rule=rule,
    )


def _answers(cell: str) -> tuple[str, ...]:
    """Read a cell with one answer, or with a Python list of answers."""
    try:
        found = ast.literal_eval(cell) if cell.startswith("[") else cell
    except (ValueError, SyntaxError):
        found = cell
    return tuple(map(str, found)) if isinstance(found, list) else (cell,)


def _image(path: Path, place: tuple[int, int]) -> Image:
    with path.open("rb") as file:
        header = _cells(file.readline())
        file.seek(place[0])
        cells = _cells(file.read(place[1]))
    try:
        encoded = cells[[name.lstrip("\ufeff") for name in header].index("image")]
        return load_image(base64.b64decode(encoded, validate=True))
    except (binascii.Error, IndexError) as error:
        raise InputError(f"{path.name}: an image is not valid base64 ({error})") from error


def _broken(row: dict[str, str], number: int, path: Path, reason: str) -> Sample:
    return broken(f"row {number}", f"{path.name} row {number}: {reason}", row.get("question", ""))
