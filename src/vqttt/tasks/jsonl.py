"""Questions of your own in a JSONL file: one JSON object per line.

Fields: `image` (a path, relative to the file), `question`, `answer` (a text or a list of texts), and optionally `id`,
`choices` (a list), `category` and `question_type`. A line that cannot be used is reported by its number; the others
still run.
"""

import codecs
import json
from functools import partial
from pathlib import Path
from typing import Any

from vqttt.errors import InputError
from vqttt.images.files import load_image
from vqttt.tasks.broken import broken
from vqttt.types import LETTERS, Sample


def samples(path: Path) -> list[Sample]:
    """Read the samples of a JSONL file.

    A broken line becomes a sample whose `load` raises `InputError`, so that a study marks and counts it.

    Raises:
        InputError: if the file cannot be read or has no lines.
    """
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give a JSONL file") from error
    read = dict[str, Sample]()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            sample = _sample(line, number, path)
            if sample.id in read:
                sample = _broken(path, number, f"the id {sample.id!r} is already used on an earlier line")
            read[sample.id] = sample
    if not read:
        raise InputError(f"{path} is empty; give one JSON object per line")
    return list(read.values())


def _sample(line: bytes, number: int, path: Path) -> Sample:
    try:
        return _parse(json.loads(line.decode("utf-8")), number, path.parent)
    except json.JSONDecodeError as error:
        return _broken(path, number, f"not JSON, at character {error.colno}: {error.msg}")
    except KeyError as error:
        return _broken(path, number, f"the field {error} is missing")
    except (ValueError, TypeError, RecursionError) as error:
        return _broken(path, number, str(error))


def _broken(path: Path, number: int, reason: str) -> Sample:
    return broken(f"line {number}", f"{path.name} line {number}: {reason}")


def _parse(fields: Any, number: int, folder: Path) -> Sample:
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    answers = fields["answer"] if isinstance(fields["answer"], list) else [fields["answer"]]
    choices, name = fields.get("choices", []), fields.get("id", f"line {number}")
    if not isinstance(choices, list) or len(choices) > len(LETTERS):
        raise ValueError(f"choices must be a list of at most {len(LETTERS)} options")
    if not answers or not all(isinstance(value, str | int | float) for value in (*answers, *choices, name)):
        raise ValueError("answer, choices and id must be texts or numbers, with at least one answer")
    if not isinstance(fields["image"], str) or not isinstance(fields["question"], str):
        raise ValueError("image and question must be texts")
    if not fields["question"].strip():
        raise ValueError("the question is empty")
    json.dumps(fields, ensure_ascii=False).encode()  # raises for half a surrogate pair, which records cannot hold
    return Sample(
        id=str(name),
        load=partial(load_image, folder / fields["image"]),
        question=fields["question"],
        answers=tuple(str(answer) for answer in answers),
        choices=tuple(str(choice) for choice in choices),
        category=str(fields.get("category", "")),
        question_type=str(fields.get("question_type", "")),
        file=folder / fields["image"],
    )
