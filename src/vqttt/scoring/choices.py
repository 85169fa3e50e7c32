"""Which option of a multiple-choice question does an answer name? One function for each published rule, and our own.

Each takes an answer and the options in order, and returns the index of the chosen option, or None. None of them
guesses.
"""

import re
from collections.abc import Sequence

from vqttt.types import LETTERS

_LEADING = re.compile(r"\s*\(?([A-Za-z])\)?\s*(?:[.:)]|$)")
# A lower-case letter counts only if no word follows: "the answer is a dog" names no option.
_MARKED = re.compile(
    r"\b(?i:answer|option|choice)\b\s*(?:is\b|:|=)*\s*:?\s*(?:(?i:option)\s+)?\(?([A-Z]\b|[a-z](?=\s*(?:[).:,]|$)))(?!['’])"
)
_BRACKETED = re.compile(r"\(([A-Za-z])\)")
_ALONE = re.compile(r"(?<![\w'’])([A-Z])(?![\w'’])")


def choice_named(text: str, choices: Sequence[str]) -> int | None:
    """Find the choice that a text names by its words, or by its letter ("B", "(b)", "B. red")."""
    for index, choice in enumerate(choices):
        if _bare(text) == _bare(choice):
            return index
    letter = _LEADING.match(text)
    return position(letter[1], choices) if letter else None


def letter(text: str, choices: Sequence[str]) -> int | None:
    """Take a lone letter, ignoring case and punctuation, or a capital before a full stop ("B", "(b).", "B. red").

    This is how lmms-eval scores AI2D: it cuts the answer after "X." and compares without case and punctuation.
    """
    alone = re.fullmatch(r"\W*([A-Za-z])\W*", text) or re.match(r"\s*([A-Z])\.", text)
    return position(alone[1], choices) if alone else None


def scienceqa(text: str, choices: Sequence[str]) -> int | None:
    """Take a lone letter, one before ". ", or that of the only "The answer is X" (Lu et al. 2022; LLaVA's scoring)."""
    plain = text.strip()
    if len(plain) == 1 or plain[1:3] == ". " or plain[1:] == ".":
        return position(plain[:1], choices)
    said = re.findall(r"[Tt]he answer is ([A-Z])\b", plain)
    return position(said[0], choices) if len(said) == 1 else None


def mmstar(text: str, choices: Sequence[str]) -> int | None:
    """Take the first character, or the one after "(", "option " or "the answer is " (Chen et al. 2024).

    The published rule does not check whether that character is a word of its own.
    """
    plain = text.lower().strip().replace("\n", " ")
    starts = re.match(r"(?:\(|option |the answer is )([a-z])", plain)
    return position(starts[1] if starts else plain[:1], choices)


def mmbench(text: str, choices: Sequence[str]) -> int | None:
    """Take the only option letter among the words, if it is near the end, else the only option quoted.

    These are the exact-matching steps of MMBench's evaluation (Liu et al. 2023). It passes what they leave open to a
    language model; here that counts as wrong.
    """
    words = re.sub(r"[.()\[\],:;!*#{}]", " ", text).split()
    letters = [index for index in range(len(choices)) if LETTERS[index] in words]
    if len(letters) == 1 and words.index(LETTERS[letters[0]]) > len(words) - 5:
        return letters[0]
    if len(text) > 2 * sum(map(len, choices)):
        return None
    quoted = [index for index, choice in enumerate(choices) if choice and choice.lower() in text.lower()]
    return quoted[0] if len(quoted) == 1 else None


def mmmu(text: str, choices: Sequence[str]) -> int | None:
    """Take the last "(X)", else the last lone letter, else the last option quoted if there are more than five words.

    After Yue et al. 2024, whose code then draws an option at random; here there is no answer.
    """
    plain = text
    for mark in ",.!?;:'":
        plain = plain.strip(mark)
    plain = f" {plain} "
    bracketed, alone = (
        {index: plain.rfind(form.format(LETTERS[index])) for index in range(len(choices))} for form in ("({})", " {} ")
    )
    quoted = {index: plain.lower().rfind(choice.lower()) for index, choice in enumerate(choices) if choice}
    for places in (bracketed, alone, quoted if len(plain.split()) > 5 else {}):
        found = {index: place for index, place in places.items() if place >= 0}
        if found:
            return max(found, key=lambda index: found[index])
    return None


def extract_choice(text: str, choices: Sequence[str]) -> int | None:
    """Find the option that an answer means, in any common format; our own rule.

    In this order: the whole answer (as a letter, then as words), the last "answer is X" or "option X", the only "(X)",
    the only lone capital that is the letter of an option, the only option that is quoted in full.
    """
    plain = text.replace("**", "").strip()
    alone = re.fullmatch(r"\W*([A-Za-z])\W*", plain)
    named = position(alone[1], choices) if alone else None
    named = choice_named(plain, choices) if named is None else named
    if named is not None:
        return named
    marked = [at for at in (position(found, choices) for found in _MARKED.findall(plain)) if at is not None]
    if marked:
        return marked[-1]
    for pattern in (_BRACKETED, _ALONE):
        found = {at for at in (position(one, choices) for one in pattern.findall(plain)) if at is not None}
        if pattern is _ALONE and re.match(r"(?:A|I)\s+\w", plain):  # an article or a pronoun at the start
            found.discard(LETTERS.index(plain[0]))
        if len(found) == 1:
            return found.pop()
    quoted = {index for index, choice in enumerate(choices) if _quotes(plain, choice)}
    longest = {at for at in quoted if not any(at != o and _quotes(choices[o], choices[at]) for o in quoted)}
    return longest.pop() if len(longest) == 1 else None


def position(letter: str, choices: Sequence[str]) -> int | None:
    """Return the index of the option that a letter of either case names; None if there is no such option."""
    index = LETTERS.find(letter.upper()) if letter else -1
    return index if 0 <= index < len(choices) else None


def _bare(text: str) -> str:
    plain = " ".join(text.lower().replace(",", "").split()).strip(" .!?:;\"'")
    return re.sub(r"^(?:a|an|the) (?=\S)", "", plain)


def _quotes(text: str, choice: str) -> bool:
    wanted = _bare(choice)
    return bool(wanted) and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", _bare(text)) is not None
