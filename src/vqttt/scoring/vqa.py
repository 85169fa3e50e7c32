"""Soft accuracy over ten people's answers: VQA (Antol et al. 2015, Goyal et al. 2017) and TextVQA (Singh et al. 2019).

An answer's accuracy is min(1, people who gave it / 3), averaged over leaving out each person in turn. All answers are
first normalised: lower case, no punctuation, no articles, number words as digits, contractions with their apostrophe.
TextVQA's server also drops commas and question marks and splits off "'s" before that. What is normalised to nothing
("the") is still an answer, and equals another of its kind.
"""

import re
from collections.abc import Callable, Sequence

from vqttt.scoring.plain import final_answer, states
from vqttt.types import Sample

_WORDS = "zero one two three four five six seven eight nine ten"
_DIGITS = {word: str(number) for number, word in enumerate(_WORDS.split())} | {"none": "0"}
_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_STOP = re.compile(r"\.(?!\d)")
_STOPS = 32
"""How many full stops are dropped: the published code passes a flag where the count belongs."""
_THOUSANDS = re.compile(r"\d,\d")

# A word that lacks one of its apostrophes gets it back, unless it is another word without it: "its", "were", "ill".
_CONTRACTED = (
    "ain't aren't can't couldn't didn't doesn't don't hadn't hasn't haven't isn't mightn't mustn't needn't oughtn't "
    "shan't shouldn't wasn't weren't won't wouldn't could've might've must've should've would've not've you've "
    "they've who've what've where've we've he'd how'd he's how's that's there's what's where's who's when's why's "
    "somebody's someone's it'd there'd they'd who'd you'd where'd someone'd something'd it'll they'll you'll who'll "
    "what'll why'll how'll somebody'll someone'll something'll they're you're what're why're there're ma'am o'clock "
    "y'all 'twas couldn't've hadn't've he'd've it'd've mightn't've she'd've shouldn't've somebody'd've someone'd've "
    "something'd've there'd've they'd've we'd've who'd've wouldn't've y'all'd've y'all'll you'd've 'ow's'at"
)
_CONTRACTIONS = {
    word[:at] + word[at + 1 :]: word for word in _CONTRACTED.split() for at, mark in enumerate(word) if mark == "'"
} | {"somebody'd": "somebodyd"}  # as published


def strict(answer: str, sample: Sample) -> float:
    """Return the soft accuracy of an answer as for TextVQA; `sample.answers` has one per person, repeats included."""
    return soft_accuracy(answer, sample.answers)


def strict_vqav2(answer: str, sample: Sample) -> float:
    """Return the soft accuracy of an answer as for VQAv2."""
    return soft_accuracy(answer, sample.answers, bare)


def credit(answer: str, sample: Sample) -> float:
    """Return the highest soft accuracy of the answer itself and of the references that it states in a sentence."""
    said = {reference for reference in sample.answers if states(normalise(answer), normalise(reference))}
    final = soft_accuracy(final_answer(answer), sample.answers)
    return max([final, *(soft_accuracy(reference, sample.answers) for reference in said)])


def soft_accuracy(answer: str, references: Sequence[str], form: Callable[[str], str] | None = None) -> float:
    """Average min(1, matches / 3) over leaving out each reference in turn; a single reference matches or not.

    Args:
        answer: what the model said.
        references: one answer per person.
        form: how answers are normalised; `normalise` if None.
    """
    form = form or normalise
    given, people = form(answer), [form(reference) for reference in references]
    if len(people) < 2:
        return float(given in people)
    matches = people.count(given)
    return sum(min(1.0, (matches - (person == given)) / 3) for person in people) / len(people)


def normalise(text: str) -> str:
    """Normalise an answer as TextVQA's server does: `bare`, after commas, question marks and "'s" were taken apart."""
    return bare(text.lower().replace(",", "").replace("?", "").replace("'s", " 's"))


def bare(text: str) -> str:
    """Normalise an answer as the script of VQAv2 does."""
    given = text.replace("\n", " ").replace("\t", " ").strip()
    plain, in_number = given, _THOUSANDS.search(given) is not None
    for mark in _MARKS:
        # A mark next to a space anywhere is dropped, and so are all marks where a comma separates thousands; one that
        # occurs only within words becomes a space.
        dropped = in_number or f"{mark} " in given or f" {mark}" in given
        plain = plain.replace(mark, "" if dropped else " ")
    words = (_DIGITS.get(word, word) for word in _STOP.sub("", plain, count=_STOPS).lower().split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in ("a", "an", "the"))
