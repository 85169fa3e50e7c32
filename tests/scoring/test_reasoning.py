"""Only the answer of a model that reasons aloud is scored, by every rule; and no answer makes a rule fail."""

import time

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.fuzzing import examples
from vqttt.scoring import RULES, format_score, score
from vqttt.scoring.aggregates import aggregate
from vqttt.scoring.reasoning import without_reasoning
from vqttt.types import Sample

QUESTIONS = (
    (("B",), ("green", "red", "dark red", "")),
    (("B",), (" ",)),
    (("45°",), ("30°", "45°")),
    (("yes",), ()),
    (("0.5", "12", "[1, 2]"), ()),
    (("stop", "stop", "a", "the"), ()),
    (("",), ()),
)
PARTS = (
    "yes", "No", "A", "B", "(C)", "12", ".5", "1e999", "nan", "%", "$", "[", "]", "{", "**", "answer is", "Answer:",
    "The answer is ", "option ", ".", ",", " ", "\n", "<", ">", "<think>", "</think>", "<answer>", "</answer>", "\x00",
    "\ud800", "²", "İ", "ſ", "\\frac", "red", "45°", "-",
)  # fmt: skip
ANSWERS = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PARTS), max_size=8).map("".join))
THOUGHTS = st.text(max_size=40).map(lambda text: text.replace("<", "(").replace("◁", "("))


def questions(rule: str) -> list[Sample]:
    return [
        Sample(
            id="x",
            load=lambda: np.zeros((1, 1, 3), np.uint8),
            question="?",
            answers=answers,
            choices=choices,
            rule=rule,
        )
        for answers, choices in QUESTIONS
    ]


@pytest.mark.parametrize("rule", RULES)
@examples(30)
@given(thoughts=THOUGHTS, answer=ANSWERS)
@example(thoughts="There is a dog, not a cat.", answer="Yes")
@example(thoughts="A or C", answer="B")
def test_reasoning_changes_no_score(rule: str, thoughts: str, answer: str) -> None:
    for question in questions(rule):
        for reasoned in (f"<think>{thoughts}</think>{answer}", f"{thoughts}</think>{answer}"):
            assert score(reasoned, question) == score(answer, question)
            assert format_score(reasoned, question) == format_score(answer, question)


@pytest.mark.parametrize("rule", RULES)
@examples(50)
@given(answer=ANSWERS)
@example(answer="[" * 3000)
@example(answer="9" * 3000)
def test_no_answer_makes_a_rule_fail(rule: str, answer: str) -> None:
    for question in questions(rule):
        assert 0 <= score(answer, question) <= format_score(answer, question) <= 1


@pytest.mark.parametrize(
    "answer", ["answer" + " " * 4000 + ",", "answer is" + " \n" * 4000 + ",", "is " * 2000 + "?", ": " * 4000]
)
def test_long_answers_are_scored_at_once(answer: str) -> None:
    start = time.perf_counter()
    for rule in RULES:
        for question in questions(rule)[:4]:
            format_score(answer, question)
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("<think>A? C?</think>\nB", "B"), ("A? C?</think>B", "B"), ("<THINKING>A</Thinking>B", "B"),
        ("<reasoning>A</reasoning>B", "B"), ("◁think▷A◁/think▷B", "B"), ("<think>A</think>no<think>C</think>B", "B"),
        ("<think>A</think><answer>B</answer>", "B"), ("<answer> B </answer>\n", "B"), ("\n B\n", "B"),
        ("<answer>B", "<answer>B"), ("I say <answer>B</answer>", "I say <answer>B</answer>"),
        ("<think>so B", ""), (" <think>\nso B", ""), ("<think>A</think><think>so B", ""), ("<think></think>", ""),
        ("a < b", "a < b"), ("<b>", "<b>"), ("1 <2> 3", "1 <2> 3"), ("it says <think>", "it says <think>"),
        ("<thinker>B", "<thinker>B"), ("i think B", "i think B"), ("", ""),
    ],
)  # fmt: skip
def test_what_is_left_of_an_answer(said: str, answer: str) -> None:
    assert without_reasoning(said) == answer


def test_reasoning_that_was_cut_off_scores_nothing() -> None:
    question = questions("letter")[0]
    assert score("<think>B", question) == format_score("<think>Option B is right, so B", question) == 0
    assert score("<think>not A</think>B", question) == 1


@pytest.mark.parametrize("rule", ["", "letter", "scienceqa", "mmstar", "mmbench", "mmmu-choice", "realworldqa"])
def test_the_line_breaks_after_reasoning_do_not_hide_a_letter(rule: str) -> None:
    assert score("<think>Option A shows a cat. Maybe C?</think>\n\nB", questions(rule)[0]) == 1


def test_popes_sums_ignore_reasoning_as_well() -> None:
    row = {"category": "random", "reference": "yes", "answer": "<think>There is a dog, not a cat.</think>Yes"}
    assert aggregate("pope", [row])["accuracy"] == 100
