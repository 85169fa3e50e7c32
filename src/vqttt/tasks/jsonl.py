"""A person's own questions: one JSON object a line.

Fields: image (a path, relative to the file), question, answer (a text or a list of texts), and optionally id, choices
(a list), category, question_type. A line that cannot be used is reported with its number; the rest runs.
"""

import codecs
import json
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from vqttt.errors import InputError
from vqttt.images.files import load_image
from vqttt.types import LETTERS, Image, Sample


def samples(path: Path) -> list[Sample]:
    """Read the samples of a JSONL file.

    A broken line becomes a sample whose `load` raises `InputError`, so that a study marks and counts it.

    Raises:
        InputError: if the file cannot be read or holds no line.
    """
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; a JSONL file is wanted") from error
    read = dict[str, Sample]()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            sample = _sample(line, number, path)
            if sample.id in read:
                sample = _broken(path, number, f"the id {sample.id!r} stands on an earlier line as well")
            read[sample.id] = sample
    if not read:
        raise InputError(f"{path} is empty; one JSON object a line is wanted")
    return list(read.values())


def _sample(line: bytes, number: int, path: Path) -> Sample:
    try:
        return _parse(json.loads(line.decode("utf-8")), number, path.parent)
    except json.JSONDecodeError as error:
        return _broken(path, number, f"not JSON, at character {error.colno}: {error.msg}")
    except KeyError as error:
        return _broken(path, number, f"lacks the field {error}")
    except (ValueError, TypeError, RecursionError) as error:
        return _broken(path, number, str(error))


def _broken(path: Path, number: int, reason: str) -> Sample:
    message = f"{path.name} line {number}: {reason}"
    return Sample(id=f"line {number}", load=partial(_fail, message), question="", answers=("",))


def _parse(fields: Any, number: int, folder: Path) -> Sample:
    if not isinstance(fields, dict):
        raise ValueError("is not a JSON object")
    answers = fields["answer"] if isinstance(fields["answer"], list) else [fields["answer"]]
    choices, name = fields.get("choices", []), fields.get("id", f"line {number}")
    if not isinstance(choices, list) or len(choices) > len(LETTERS):
        raise ValueError(f"choices must be a list of at most {len(LETTERS)}")
    if not answers or not all(isinstance(value, str | int | float) for value in (*answers, *choices, name)):
        raise ValueError("answer, choices and id must be texts or numbers, and one answer at least")
    if not isinstance(fields["image"], str) or not isinstance(fields["question"], str):
        raise ValueError("image and question must be texts")
    if not fields["question"].strip():
        raise ValueError("the question is empty")
    json.dumps(fields, ensure_ascii=False).encode()  # half a surrogate pair could not be written to the records
    return Sample(
        id=str(name),
        load=partial(_load, folder / fields["image"]),
        question=fields["question"],
        answers=tuple(str(answer) for answer in answers),
        choices=tuple(str(choice) for choice in choices),
        category=str(fields.get("category", "")),
        question_type=str(fields.get("question_type", "")),
        file=folder / fields["image"],
    )


def _load(path: Path) -> Image:
    return load_image(path)


def _fail(message: str) -> NoReturn:
    raise InputError(message)
