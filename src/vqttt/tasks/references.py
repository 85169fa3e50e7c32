"""Which option a reference names: the one check for all loaders.

A reference of a multiple-choice question must name exactly one option: by its letter ("B", "b", "B.", "(B)"), by its
text, or by both ("B. red"). Where a format numbers the options (AI2D, ScienceQA), an index from 0 is read as well. What
a reference could mean in two ways, it means in the way of its format: in a table whose references are letters, "B" is
the letter even if another option reads "B"; in a JSONL file the text goes first. A number is an index only where the
format says so: of the options 6, 3, 4, 2, "2" is the last one.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from vqttt.scoring.choices import choice_named
from vqttt.scoring.plain import normalise, to_number
from vqttt.tasks.cells import absent, as_text, listed, shown
from vqttt.types import LETTERS, letters_of

BY_LETTER = ("letter", "realworldqa", "scienceqa", "mmstar", "mmbench", "mmmu-choice")
"""The rules whose references are letters."""

BY_TEXT = ("", "mathvista-choice")
"""The rules whose references are texts of options where there are options."""

_OPTIONS_NEEDED = (*BY_LETTER, "mathvista-choice")
_YES_OR_NO = ("mme", "pope")

_LETTER = re.compile(r"[\s(\[*]*([A-Za-z])[\s)\].:,;*]*")
_LETTER_AND_TEXT = re.compile(r"[(\[]?([A-Za-z])(?:[)\]][.:]?|[.:])\s*(\S.*)", re.DOTALL)
_INDEX = re.compile(r"[+-]?\d+(?:\.0+)?")
_FORMS: tuple[Callable[[str], object], ...] = (
    str.strip,
    lambda text: " ".join(text.casefold().split()),
    normalise,
    lambda text: to_number(normalise(text)),
)
"""The ways to compare texts, the strictest first."""


def options(values: Any) -> tuple[str, ...]:
    """Return options as texts. One that is absent or empty is a gap: the others keep their letters.

    Args:
        values: a list, or the text of one; nothing stands for no options.

    Raises:
        ValueError: if there are too many, if all are empty, or if one is not a text or number.
    """
    given_list = [] if absent(values) else listed(values.strip()) if isinstance(values, str) else values
    if not isinstance(given_list, list | tuple):
        raise ValueError(f"the choices must be a list of options, not {shown(values)}")
    found = [_option(value) for value in given_list]
    given = len(found)
    while found and not found[-1]:
        found.pop()
    if given and not found:
        raise ValueError("all options are empty")
    if len(found) > len(LETTERS):
        raise ValueError(f"there are {len(found)} options; a question has at most {len(LETTERS)}")
    return tuple(found)


def _option(value: Any) -> str:
    text = as_text(value)
    return value if text and isinstance(value, str) else text  # spaces around it may matter to a benchmark's rule


def settle(answers: Sequence[str], choices: Sequence[str], rule: str) -> tuple[str, ...]:
    """Check a question's references, and return them in the form that its rule compares.

    Args:
        answers: as the table gives them. An open question may have several; those of a multiple-choice question must
            name the same option.
        choices: the options; empty for an open question.
        rule: how answers are scored, a name in `vqttt.scoring.RULES`.

    Raises:
        ValueError: if there is none, or no options though the rule needs them; if they do not name exactly one option,
            or are not yes or no where the rule needs that. The message says what would be right.
    """
    if not any(answer.strip() for answer in answers):
        raise ValueError("the answer is empty")
    if rule in _YES_OR_NO:
        return tuple(map(_yes_or_no, answers))
    if not choices and rule in _OPTIONS_NEEDED:
        raise ValueError("the question has no options to choose from")
    if not choices or rule not in (*BY_LETTER, *BY_TEXT):
        return tuple(answers)
    named = {option_named(one, choices, letter_first=rule in BY_LETTER): one for one in answers if one.strip()}
    if len(named) > 1:
        raise ValueError(f"the answers {_either(named.values())} name different options; give the one that is right")
    ((index, given),) = named.items()
    if rule in BY_LETTER:
        return (LETTERS[index],)
    return (choices[index] if rule else _unmistakable(given.strip(), index, choices),)


def option_named(reference: str, choices: Sequence[str], *, letter_first: bool) -> int:
    """Return the index of the option that a reference names.

    Args:
        reference: a letter with or without punctuation, the option's text, or both.
        choices: the options; a gap cannot be named.
        letter_first: whether a letter is read as such even if it is the text of an option.

    Raises:
        ValueError: if it names none, or more than one.
    """
    lettered, worded = _by_letter(reference, choices), _by_text(reference, choices)
    found = (lettered or worded) if letter_first else (worded or lettered)
    known = ", ".join(letters_of(choices))
    if not found:
        raise ValueError(
            f"the answer {shown(reference)} names none of the options {known}; give the letter or the text of one"
        )
    if len(found) > 1:
        same = " and ".join(LETTERS[index] for index in found)
        raise ValueError(f"the answer {shown(reference)} is the text of the options {same}; give the letter of one")
    return found[0]


def letter_at(index: Any, choices: Sequence[str]) -> str:
    """Return the letter of the option at an index from 0; a letter or text that names an option will do as well.

    Raises:
        ValueError: if it names no option.
    """
    text = as_text(index)
    if not text:
        return ""
    if not _INDEX.fullmatch(text):
        return LETTERS[option_named(text, choices, letter_first=True)]
    at = int(text.partition(".")[0])
    if not 0 <= at < len(choices) or LETTERS[at] not in letters_of(choices):
        raise ValueError(f"the answer {shown(text)} is not the index of an option (0 to {len(choices) - 1})")
    return LETTERS[at]


def _yes_or_no(reference: str) -> str:
    """Return a reference as the rules for such questions compare it: "Yes." is `yes`."""
    plain = normalise(reference)
    if plain not in ("yes", "no"):
        raise ValueError(f"the answer {shown(reference)} is neither yes nor no")
    return plain


def _by_letter(reference: str, choices: Sequence[str]) -> list[int]:
    offered = letters_of(choices)
    alone = _LETTER.fullmatch(reference)
    if alone:
        return [LETTERS.index(alone[1].upper())] if alone[1].upper() in offered else []
    both = _LETTER_AND_TEXT.fullmatch(reference.strip())
    if both and both[1].upper() in offered:
        index = LETTERS.index(both[1].upper())
        return [index] if index in _by_text(both[2], choices) else []
    return []


def _by_text(reference: str, choices: Sequence[str]) -> list[int]:
    """Return the options with a text, compared in the strictest way that finds any."""
    there = [index for index, choice in enumerate(choices) if choice.strip()]
    for form in _FORMS:
        wanted = form(reference)
        found = [index for index in there if form(choices[index]) == wanted]
        if found and wanted not in (None, ""):
            return found
    return []


def _unmistakable(given: str, index: int, choices: Sequence[str]) -> str:
    """Return a form of a reference that scoring reads as the option at `index`; the given one, if it is read so."""
    letter = LETTERS[index]
    for form in (given, choices[index], letter, f"({letter})"):
        if choice_named(form, choices) == index:
            return form
    raise ValueError(f"option {letter} cannot be told from the others; give options with different texts")


def _either(references: Iterable[str]) -> str:
    return " and ".join(map(shown, references))
