"""The rule for tasks without one of their own: an answer is right if it equals a reference after normalisation.

Normalisation (our own, after the VQA convention): lower case, no surrounding punctuation, no articles, single spaces;
numbers are compared by value. An answer that states the reference within a sentence earns format credit.
"""

import re

from vqttt.scoring.choices import PUNCTUATION, choice_named, extract_choice
from vqttt.scoring.yes_no import yes_or_no
from vqttt.types import Sample

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?![\d])")
_FINAL = re.compile(r"\banswer\b\s*(?:is|:|=)+\s*:?\s*(.+)", re.IGNORECASE)


def strict(answer: str, sample: Sample) -> float:
    """Return 1 if the answer is a reference, or names the same choice as one; else 0."""
    given = normalise(answer)
    if not given:
        return 0.0
    if sample.choices:
        chosen = choice_named(answer, sample.choices)
        return float(chosen is not None and chosen in right_choices(sample))
    return float(any(equal(given, normalise(reference)) for reference in sample.answers))


def credit(answer: str, sample: Sample) -> float:
    """Return 1 if the answer states a reference, with or without other words; else 0."""
    if sample.choices:
        return float(extract_choice(answer, sample.choices) in right_choices(sample))
    return float(any(states(answer, reference) for reference in sample.answers))


def exact(answer: str, sample: Sample) -> float:
    """Return 1 if the answer is a reference but for case and ASCII punctuation; this is lmms-eval's rule for GQA."""
    return float(_letters(answer) in {_letters(reference) for reference in sample.answers})


def up_to_full_stop(answer: str, sample: Sample) -> float:
    """Return 1 if the answer is a reference but for case and full stops at its end, as for RealWorldQA's open ones."""
    return float(answer.lower().strip().rstrip(".") in {reference.strip().lower() for reference in sample.answers})


def right_choices(sample: Sample) -> set[int]:
    """Return the indices of the choices that the references name."""
    named = (choice_named(reference, sample.choices) for reference in sample.answers)
    return {position for position in named if position is not None}


def normalise(text: str) -> str:
    """Normalise an answer for comparison (see the module)."""
    bare = " ".join(text.lower().replace(",", "").split()).lstrip(" !?:;\"'").rstrip(" .!?:;\"'")
    without = " ".join(_ARTICLES.sub(" ", bare).split())
    return without or bare  # a lone article is the letter of an option


def equal(given: str, reference: str) -> bool:
    """Compare normalised answers: as text, or as numbers where both are."""
    if given == reference:
        return True
    left, right = to_number(given), to_number(reference)
    return left is not None and left == right


def states(answer: str, reference: str) -> bool:
    """Tell whether an answer states a reference: as yes or no, as its last number, or else in whole words."""
    wanted, final = normalise(reference), final_answer(answer)
    if not wanted or not final:
        return False
    if wanted in ("yes", "no"):
        return yes_or_no(final) == wanted
    if to_number(wanted) is not None:
        last = last_number(final)
        return equal(normalise(final), wanted) or (last is not None and last == to_number(wanted))
    return re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", normalise(final)) is not None


def final_answer(text: str) -> str:
    """Return what follows the last "answer is" or "Answer:" on its line, else the whole text; no Markdown marks."""
    plain = text.replace("**", "").replace("`", "").strip()
    found = _FINAL.findall(plain)
    return str(found[-1]).strip() if found else plain


def last_number(text: str) -> float | None:
    """Return the last number in a text; commas in it separate thousands."""
    found = _NUMBER.findall(text)
    return to_number(found[-1]) if found else None


def to_number(text: str) -> float | None:
    """Read a text as a finite number, in which commas separate thousands; None if it is not one."""
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _letters(text: str) -> str:
    return text.strip().lower().translate(PUNCTUATION)
