"""A person's own questions: one JSON object a line.

Fields: image (a path, relative to the file), question, answer (a text or a list of texts), and optionally id, choices
(a list), category, question_type. A line that cannot be used is reported with its number; the rest runs.
"""

import json
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from vqttt.errors import InputError
from vqttt.images import load_image
from vqttt.types import Image, Sample


def samples(path: Path) -> list[Sample]:
    """Read the samples of a JSONL file.

    A broken line becomes a sample whose `load` raises `InputError`, so that a study marks and counts it.

    Raises:
        InputError: if the file cannot be read or holds no line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}; a JSONL file in UTF-8 is wanted") from error
    read = [_sample(line, number, path) for number, line in enumerate(lines, start=1) if line.strip()]
    if not read:
        raise InputError(f"{path} is empty; one JSON object a line is wanted")
    return _unique(read)


def _sample(line: str, number: int, path: Path) -> Sample:
    try:
        fields = json.loads(line)
        return _parse(fields, number, path.parent)
    except (ValueError, TypeError, KeyError) as error:
        reason = f"lacks the field {error}" if isinstance(error, KeyError) else str(error)
        message = f"{path.name} line {number}: {reason}"
        return Sample(id=f"line-{number}", load=partial(_fail, message), question="", answers=("",))


def _parse(fields: Any, number: int, folder: Path) -> Sample:
    if not isinstance(fields, dict):
        raise ValueError("is not a JSON object")
    answers = fields["answer"] if isinstance(fields["answer"], list) else [fields["answer"]]
    choices = fields.get("choices", [])
    if not isinstance(choices, list) or not answers:
        raise ValueError("choices must be a list, answer a text or a list that is not empty")
    if not isinstance(fields["image"], str) or not isinstance(fields["question"], str):
        raise ValueError("image and question must be texts")
    if not fields["question"].strip():
        raise ValueError("the question is empty")
    return Sample(
        id=str(fields.get("id", f"line-{number}")),
        load=partial(_load, folder / fields["image"]),
        question=fields["question"],
        answers=tuple(str(answer) for answer in answers),
        choices=tuple(str(choice) for choice in choices),
        category=str(fields.get("category", "")),
        question_type=str(fields.get("question_type", "")),
    )


def _load(path: Path) -> Image:
    return load_image(path)


def _fail(message: str) -> NoReturn:
    raise InputError(message)


def _unique(read: list[Sample]) -> list[Sample]:
    """Reject two samples of one id: their records could not be told apart."""
    seen: set[str] = set()
    for sample in read:
        if sample.id in seen:
            raise InputError(f"the id {sample.id!r} stands twice; ids must be unique")
        seen.add(sample.id)
    return read
