"""What one cell of a table, or one field of a JSON object, says: a text, a list or an image.

Text is taken as it is: "None", "null" and "nan" are words like others. Only a real null, or a number that is not one,
is absent. What cannot be used raises `ValueError` with the reason.
"""

import ast
import json
import math
import re
import warnings
from pathlib import Path
from typing import Any

from vqttt.errors import InputError
from vqttt.images.files import as_image, decode_base64, load_image
from vqttt.types import Image

SHORT = 64
"""The most characters of a text that is never taken for an image in base64; VLMEvalKit's limit."""

LONGEST_PATH = 4096
"""The most characters of a path, as on Linux."""

_URL = re.compile(r"(?!data:)([a-z][a-z0-9+.-]+):/{2,}", re.IGNORECASE)
_DATA = re.compile(r"\s*data:[^,]{0,200},", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\s-]+")
_QUOTED = re.compile(r"b?(['\"])(.*)\1", re.DOTALL)


def absent(value: Any) -> bool:
    """Tell whether a value stands for nothing: null, or a number that is NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def as_text(value: Any) -> str:
    """Return a text, number or truth value as text: `true` is "yes"; what is absent is an empty text.

    Raises:
        ValueError: for a value of another kind, and for a text that records cannot hold.
    """
    if absent(value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, bytes | list | tuple | dict | set):
        raise ValueError(f"{shown(value)} must be a text or a number")
    text = str(value).strip()
    if "\0" in text:
        raise ValueError(f"{shown(text)} has a zero byte; the file is damaged")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{shown(text)} has half a character (a lone surrogate)") from None
    return text


def as_label(value: Any) -> str:
    """Return a category as text; the parts of a list are joined, and what is absent is an empty text."""
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(as_text, value)))
    return as_text(value)


def as_texts(value: Any) -> tuple[str, ...]:
    """Return one value, or a list of them, as texts; elements that are absent are left out."""
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(as_text(one) for one in values if not absent(one))


def listed(cell: str) -> list[Any] | None:
    """Read a cell with a JSON list, or with a Python list; None if it has neither."""
    if not (cell.startswith("[") and cell.endswith("]")):
        return None
    for read in (_json, ast.literal_eval):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of an unknown escape such as "\d" in a Python text
                found = read(cell)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if isinstance(found, list):
            return found
    return None


def one_image(value: Any) -> str:
    """Return the text of a cell that holds one image: its base64, data URI or path. A list of one stands for that one.

    Raises:
        ValueError: if the cell holds no image, several, or the address of one.
    """
    if isinstance(value, str):
        plain = value.strip()
        value = listed(plain) or ([] if plain == "[]" else [plain])
    found = [one for one in (value if isinstance(value, list | tuple) else [value]) if not absent(one) and one != ""]
    if len(found) > 1:
        raise ValueError(several(len(found)))
    if not found:
        raise ValueError("the question has no image")
    text = as_text(found[0])
    quoted = _QUOTED.fullmatch(text)
    text = quoted[2] if quoted else text
    if _URL.match(text):
        raise ValueError(f"the image is a URL ({text[:80]}); download it, and give the path of the file")
    if len(text) > LONGEST_PATH and not is_inline(text):
        raise ValueError(f"the image {shown(text)} is neither base64 nor a path; encode the whole image file")
    return text


def several(count: int) -> str:
    """Return the reason why a question with several images cannot be used."""
    return f"the question has several images ({count}); these tasks take one"


def is_inline(text: str) -> bool:
    """Tell whether a text is an image itself, in base64 or as a data URI, rather than the path of one."""
    start = text[: LONGEST_PATH + 1]  # a path is no longer, and most images are
    return bool(_DATA.match(start)) or (len(text) > SHORT and _BASE64.fullmatch(start) is not None)


def open_image(value: Any, folder: Path) -> Image:
    """Read the one image of a cell: encoded bytes, base64, a data URI, a path relative to `folder`, or a decoded image.

    Raises:
        InputError: if there is not exactly one, or it cannot be read.
    """
    if isinstance(value, list | tuple) and len(value) == 1:
        return open_image(value[0], folder)
    if isinstance(value, dict):
        return open_image(value.get("bytes") or value.get("path"), folder)
    if isinstance(value, bytes | bytearray):
        return load_image(bytes(value))
    if not absent(value) and not isinstance(value, str | list | tuple):
        return as_image(value)
    try:
        text = one_image(value)
    except ValueError as error:
        raise InputError(str(error)) from None
    return open_inline(text) if is_inline(text) and not is_file(folder / text) else load_image(folder / text)


def open_inline(text: str) -> Image:
    """Read an image in base64 or in a data URI; raises `InputError` if it cannot be read."""
    return load_image(decode_base64(text))


def is_file(path: Path) -> bool:
    """Tell whether a path is that of a file; any text may be asked for."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or has a zero byte
        return False


def shown(value: Any) -> str:
    """Return a value as it is shown in a message: on one line, and not too long."""
    text = repr(value[:80] if isinstance(value, str | bytes) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _json(cell: str) -> Any:
    return json.loads(cell, strict=False)  # a line break within base64 is no mistake
