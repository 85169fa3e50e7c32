"""Answers that are numbers: ChartQA's relaxed accuracy and MathVista's answer types."""

import ast
import re
from collections.abc import Callable, Sequence

from vqttt.scoring.choices import extract_choice, position
from vqttt.scoring.plain import final_answer, last_number, normalise, states, to_number
from vqttt.types import Sample

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
    """Return the strict rule, and the one with format credit, for an answer type (`integer`, `float`, `list`, `text`).

    In the published evaluation (Lu et al. 2024) a language model extracts the answer, which is then normalised:
    integers are truncated, decimals rounded to the question's precision. Here a rule extracts it: the whole response,
    or what follows "answer is" or "Answer:"; with format credit also the last number or list in the response.
    """

    def strict(answer: str, sample: Sample) -> float:
        final = final_answer(answer).strip(' ".')
        found = final if answer_type == "list" else _form(final, answer_type, precision)
        return float(found is not None and found in sample.answers)

    def credit(answer: str, sample: Sample) -> float:
        final = final_answer(answer)
        if answer_type == "list":
            lists = re.findall(r"\[[^\[\]]*\]", final)
            found = _form(lists[-1], "list", 0) if lists else None
            return float(found is not None and found in {_form(one, "list", 0) for one in sample.answers})
        number = last_number(final)
        found = None if number is None else _form(repr(number), answer_type, precision)
        return float(found is not None and any(to_number(found) == to_number(one) for one in sample.answers))

    return strict, credit


def mathvista_choice(answer: str, sample: Sample) -> float:
    """Return 1 if the option nearest to the extracted answer is the right one.

    A lone letter, or "(X)" anywhere, names its option. Any other text stands for the option at the smallest edit
    distance, as published. An empty answer is wrong, and so is one more than 1.5 times as long as the longest option:
    no answer could be extracted from it.
    """
    final = final_answer(answer).strip().strip('".')
    bracketed = re.findall(r"\(([a-zA-Z])\)", final)
    index = position(
        bracketed[0] if bracketed else final if len(final) == 1 and final.isupper() else "", sample.choices
    )
    longest = max(map(len, sample.choices), default=0)
    if index is None and final and len(final) <= 1.5 * longest:
        index = nearest(final, sample.choices)
    return float(index is not None and sample.choices[index] in sample.answers)


def mathvista_choice_credit(answer: str, sample: Sample) -> float:
    """Return 1 if the answer names the right option in any common format."""
    index = extract_choice(answer, sample.choices)
    return float(index is not None and sample.choices[index] in sample.answers)


def nearest(text: str, choices: Sequence[str]) -> int:
    """Return the index of the choice at the smallest edit distance from a text; the first if several are equal."""
    distances = [edit_distance(text, choice) for choice in choices]
    return distances.index(min(distances))


def edit_distance(one: str, other: str) -> int:
    """Count the insertions, deletions and substitutions that turn one text into the other (Levenshtein distance)."""
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(other, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def _close(given: float, wanted: float) -> bool:
    return abs(given - wanted) <= TOLERANCE * abs(wanted)


def _fraction(text: str) -> float | None:
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def _form(text: str, answer_type: str, precision: int) -> str | None:
    """Convert a response to the form of MathVista's references; None if that is impossible."""
    try:
        if answer_type == "integer":
            return str(int(float(text)))
        if answer_type == "float":
            return str(round(float(text), precision))
        if answer_type == "list":
            found = ast.literal_eval(text)
            return str(found) if isinstance(found, list) else None
    except (ValueError, SyntaxError, TypeError, OverflowError, MemoryError, RecursionError):
        return None
    return normalise(text) or None
