"""Answers to scores: rules, no model in the loop.

An answer counts as right if, after normalisation, it equals a reference. Normalisation (ours, after the VQA
convention): lower case, no surrounding punctuation, no articles, single spaces; numbers are compared by value.
"""

import re

from vqttt.types import LETTERS, Sample

_ARTICLES = re.compile(r"\b(a|an|the)\b")


def score(answer: str, sample: Sample) -> float:
    """Score an answer to a sample: 1 if it is right, 0 if not."""
    given = normalise(answer)
    if not given:
        return 0.0
    if sample.choices:
        chosen = _chosen(answer, sample.choices)
        return float(chosen is not None and chosen in {_chosen(right, sample.choices) for right in sample.answers})
    return float(any(_equal(given, normalise(reference)) for reference in sample.answers))


def normalise(text: str) -> str:
    """Bring an answer into the form in which it is compared."""
    bare = " ".join(text.lower().replace(",", "").split()).lstrip(" !?:;\"'").rstrip(" .!?:;\"'")
    without = " ".join(_ARTICLES.sub(" ", bare).split())
    return without or bare  # an answer that is an article alone is a letter


def _equal(given: str, reference: str) -> bool:
    if given == reference:
        return True
    try:
        return float(given) == float(reference)
    except ValueError:
        return False


def _chosen(text: str, choices: tuple[str, ...]) -> int | None:
    """Find which choice a text names: by its words, or by its letter ("B", "(b)", "B. red")."""
    for index, choice in enumerate(choices):
        if normalise(text) == normalise(choice):
            return index
    letter = re.match(r"\s*\(?([A-Za-z])\)?\s*(?:[.:)]|$)", text)
    if letter and letter[1].upper() in LETTERS[: len(choices)]:
        return LETTERS.index(letter[1].upper())
    return None
