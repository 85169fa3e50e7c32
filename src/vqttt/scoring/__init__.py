"""Score answers by fixed rules, without a model.

Every rule gives two scores, 0 to 1. The strict score follows the benchmark's published rule, with one exception: where
the published evaluation guesses an option, falls back to a default or asks a language model, the answer counts as
wrong. The score with format credit also accepts the right content in another format, so it is never lower.

Of a model that reasons aloud only the answer is scored (see `vqttt.scoring.reasoning`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

from vqttt.scoring import choices, mmmu, numbers, ocr, plain, vqa, yes_no
from vqttt.scoring.plain import normalise
from vqttt.scoring.reasoning import without_reasoning
from vqttt.types import Sample

__all__ = ["RULES", "Rule", "format_score", "normalise", "score"]

Scorer: TypeAlias = Callable[[str, Sample], float]


class Rule(NamedTuple):
    """How one kind of question is scored: `strict` by the published rule, `credit` by what else earns format credit."""

    strict: Scorer
    credit: Scorer


def _chosen(choose: Callable[[str, Sequence[str]], int | None]) -> Rule:
    """Make the rule of a benchmark whose references are letters; an option's text may itself be a letter."""

    def judge(how: Callable[[str, Sequence[str]], int | None], answer: str, sample: Sample) -> float:
        chosen = how(answer, sample.choices)
        return float(chosen is not None and chosen in {choices.position(one, sample.choices) for one in sample.answers})

    return Rule(partial(judge, choose), partial(judge, choices.extract_choice))


def _said(say: Callable[[str], str | None]) -> Rule:
    """Make the rule of a benchmark whose references are `yes` or `no`."""

    def judge(how: Callable[[str], str | None], answer: str, sample: Sample) -> float:
        return float(how(answer) in sample.answers)

    return Rule(partial(judge, say), partial(judge, yes_no.yes_or_no))


RULES: dict[str, Rule] = {
    "": Rule(plain.strict, plain.credit),
    "exact": Rule(plain.exact, plain.credit),
    "letter": _chosen(choices.letter),
    "realworldqa": _chosen(choices.realworldqa),
    "realworldqa-open": Rule(plain.up_to_full_stop, plain.credit),
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
    "vqav2": Rule(vqa.strict_vqav2, vqa.credit),
    "mme": _said(yes_no.mme),
    "pope": _said(yes_no.pope),
    "chartqa": Rule(numbers.chartqa, numbers.chartqa_credit),
    "ocrbench": Rule(ocr.contains, ocr.contains_credit),
    "ocrbench-expression": Rule(ocr.contains_expression, ocr.expression_credit),
}
"""The rules by name. `Sample.rule` names the one to use; it is empty if the task has no rule of its own."""


def score(answer: str, sample: Sample) -> float:
    """Score an answer by its sample's rule, 0 to 1; an empty answer, or reasoning without an answer, scores 0."""
    final = without_reasoning(answer)
    return RULES[sample.rule].strict(final, sample) if final else 0.0


def format_score(answer: str, sample: Sample) -> float:
    """Score an answer with format credit, 0 to 1; never lower than its `score`."""
    final = without_reasoning(answer)
    rule = RULES[sample.rule]
    return max(rule.strict(final, sample), rule.credit(final, sample)) if final else 0.0
