"""Questions of your own in a JSONL file: one JSON object per line.

Fields: `image` (a path, relative to the file, or an image in base64 or as a data URI), `question`, `answer` (a text or
a list of texts), and optionally `id`, `choices` (a list), `category` and `question_type`. A field that is null is
absent. With choices, the answer is the text of one or its letter. A line that cannot be used is reported by its number;
the others still run.
"""

import codecs
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from vqttt.errors import InputError
from vqttt.images.files import load_image
from vqttt.tasks.broken import gather, some_usable
from vqttt.tasks.cells import as_label, as_text, as_texts, is_file, is_inline, one_image, open_inline, shown
from vqttt.tasks.references import options, settle
from vqttt.types import Sample

_ADVICE = "give one JSON object per line, with image, question and answer, in UTF-8"


def samples(path: Path) -> list[Sample]:
    """Read the samples of a JSONL file, in UTF-8, or in UTF-16 if it begins with its byte order mark.

    A broken line becomes a sample whose `load` raises `InputError`, so that a study marks and counts it.

    Raises:
        InputError: if the file cannot be read, or has no line that can be used.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {path}: {reason}; give a JSONL file") from error
    text = _utf8(content)
    read = gather(path.name, _lines(text, path))
    if not read:
        raise InputError(f"{path} is empty; give one JSON object per line")
    advice = _ADVICE
    if text.lstrip().startswith(b"["):
        advice = "the file is a JSON array; give one JSON object per line, without brackets and commas around them"
    elif b"\0" in text:
        advice = "the file has zero bytes and may be UTF-16; save it as UTF-8"
    return some_usable(read, f"lines of {path}", advice)


def _utf8(content: bytes) -> bytes:
    """Return a file's content in UTF-8, without a byte order mark; half a character stays invalid."""
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if content.startswith(mark):
            whole = content[len(mark) : len(content) // 2 * 2]
            return whole.decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")
    return content.removeprefix(codecs.BOM_UTF8)


def _lines(text: bytes, path: Path) -> Iterator[tuple[str, partial[Sample]]]:
    for number, line in enumerate(text.split(b"\n"), start=1):
        if line.strip():
            yield f"line {number}", partial(_sample, line, path)


def _sample(line: bytes, path: Path) -> Sample:
    """Read a line; raises `ValueError` with the reason if that is impossible."""
    try:
        return _parse(json.loads(line.decode("utf-8")), path)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8, at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON, at character {error.colno}: {error.msg}") from error
    except KeyError as error:
        raise ValueError(f"the field {error} is missing") from error
    except RecursionError as error:
        raise ValueError("too many brackets within each other") from error


def _parse(fields: Any, path: Path) -> Sample:
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    choices = options(fields.get("choices"))
    question, image = fields["question"], one_image(fields["image"])
    if not isinstance(question, str):
        raise ValueError(f"the question must be a text, not {shown(question)}")
    if not as_text(question):
        raise ValueError("the question is empty")
    answers = tuple(filter(None, as_texts(fields["answer"])))
    file = path.parent / image
    inline = is_inline(image) and not is_file(file)
    return Sample(
        id=as_text(fields.get("id")),
        load=partial(open_inline, image) if inline else partial(load_image, file),
        question=question,
        answers=settle(answers, choices, ""),
        choices=choices,
        category=as_label(fields.get("category")),
        question_type=as_label(fields.get("question_type")),
        file=path if inline else file,
    )
