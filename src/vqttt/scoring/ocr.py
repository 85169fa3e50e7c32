"""OCRBench's rule (Liu et al. 2023): the response must contain a reference."""

from vqttt.scoring.plain import normalise
from vqttt.types import Sample


def contains(answer: str, sample: Sample) -> float:
    """Return 1 if the response contains a reference, ignoring case; line breaks count as spaces."""
    given = _one_line(answer.lower())
    return float(any(_one_line(reference.lower()) in given for reference in sample.answers if reference.strip()))


def contains_expression(answer: str, sample: Sample) -> float:
    """Return 1 if the response contains a reference, ignoring spaces but not case: for handwritten LaTeX."""
    given = _closed(answer)
    return float(any(_closed(reference) in given for reference in sample.answers if reference.strip()))


def contains_credit(answer: str, sample: Sample) -> float:
    """Return 1 also if the two differ only in spaces, hyphens or punctuation at the ends."""
    given = _letters(answer)
    return float(any(_letters(reference) in given for reference in sample.answers if _letters(reference)))


def expression_credit(answer: str, sample: Sample) -> float:
    """Return 1 also if the two differ only in dollar signs, braces and LaTeX's spacing commands."""
    given = _tokens(answer)
    return float(any(_tokens(reference) in given for reference in sample.answers if _tokens(reference)))


def _one_line(text: str) -> str:
    return text.strip().replace("\n", " ")


def _closed(text: str) -> str:
    return _one_line(text).replace(" ", "")


def _letters(text: str) -> str:
    return "".join(normalise(text).replace("-", "").split())


def _tokens(text: str) -> str:
    for noise in ("$", "\\left", "\\right", "\\,", "\\;", "\\!", "\\quad", "{", "}"):
        text = text.replace(noise, "")
    return _closed(text)
