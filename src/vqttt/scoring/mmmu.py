"""MMMU's rule for open questions (Yue et al. 2024); that for multiple choice is `choices.mmmu`.

The response is reduced to the parts that follow words such as "is" or "answer". These parts, and all numbers in them,
are compared with the references: a text must contain a reference, a number must equal one at two decimals.
"""

import math
import re

from vqttt.scoring.plain import credit as plain_credit
from vqttt.types import Sample

_SIGNS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_NUMBERS = (
    r"-?\b\d{1,3}(?:,\d{3})+\b",
    r"-?(?<!\d)\d+(?:\.\d+)?[eE][+-]?\d+",  # from a first digit only, so that long numbers are read at once
    r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])",
)


def open_answer(answer: str, sample: Sample) -> float:
    """Return 1 if a part of the response contains a reference, or equals one as a number; else 0."""
    wanted = [form for reference in sample.answers for form in forms(reference)]
    given = [form for part in candidates(answer) for form in forms(part)]
    numbers = {form for form in wanted if isinstance(form, float)}
    texts = [form for form in wanted if isinstance(form, str) and form.strip()]
    return float(
        any(form in numbers if isinstance(form, float) else any(text in form for text in texts) for form in given)
    )


def open_credit(answer: str, sample: Sample) -> float:
    """Return 1 also if the whole response states a reference."""
    return max(open_answer(answer, sample), plain_credit(answer, sample))


def candidates(answer: str) -> list[str]:
    """Return the key parts of a response, followed by the numbers in them."""
    # The published code also splits at ". " before a capital, but after lowering the case, so that only lines are
    # split.
    lines = answer.strip().strip(".").lower().split("\n")
    keys = []
    for index, line in enumerate(lines):
        signs = (*_SIGNS, "=") if index == len(lines) - 1 else _SIGNS
        shortest = ""
        for tail in (line.rsplit(sign, 1)[1].strip() for sign in signs if sign in line):
            if not shortest or len(tail) < len(shortest):  # as published: an empty tail discards what was found
                shortest = tail
        if shortest and shortest not in (":", ",", ".", "!", "?", ";", "'"):
            keys.append(shortest)
    keys = keys or [answer.strip().strip(".").lower()]
    return keys + [number for key in keys for pattern in _NUMBERS for number in re.findall(pattern, key)]


def forms(text: str) -> list[str | float]:
    """Return a number rounded to two decimals, or a text in lower case; a single letter with a space on either side.

    "inf" is a number, as published. "nan" is a text: as the number that it is in the published code, it equals nothing.
    """
    plain = text.strip()
    value = _number(plain)
    if value is not None:
        return [round(value, 2)]
    plain = plain.lower()
    return [f" {plain}", f"{plain} "] if len(plain) == 1 else [plain]


def _number(text: str) -> float | None:
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return None
    return None if math.isnan(value) else value
