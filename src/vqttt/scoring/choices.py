"""Which option of a multiple-choice question does an answer name? One function for each published rule, and our own.

Each takes an answer and the options in order, and returns the index of the chosen option, or None. None of them
guesses.
"""

import re
import string
from collections.abc import Iterator, Sequence

from vqttt.types import LETTERS, letters_of

PUNCTUATION = str.maketrans("", "", string.punctuation)
"""Passed to `str.translate`, drops ASCII punctuation, as lmms-eval's exact match does."""
_LEADING = re.compile(r"\s*\(?([A-Za-z])\)?\s*(?:[.:)]|$)")
# A lower-case letter counts only if no word follows: "the answer is a dog" names no option.
_MARKED = re.compile(
    r"\b(?i:answer|option|choice)\b\s*(?:is\b|:|=)*\s*:?\s*(?:(?i:option)\s+)?\(?([A-Z]\b|[a-z](?=\s*(?:[).:,]|$)))(?!['’])"
)
_ANSWER_IS = re.compile(r"answer\s+is\s+\**([A-D])(?!\w)", re.IGNORECASE)
_BRACKETED = re.compile(r"\(([A-Za-z])\)")
_SCIENCEQA = "ABCDE"
# What lmms-eval takes as the announcement of an answer, in four languages.
_PHRASES = (
    *(f"{which}answer is" for which in ("", "the ", "correct ", "the correct ", "best ", "the best ", "my ")),
    *(f"{which}option is" for which in ("correct ", "the correct ", "best ", "the best ")),
    *(f"{which}choice is" for which in ("", "the ", "correct ", "the correct ", "my ")),
    *("i choose", "i select", "i pick", "옵션", "정답은", "답은", "답:", "答案是", "答案为", "选", "答えは"),
)
_ALONE = re.compile(r"(?<![\w'’])([A-Z])(?![\w'’])")


def choice_named(text: str, choices: Sequence[str]) -> int | None:
    """Find the choice that a text names by its words, or by its letter ("B", "(b)", "B. red")."""
    for index, choice in enumerate(choices):
        if choice.strip() and _bare(text) == _bare(choice):  # an empty option is a gap
            return index
    letter = _LEADING.match(text)
    return position(letter[1], choices) if letter else None


def letter(text: str, choices: Sequence[str]) -> int | None:
    """Take a letter that is all there is but for case and ASCII punctuation, or a capital before a full stop.

    Both "(b)." and "B. red" name the second option. This is how lmms-eval scores AI2D.
    """
    plain = text.strip()
    cut = re.match(r"[A-Z](?=\.)", plain)
    alone = cut[0] if cut else plain.translate(PUNCTUATION)
    return position(alone, choices) if len(alone) == 1 else None


def scienceqa(text: str, choices: Sequence[str]) -> int | None:
    """Take "B", "B. ..." or the only "The answer is B" with a character after it, all in this case (LLaVA's script)."""
    plain = text.strip()
    said = re.findall(r"The answer is ([A-Z]).", plain)
    if len(plain) == 1 or (plain[:1] in _SCIENCEQA and plain[1:3] == ". "):
        found = plain[:1]
    else:
        found = said[0] if len(said) == 1 else ""
    return position(found, choices) if found and found in _SCIENCEQA else None


def realworldqa(text: str, choices: Sequence[str]) -> int | None:
    """Take the letter with the strongest mark, and of several with equal marks the last, as lmms-eval does.

    From the strongest: at the start, at the end, after "answer is" and the like, in brackets, before a full stop,
    colon, closing bracket or space. The published rule then takes any capital from the middle of a word; here that is
    no answer.
    """
    plain = text.strip()
    for mark in ",.!?;:'\"":
        plain = plain.strip(mark)
    letters = LETTERS[: max(4, len(choices))]  # as published: one of A to D, even if there are fewer options
    forms = _places(f" {plain} ", plain.strip(), letters)
    found = [(rank, place, one) for rank, places in enumerate(forms) for one, place in places if place >= 0]
    return position(max(found)[2], choices) if found else None


def _places(padded: str, plain: str, letters: str) -> Iterator[list[tuple[str, int]]]:
    """Yield where each letter has one of lmms-eval's marks, or -1; from the weakest mark to the strongest."""
    for form in ("{} ", "{})", "{}:", "{}.", "({})"):
        yield [(one, padded.rfind(form.format(one))) for one in letters]
    lower = padded.lower()
    after = [lower.find(phrase) + len(phrase) for phrase in _PHRASES if phrase in lower]
    yield [(one, padded.find(one, start)) for one in letters for start in after]
    yield [(one, 0 if plain.endswith(one) and not plain[-2:-1].isalpha() else -1) for one in letters]
    yield [(one, 0 if plain.startswith(one) and not plain[1:2].isalpha() else -1) for one in letters]


def mmstar(text: str, choices: Sequence[str]) -> int | None:
    """Take the first character, or the one after "(", "option " or "the answer is " (Chen et al. 2024).

    The published rule does not check whether that character is a word of its own.
    """
    plain = text.lower().strip().replace("\n", " ")
    starts = re.match(r"(?:\(|option |the answer is )([a-z])", plain)
    return position(starts[1] if starts else plain[:1], choices)


def mmbench(text: str, choices: Sequence[str]) -> int | None:
    """Take the only option letter among the words, if it is near the end, else the only option quoted.

    Between the two, "answer is B" names B. These are the exact-matching steps of MMBench's evaluation (Liu et al.
    2023), as in VLMEvalKit. It passes what they leave open to a language model; here that counts as wrong, and so does
    the first letter of a word ("answer is blue").
    """
    words = re.sub(r"[.()\[\],:;!*#{}]", " ", text).split()
    letters = [LETTERS.index(one) for one in letters_of(choices) if one in words]
    if len(letters) == 1 and words.index(LETTERS[letters[0]]) > len(words) - 5:
        return letters[0]
    if not letters and "Z" in words:  # the published code's mark of a refusal
        return None
    said = _ANSWER_IS.search(text)
    if said and (index := position(said[1], choices)) is not None:
        return index
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
        {LETTERS.index(one): plain.rfind(form.format(one)) for one in letters_of(choices)} for form in ("({})", " {} ")
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
    plain = " ".join(text.replace("**", "").split())  # long runs of spaces would slow the patterns down
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
    one = letter.upper()
    return LETTERS.index(one) if len(one) == 1 and one in letters_of(choices) else None


def _bare(text: str) -> str:
    plain = " ".join(text.lower().replace(",", "").split()).strip(" .!?:;\"'")
    return re.sub(r"^(?:a|an|the) (?=\S)", "", plain)


def _quotes(text: str, choice: str) -> bool:
    wanted = _bare(choice)
    return bool(wanted) and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", _bare(text)) is not None
