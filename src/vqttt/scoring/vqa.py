"""Soft accuracy over ten people's answers: VQA (Antol et al. 2015, Goyal et al. 2017) and TextVQA (Singh et al. 2019).

An answer's accuracy is min(1, people who gave it / 3), averaged over leaving out each person in turn. All answers are
first normalised as on the EvalAI servers of both benchmarks: lower case, no punctuation, no articles, number words as
digits, contractions with their apostrophe.
"""

import re
from collections.abc import Sequence

from vqttt.scoring.plain import final_answer, states
from vqttt.types import Sample

_WORDS = "zero one two three four five six seven eight nine ten"
_DIGITS = {word: str(number) for number, word in enumerate(_WORDS.split())} | {"none": "0"}
_MARKS = ';/[]"{}()=+\\_-><@`!'
_STOP = re.compile(r"\.(?!\d)")

# Only those that are not another word without the apostrophe: "its" and "were" stay as they are.
_CONTRACTED = (
    "ain't aren't can't couldn't didn't doesn't don't hadn't hasn't haven't isn't mightn't mustn't needn't oughtn't "
    "shan't shouldn't wasn't weren't won't wouldn't could've might've must've should've would've not've i've we've "
    "you've they've who've what've where've i'm he's how's she's that's there's what's where's who's why's when's "
    "somebody's someone's something's it'd there'd they'd who'd you'd where'd somebody'd someone'd something'd it'll "
    "they'll you'll who'll what'll why'll how'll somebody'll someone'll something'll they're you're what're why're "
    "there're ma'am o'clock y'all"
)
_CONTRACTIONS = {word.replace("'", ""): word for word in _CONTRACTED.split()}


def strict(answer: str, sample: Sample) -> float:
    """Return the soft accuracy of an answer, 0 to 1; `sample.answers` has one answer per person, repeats included."""
    return soft_accuracy(answer, sample.answers)


def credit(answer: str, sample: Sample) -> float:
    """Return the highest soft accuracy of the answer itself and of the references that it states in a sentence."""
    said = {reference for reference in sample.answers if states(normalise(answer), normalise(reference))}
    final = soft_accuracy(final_answer(answer), sample.answers)
    return max([final, *(soft_accuracy(reference, sample.answers) for reference in said)])


def soft_accuracy(answer: str, references: Sequence[str]) -> float:
    """Average min(1, matches / 3) over leaving out each reference in turn; a single reference matches or not."""
    given, people = normalise(answer), [normalise(reference) for reference in references]
    if not given:
        return 0.0
    if len(people) < 2:
        return float(given in people)
    matches = people.count(given)
    return sum(min(1.0, (matches - (person == given)) / 3) for person in people) / len(people)


def normalise(text: str) -> str:
    """Normalise an answer as the EvalAI servers do."""
    plain = text.lower().replace(",", "").replace("?", "").replace("'s", " 's")
    plain = plain.replace("\n", " ").replace("\t", " ").strip()
    given = plain
    for mark in _MARKS:
        # A mark next to a space anywhere is dropped; one that occurs only within words becomes a space.
        joins = f"{mark} " not in given and f" {mark}" not in given
        plain = plain.replace(mark, " " if joins else "")
    words = (_DIGITS.get(word, word) for word in _STOP.sub("", plain).split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in ("a", "an", "the"))
