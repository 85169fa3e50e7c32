"""Answers that are numbers: ChartQA's relaxed accuracy and MathVista's answer types."""

import ast
import re
from collections.abc import Callable, Sequence

from vqttt.scoring.choices import extract_choice, position
from vqttt.scoring.plain import final_answer, last_number, states, to_number
from vqttt.types import Sample

_QUOTED = re.compile(r'The answer is "(.*)"\.')
TOLERANCE = 0.05
"""How far a number in ChartQA may be from its reference, relative to the reference."""


def chartqa(answer: str, sample: Sample) -> float:
    """Return 1 for a number within 5% of the reference, or for the same text in any case (Masry et al. 2022)."""
    return float(any(relaxed(answer.strip(), reference) for reference in sample.answers))


def chartqa_credit(answer: str, sample: Sample) -> float:
    """Return 1 also for a number with commas, a currency or a unit, and for a number or text within a sentence.

    A percent sign that only one of answer and reference has is ignored.
    """
    final = final_answer(answer).rstrip(".")
    number = last_number(final)
    for reference in sample.answers:
        wanted = to_number(reference.replace("%", ""))
        if wanted is None and states(final, reference):
            return 1.0
        if wanted is not None and number is not None and _close(number, wanted):
            return 1.0
    return chartqa(final, sample)


def relaxed(answer: str, reference: str) -> bool:
    """Compare as ChartQA does; "x%" is x / 100, and a reference of 0 is compared as text."""
    given, wanted = _fraction(answer), _fraction(reference)
    if given is not None and wanted:
        return _close(given, wanted)
    return answer.lower() == reference.lower()


def mathvista(answer_type: str, precision: int = 0) -> tuple[Callable[..., float], Callable[..., float]]:
    """Return the strict rule, and the one with format credit, for an answer type (`integer`, `float`, `list`).

    In the published evaluation (Lu et al. 2024) a language model extracts the answer from all but the simplest
    responses. Here a rule does (`extracted`); with format credit it also takes the last number or list.
    """

    def strict(answer: str, sample: Sample) -> float:
        found = normalised(extracted(answer, sample.choices), answer_type, precision)
        return float(found is not None and found in sample.answers)

    def credit(answer: str, sample: Sample) -> float:
        final = final_answer(answer)
        if answer_type == "list":
            lists = re.findall(r"\[[^\[\]]*\]", final)
            found = _list(lists[-1]) if lists else None
            return float(found is not None and found in {_list(one) for one in sample.answers})
        number = last_number(final)
        found = None if number is None else normalised(repr(number), answer_type, precision)
        return float(found is not None and any(to_number(found) == to_number(one) for one in sample.answers))

    return strict, credit


def extracted(answer: str, choices: Sequence[str]) -> str:
    """Return a response that is an option; else what it quotes, or states after "answer is" or "Answer:"; else all.

    The first two are MathVista's own quick rules. Quotes, and full stops at the end, are no part of the answer.
    """
    plain = answer.strip()
    if plain in choices:
        return plain
    quoted = _QUOTED.search(answer)
    return quoted[1] if quoted else final_answer(answer).lstrip(' "').rstrip(' ".')


def normalised(extraction: str, answer_type: str, precision: int = 0) -> str | None:
    """Return an extracted answer in the form of MathVista's references; None if that is impossible.

    Integers are truncated, decimals rounded to `precision`, lists taken as they are.
    """
    try:
        if answer_type == "integer":
            return str(int(float(extraction)))
        return str(round(float(extraction), precision)) if answer_type == "float" else extraction
    except (ValueError, OverflowError):
        return None


def mathvista_choice(answer: str, sample: Sample) -> float:
    """Return 1 if the extracted answer stands for the right option (see `option`)."""
    index = option(extracted(answer, sample.choices), sample.choices)
    return float(index is not None and sample.choices[index] in sample.answers)


def option(extraction: str, choices: Sequence[str]) -> int | None:
    """Return the index of the option that an extracted answer stands for, None for an answer that names none.

    A lone capital, or "(X)" anywhere, names its option; so does "X. ..." here, where the published code would have had
    the letter extracted. Any other text stands for the option at the smallest edit distance, as published, unless it
    is empty or more than 1.5 times as long as the longest option: then nothing was extracted from it.
    """
    bracketed = re.findall(r"\(([a-zA-Z])\)", extraction)
    leading = re.match(r"([A-Z])[.:)]\s", extraction) if extraction not in choices else None
    text = bracketed[0].upper() if bracketed else leading[1] if leading else extraction
    index = position(text, choices) if len(text) == 1 and text.isupper() else None
    longest = max((len(choice.strip()) for choice in choices), default=0)
    if index is None and text and len(text) <= 1.5 * longest:
        return nearest(text, choices)
    return index


def mathvista_choice_credit(answer: str, sample: Sample) -> float:
    """Return 1 if the answer names the right option in any common format."""
    index = extract_choice(answer, sample.choices)
    return float(index is not None and sample.choices[index] in sample.answers)


def nearest(text: str, choices: Sequence[str]) -> int:
    """Return the index of the choice at the smallest edit distance from a text; the first if several are equal.

    Empty choices are gaps between options, and never the nearest.
    """
    there = [index for index, choice in enumerate(choices) if choice.strip()]
    return min(there, key=lambda index: edit_distance(text, choices[index]))


def edit_distance(one: str, other: str) -> int:
    """Count the insertions, deletions and substitutions that turn one text into the other (Levenshtein distance)."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(other, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def _close(given: float, wanted: float) -> bool:
    return abs(given - wanted) / abs(wanted) <= TOLERANCE if wanted else given == 0


def _fraction(text: str) -> float | None:
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def _list(text: str) -> str | None:
    """Return a list in Python's own form, so that spaces do not matter; None if the text is no list."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return str(found) if isinstance(found, list) else None
