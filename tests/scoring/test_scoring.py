"""Every published rule on answers scored by hand, and what format credit adds."""

import numpy as np
import pytest

from vqttt.scoring import RULES, format_score, score
from vqttt.scoring.choices import extract_choice
from vqttt.scoring.mmmu import candidates
from vqttt.scoring.numbers import edit_distance, nearest
from vqttt.scoring.vqa import bare, normalise, soft_accuracy
from vqttt.scoring.yes_no import mme, pope, yes_or_no
from vqttt.types import Sample

COLORS = ("green", "red", "dark red", "blue")


def sample(rule: str, *answers: str, choices: tuple[str, ...] = ()) -> Sample:
    return Sample(
        id="x", load=lambda: np.zeros((1, 1, 3), np.uint8), question="?", answers=answers, choices=choices, rule=rule
    )


def both(answer: str, question: Sample) -> tuple[float, float]:
    return score(answer, question), format_score(answer, question)


@pytest.mark.parametrize("rule", RULES)
def test_an_empty_answer_is_wrong_and_format_credit_is_never_less(rule: str) -> None:
    questions = [sample(rule, "B", choices=COLORS), sample(rule, "yes"), sample(rule, "12"), sample(rule, "[1, 2]")]
    for question in questions:
        assert both("", question) == both(" \n", question) == (0, 0)
        for answer in ("B", "yes", "No.", "12", "the answer is 12", "[1, 2]", "(", "$", "red", "€ 1,200.5%", "[" * 9):
            assert 0 <= score(answer, question) <= format_score(answer, question) <= 1


# The answer, then whether each rule takes it for option B of COLORS: letter, scienceqa, mmstar, mmbench, mmmu-choice,
# and format credit.
CHOICES = [
    ("B", 1, 1, 1, 1, 1, 1),
    ("b", 1, 0, 1, 0, 0, 1),
    ("B.", 1, 0, 1, 1, 1, 1),
    ("(B)", 1, 0, 1, 1, 1, 1),
    ("B. red", 1, 1, 1, 1, 0, 1),
    ("B) red", 0, 0, 1, 1, 0, 1),
    ("B: red", 0, 0, 1, 1, 0, 1),
    ("Answer: B", 0, 0, 0, 1, 1, 1),
    ("The answer is B.", 0, 1, 1, 1, 1, 1),
    ("The answer is (B), for it is red", 0, 0, 0, 1, 1, 1),
    ("Option B", 0, 0, 1, 1, 1, 1),
    ("red", 0, 0, 0, 1, 0, 1),
    ("It looks like it is blood red to me", 0, 0, 0, 1, 1, 1),
    ("As far as anybody can tell from here it is red", 0, 0, 0, 0, 1, 1),
    ("It is not A but B", 0, 0, 0, 0, 1, 0),
    ("A", 0, 0, 0, 0, 0, 0),
    ("A red one", 0, 0, 0, 0, 0, 1),
    ("dark red", 0, 0, 0, 0, 0, 0),
    ("Because of the light", 0, 0, 1, 0, 0, 0),
    ("Z", 0, 0, 0, 0, 0, 0),
    ("**B**", 1, 0, 0, 1, 0, 1),
    ("I cannot tell", 0, 0, 0, 0, 0, 0),
]


@pytest.mark.parametrize(("answer", "letter", "scienceqa", "mmstar", "mmbench", "mmmu", "credit"), CHOICES)
def test_choices(answer, letter, scienceqa, mmstar, mmbench, mmmu, credit) -> None:
    rules = {"letter": letter, "scienceqa": scienceqa, "mmstar": mmstar, "mmbench": mmbench, "mmmu-choice": mmmu}
    strict = {rule: score(answer, sample(rule, "B", choices=COLORS)) for rule in rules}
    assert strict == rules
    assert extract_choice(answer, COLORS) == 1 or not credit
    assert {rule: format_score(answer, sample(rule, "B", choices=COLORS)) for rule in rules} == {
        rule: max(taken, credit) for rule, taken in rules.items()
    }


@pytest.mark.parametrize(
    ("answer", "taken"),
    [
        ("B", 1), ("B. red", 1), ("(B) red", 1), ("B) red", 1), ("B: red", 1), ("The answer is B.", 1), ("A. red", 0),
        ("(B) or (A)", 0), ("(A) or (B)", 1), ("It is B because of the light", 1), ("b", 0), ("red", 0), ("Because", 0),
        ("D or B", 0), ("The answer is Blue", 1),
    ],
)  # fmt: skip
def test_realworldqa_takes_the_letter_with_the_strongest_mark(answer: str, taken: int) -> None:
    assert score(answer, sample("realworldqa", "B", choices=COLORS)) == taken


def test_realworldqa_compares_open_answers_but_for_case_and_a_full_stop() -> None:
    answers = ("2", " 2.", "2!", "two", "2 cars")
    assert [score(answer, sample("realworldqa-open", "2")) for answer in answers] == [1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("answer", "taken"),
    [("B", 1), ("B. red", 1), ("The answer is B.", 1), ("The answer is B, for", 1), ("The answer is B", 0), ("B.", 0),
     ("b", 0), ("the answer is B.", 0), ("(B)", 0), ("The answer is A. The answer is B.", 0), ("Z", 0)],
)  # fmt: skip
def test_scienceqa_takes_what_llavas_script_takes(answer: str, taken: int) -> None:
    assert score(answer, sample("scienceqa", "B", choices=COLORS)) == taken


def test_a_letter_means_the_option_in_that_place_not_one_of_that_name() -> None:
    """Diagrams have options that are letters: "B" names the second, which is called C."""
    question = sample("letter", "B", choices=("B", "C", "D", "A"))
    assert both("B", question) == (1, 1)
    assert both("C", question) == (0, 0)
    assert both("D", sample("letter", "F", choices=COLORS)) == (0, 0)


def test_mmmu_takes_the_last_of_several_letters_and_never_guesses() -> None:
    question = sample("mmmu-choice", "B", choices=COLORS)
    assert score("(A) is wrong, so (B)", question) == 1
    assert score("(B) is wrong, so (A)", question) == 0
    assert score("A or B ?", question) == 1
    assert [score(f"unclear {number}", question) for number in range(20)] == [0] * 20


@pytest.mark.parametrize(
    ("answer", "reference", "strict", "credit"),
    [
        ("12", "12", 1, 1), ("the total is 12.", "12", 1, 1), ("12.004", "12", 1, 1), ("1,200", "1200", 1, 1),
        ("x = 5", "5", 1, 1), ("15", "5", 0, 0), ("The speed is 15 m/s", "5", 0, 0), ("-3.5e2", "-350", 1, 1),
        ("a cell membrane", "membrane", 1, 1), ("it is the membrane, I think", "membrane", 1, 1),
        ("so 3 and therefore 4", "4", 1, 1), ("mitochondria", "membrane", 0, 0), ("apple", "a", 0, 0), ("a", "a", 1, 1),
        ("The result is 7, and the area is large", "7", 0, 1),
    ],
)  # fmt: skip
def test_mmmu_open(answer: str, reference: str, strict: int, credit: int) -> None:
    assert both(answer, sample("mmmu-open", reference)) == (strict, credit)
    assert score(answer, sample("mmmu-open", "no such thing", reference)) == strict


def test_mmmu_open_cuts_to_key_parts() -> None:
    assert candidates("First x is 3.\nThe final answer is 1,200") == ["3.", "1,200", "3", "1,200", "200"]
    assert candidates("Membrane.") == ["membrane"]


@pytest.mark.parametrize(
    ("answer", "by_mme", "by_pope", "by_us"),
    [
        ("Yes", "yes", "yes", "yes"), ("yes.", "yes", "yes", "yes"), ("No,", "no", "no", "no"),
        ("y", "yes", None, None), ("Yes!", "yes", "yes", "yes"), ("**Yes**", None, "yes", "yes"),
        ("yesterday", "yes", None, None),
        ("N", "no", None, None), ("No, there is a yes sign", "no", "no", "no"), ("", None, None, None),
        ("not at all", "no", "no", "no"), ("There is no dog.", None, "no", "no"), ("There is a dog.", None, None, None),
        ("Yes. But no cat", "yes", "yes", "yes"), ("The answer is yes", None, "yes", "yes"),
        ("green", None, None, None),
        ("There isn't", None, None, "no"), ("A dog. No cat", None, None, "no"), ("yes or no", "yes", "no", "yes"),
        ("Nothing", "no", None, None), ("It is yes, not no", None, "no", None), ("NO", "no", None, "no"),
    ],
)  # fmt: skip
def test_yes_and_no(answer: str, by_mme: str | None, by_pope: str | None, by_us: str | None) -> None:
    assert (mme(answer), pope(answer), yes_or_no(answer)) == (by_mme, by_pope, by_us)
    assert score(answer, sample("mme", "no")) == (by_mme == "no")
    assert score(answer, sample("pope", "yes")) == (by_pope == "yes")
    assert format_score(answer, sample("pope", "no")) == ("no" in (by_pope, by_us))


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Red Car.", "red car"), ("two", "2"), ("None", "0"), ("dont", "don't"), ("1,200", "1200"), ("3.5", "3.5"),
        ("A dog; a cat!", "dog cat"), ("well-known", "well known"), ("well - known", "well known"), ("yes?", "yes"),
        ("its", "its"), ("joe's", "joe 's"), ("a\nb", "b"), ("St. John", "st john"), ("", ""),
    ],
)  # fmt: skip
def test_vqa_normalisation(text: str, normal: str) -> None:
    assert normalise(text) == normal


@pytest.mark.parametrize("rule", ["vqa", "vqav2"])
def test_vqa_takes_answers_that_normalise_to_nothing(rule: str) -> None:
    question = sample(rule, *["the"] * 6, *["a"] * 4)
    assert [score(answer, question) for answer in ("the", "a", "-", "one", "")] == [1, 1, 1, 0, 0]


def test_vqav2_leaves_the_comma_in_a_number_to_take_all_marks_along() -> None:
    assert [bare("1,000;red"), normalise("1,000;red"), bare("it's"), normalise("it's")] == [
        "1000red", "1000 red", "it's", "it 's",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"),
    # Of ten people k agree; leaving out one of them leaves k - 1: (k min(1, (k-1)/3) + (10-k) min(1, k/3)) / 10.
    [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)],
)  # fmt: skip
def test_soft_accuracy(given: int, expected: float) -> None:
    people = ["Red."] * given + [f"color {n}" for n in range(10 - given)]
    assert soft_accuracy("the red", people) == pytest.approx(expected)


def test_soft_accuracy_in_a_sentence_earns_only_format_credit() -> None:
    question = sample("vqa", *["stop"] * 8, "go", "go now")
    assert both("stop", question) == (1, 1)
    assert both("The sign says stop.", question) == (0, 1)
    assert both("Answer: go", question) == (pytest.approx(0), pytest.approx(0.3))
    assert both("stopped", question) == (0, 0)
    assert both("no", sample("vqa", *["yes"] * 10)) == (0, 0)
    assert soft_accuracy("red", ["red"]) == 1 and soft_accuracy("red", ["blue"]) == 0


@pytest.mark.parametrize(
    ("answer", "reference", "strict", "credit"),
    [
        ("100", "104", 1, 1), ("100", "106", 0, 0), ("95", "100", 1, 1), ("94.9", "100", 0, 0), ("12%", "0.12", 1, 1),
        ("12%", "12", 0, 1), ("12", "12%", 0, 1), ("1,200", "1200", 0, 1), ("$1200", "1200", 0, 1),
        ("Blue", "blue", 1, 1),
        ("blue.", "blue", 0, 1), ("The bar is blue", "blue", 0, 1), ("bluebird", "blue", 0, 0), ("0", "0", 1, 1),
        ("0.01", "0", 0, 0), ("It is 57 million", "57", 0, 1), ("-5", "5", 0, 0), ("Yes", "yes", 1, 1),
        ("nan", "5", 0, 0),
        ("2014", "2010", 1, 1), ("57 in 2014", "57", 0, 0),
    ],
)  # fmt: skip
def test_chartqa(answer: str, reference: str, strict: int, credit: int) -> None:
    assert both(answer, sample("chartqa", reference)) == (strict, credit)


@pytest.mark.parametrize(
    ("rule", "answer", "reference", "strict", "credit"),
    [
        ("mathvista-integer", "5", "5", 1, 1), ("mathvista-integer", "5.0", "5", 1, 1),
        ("mathvista-integer", "The answer is 5.", "5", 1, 1), ("mathvista-integer", "There are 5 of them", "5", 0, 1),
        ("mathvista-integer", "1,200", "1200", 0, 1), ("mathvista-integer", "five", "5", 0, 0),
        ("mathvista-integer", "6", "5", 0, 0), ("mathvista-float-1", "1.23", "1.2", 1, 1),
        ("mathvista-float-1", "1.26", "1.2", 0, 0), ("mathvista-float-2", "1.2", "1.2", 1, 1),
        ("mathvista-float-1", ".5", "0.5", 1, 1), ("mathvista-float-1", "The answer is .5.", "0.5", 1, 1),
        ("mathvista-float-1", "-.5", "-0.5", 1, 1), ("mathvista-float-1", ".5", "5.0", 0, 0),
        ("mathvista-integer", ".5", "5", 0, 0), ("mathvista-integer", ".5", "0", 1, 1),
        ("mathvista-integer", 'The answer is "5".', "5", 1, 1),
        ("mathvista-float-2", "x is 0.456 m", "0.46", 0, 1), ("mathvista-list", "[1, 2]", "[1, 2]", 1, 1),
        ("mathvista-list", "[1,2]", "[1, 2]", 0, 1), ("mathvista-list", "the list [1, 2] it is", "[1, 2]", 0, 1),
        ("mathvista-list", "1, 2", "[1, 2]", 0, 0), ("mathvista-list", "[1, 3]", "[1, 2]", 0, 0),
    ],
)  # fmt: skip
def test_mathvista_numbers(rule: str, answer: str, reference: str, strict: int, credit: int) -> None:
    assert both(answer, sample(rule, reference)) == (strict, credit)


def test_mathvista_choices() -> None:
    question = sample("mathvista-choice", "45°", choices=("30°", "45°", "60°", "cannot be determined"))
    answers = ("45°", "B", "(B)", "Answer: (B) 45°", "45 °", "(A)", "C", "")
    assert [score(answer, question) for answer in answers] == [1, 1, 1, 1, 1, 0, 0, 0]
    assert both("Two equal sides and a right angle: the angle is 45°", question) == (0, 1)
    assert nearest("cannot determine", question.choices) == 3
    numbers = sample("mathvista-choice", "15", choices=("12", "15", "5", "51"))
    answers = ("B. 15", "(B) 15", "B) 15", "B: 15", "15", "A. 15", "(C) 15", "because it is 15 I take it")
    assert [score(answer, numbers) for answer in answers] == [1, 1, 1, 1, 1, 0, 0, 0]
    assert nearest("x", ("", "yy", "x")) == 2
    assert [edit_distance(*pair) for pair in (("kitten", "sitting"), ("", "abc"), ("abc", "abc"))] == [3, 3, 0]


@pytest.mark.parametrize(
    ("rule", "answer", "reference", "strict", "credit"),
    [
        ("ocrbench", "The word is CENTRE.", "centre", 1, 1), ("ocrbench", "two\nlines", "two lines", 1, 1),
        ("ocrbench", "cent re", "centre", 0, 1), ("ocrbench", "center", "centre", 0, 0),
        ("ocrbench-expression", r"\frac { 1 } { 2 }", r"\frac{1}{2}", 1, 1),
        ("ocrbench-expression", "X + 1", "x + 1", 0, 0), ("ocrbench-expression", r"$x^{2}$", "x ^ 2", 0, 1),
        ("ocrbench-expression", r"it is x^2 + 1", "x ^ 2 + 1", 1, 1),
    ],
)  # fmt: skip
def test_ocrbench(rule: str, answer: str, reference: str, strict: int, credit: int) -> None:
    assert both(answer, sample(rule, "no such text", reference)) == (strict, credit)


@pytest.mark.parametrize(
    ("answer", "reference", "strict", "credit"),
    [
        ("Left.", "left", 1, 1), ("left", "right", 0, 0), ("to the left", "left", 0, 1), ("the left", "left", 0, 1),
        ("T-shirt", "t shirt", 0, 0), ("t-shirt", "T-Shirt", 1, 1), ("?", "!", 1, 1), ("5°", "5", 0, 1),
    ],
)  # fmt: skip
def test_exact(answer: str, reference: str, strict: int, credit: int) -> None:
    assert both(answer, sample("exact", reference)) == (strict, credit)


@pytest.mark.parametrize(
    ("answer", "reference", "strict", "credit"),
    [
        ("red", "red", 1, 1), ("It is red.", "red", 0, 1), ("redder", "red", 0, 0), ("There are 3", "3", 0, 1),
        ("3 of 4", "3", 0, 0), ("Yes, it is", "yes", 0, 1), ("no, yes", "yes", 0, 0), ("Answer: **red**", "red", 0, 1),
    ],
)  # fmt: skip
def test_plain_format_credit(answer: str, reference: str, strict: int, credit: int) -> None:
    assert both(answer, sample("", reference)) == (strict, credit)
