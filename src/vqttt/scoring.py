"""Answers to scores: rules, no model in the loop.

An answer counts as right if, after normalisation, it equals a reference. Normalisation (ours, after the VQA
convention): lower case, no surrounding punctuation, no articles, single spaces; numbers are compared by value.
"""

import re

from vqttt.types import Sample

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_LETTERS = "ABCDEFGHIJ"


def score(answer: str, sample: Sample) -> float:
    """Score an answer to a sample: 1 if it is right, 0 if not."""
    if sample.choices:
        return float(_chosen(answer, sample.choices) == _chosen(sample.answers[0], sample.choices) is not None)
    given = normalise(answer)
    return float(any(_equal(given, normalise(reference)) for reference in sample.answers))


def normalise(text: str) -> str:
    """Bring an answer into the form in which it is compared."""
    bare = _ARTICLES.sub(" ", text.lower()).replace(",", "")
    return " ".join(bare.split()).strip(" .!?:;\"'")


def _equal(given: str, reference: str) -> bool:
    if given == reference:
        return True
    try:
        return float(given) == float(reference)
    except ValueError:
        return False


def _chosen(text: str, choices: tuple[str, ...]) -> int | None:
    """Find which choice a text names: by its letter ("B", "(b)", "B. red") or by its words."""
    for index, choice in enumerate(choices):
        if normalise(text) == normalise(choice):
            return index
    letter = re.match(r"\s*\(?([A-Za-z])\)?\s*(?:[.:)]|$)", text)
    if letter and letter[1].upper() in _LETTERS[: len(choices)]:
        return _LETTERS.index(letter[1].upper())
    return None
