"""Answers to scores, by rules and with no model in the loop.

Every rule scores twice, 0 to 1. The strict score is what the benchmark's published rule gives, but that nothing is
won by a guess: where a published evaluation draws an option at random, or takes a default, or asks a language model,
there is no answer. With format credit, an answer with the right content in another format counts as well; it is never
less.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

from vqttt.scoring import choices, mmmu, numbers, ocr, plain, vqa, yes_no
from vqttt.scoring.plain import normalise
from vqttt.types import Sample

__all__ = ["RULES", "Rule", "format_score", "normalise", "score"]

Scorer: TypeAlias = Callable[[str, Sample], float]


class Rule(NamedTuple):
    """The published rule, and what earns format credit beside it."""

    strict: Scorer
    credit: Scorer


def _chosen(choose: Callable[[str, Sequence[str]], int | None]) -> Rule:
    """Make the rule of a benchmark whose references are letters; an option may itself be called "B"."""

    def judge(how: Callable[[str, Sequence[str]], int | None], answer: str, sample: Sample) -> float:
        chosen = how(answer, sample.choices)
        return float(chosen is not None and chosen in {choices.position(one, sample.choices) for one in sample.answers})

    return Rule(partial(judge, choose), partial(judge, choices.extract_choice))


def _said(say: Callable[[str], str | None]) -> Rule:
    """Make the rule of a benchmark whose references are `yes` and `no`."""

    def judge(how: Callable[[str], str | None], answer: str, sample: Sample) -> float:
        return float(how(answer) in sample.answers)

    return Rule(partial(judge, say), partial(judge, yes_no.yes_or_no))


def _exact(answer: str, sample: Sample) -> float:
    """Compare texts without case and punctuation, as GQA and RealWorldQA do; articles stay."""
    return float(_letters(answer) in {_letters(reference) for reference in sample.answers} - {""})


def _letters(text: str) -> str:
    return " ".join("".join(mark for mark in text.lower() if mark.isalnum() or mark.isspace()).split())


RULES: dict[str, Rule] = {
    "": Rule(plain.strict, plain.credit),
    "exact": Rule(_exact, plain.credit),
    "letter": _chosen(choices.letter),
    "scienceqa": _chosen(choices.scienceqa),
    "mmstar": _chosen(choices.mmstar),
    "mmbench": _chosen(choices.mmbench),
    "mmmu-choice": _chosen(choices.mmmu),
    "mmmu-open": Rule(mmmu.open_answer, mmmu.open_credit),
    "mathvista-choice": Rule(numbers.mathvista_choice, numbers.mathvista_choice_credit),
    "mathvista-integer": Rule(*numbers.mathvista("integer")),
    "mathvista-list": Rule(*numbers.mathvista("list")),
    **{f"mathvista-float-{places}": Rule(*numbers.mathvista("float", places)) for places in range(1, 5)},
    "vqa": Rule(vqa.strict, vqa.credit),
    "mme": _said(yes_no.mme),
    "pope": _said(yes_no.pope),
    "chartqa": Rule(numbers.chartqa, numbers.chartqa_credit),
    "ocrbench": Rule(ocr.contains, ocr.contains_credit),
    "ocrbench-expression": Rule(ocr.contains_expression, ocr.expression_credit),
}
"""The rules by name; a sample says which is its own, and has `` if its task has none."""


def score(answer: str, sample: Sample) -> float:
    """Score an answer by its sample's rule, 0 to 1; an empty answer has 0."""
    return RULES[sample.rule].strict(answer, sample) if answer.strip() else 0.0


def format_score(answer: str, sample: Sample) -> float:
    """Score an answer with format credit, 0 to 1: at least its `score`."""
    return max(score(answer, sample), RULES[sample.rule].credit(answer, sample)) if answer.strip() else 0.0
