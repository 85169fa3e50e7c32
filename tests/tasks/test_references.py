"""A reference of a multiple-choice question names exactly one option, or the question is marked."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.support.fuzzing import examples
from vqttt.images.files import save_image
from vqttt.scoring import RULES, score
from vqttt.tasks import load_task, question_text
from vqttt.tasks.broken import fault
from vqttt.tasks.references import BY_LETTER, BY_TEXT, letter_at, option_named, options, settle
from vqttt.types import LETTERS, Sample, letters_of

SHAPES = ("a red triangle", "a blue circle", "a red shape", "a square")


@pytest.mark.parametrize(
    ("reference", "choices", "letter_first", "letter"),
    [
        ("B", SHAPES, True, "B"), ("b", SHAPES, True, "B"), ("B.", SHAPES, True, "B"), ("(B)", SHAPES, True, "B"),
        ("[B]", SHAPES, True, "B"), (" B ) ", SHAPES, True, "B"), ("a red shape", SHAPES, True, "C"),
        ("A Red  Shape.", SHAPES, True, "C"), ("red shape", SHAPES, True, "C"), ("C. a red shape", SHAPES, True, "C"),
        ("(D) square", SHAPES, True, "D"), ("2", ("6", "3", "4", "2"), True, "D"),
        ("2", ("6", "3", "4", "2"), False, "D"), ("2.0", ("6", "3", "4", "2"), False, "D"),
        ("1200", ("1,300", "1,200"), True, "B"),
        ("B", ("B", "C", "D", "A"), True, "B"), ("B", ("B", "C", "D", "A"), False, "A"),
        ("Two", ("", "Two", "One"), True, "B"), ("C", ("", "Two", "One"), True, "C"),
        ("None", ("One", "None"), True, "B"),
        ("12", ("1,2", "12"), False, "B"), (".", ("!", "."), False, "B"), ("D", ("", "", "", ""), True, "D"),
    ],
)  # fmt: skip
def test_what_names_an_option(reference: str, choices: tuple[str, ...], letter_first: bool, letter: str) -> None:
    assert LETTERS[option_named(reference, choices, letter_first=letter_first)] == letter


@pytest.mark.parametrize("letter_first", [True, False])
@pytest.mark.parametrize(
    ("reference", "choices", "reason"),
    [
        ("AC", SHAPES, "names none of the options A, B, C, D"), ("A, C", SHAPES, "names none"),
        ("['A', 'C']", SHAPES, "names none"), ("DE", SHAPES, "names none"), ("a green star", SHAPES, "names none"),
        ("E", SHAPES, "names none"), ("0", SHAPES, "names none"), ("B. a square", SHAPES, "names none"),
        ("A", ("", "Two", "One"), "names none of the options B, C"), ("red", ("red", "blue", "red"), "options A and C"),
        ("the cat", ("Cat", "cat."), "options A and B"), ("\ufb06", ("x",) * 20, "names none"),
    ],
)  # fmt: skip
def test_what_names_no_option_or_several(reference, choices, reason, letter_first) -> None:
    with pytest.raises(ValueError, match=reason):
        option_named(reference, choices, letter_first=letter_first)


def test_an_index_counts_from_zero() -> None:
    assert [letter_at(index, SHAPES) for index in (0, "3", 2.0, "1.0", "b", None)] == ["A", "D", "C", "B", "B", ""]
    for index in (-1, 4, "25", "seven", 1.5):
        with pytest.raises(ValueError, match="option"):
            letter_at(index, SHAPES)
    with pytest.raises(ValueError, match="not the index of an option"):
        letter_at(0, ("", "Two"))


def test_options_keep_their_letters() -> None:
    assert options(["", None, "One", 3, True, " ", float("nan")]) == ("", "", "One", "3", "yes")
    assert letters_of(options(["", "Two", "One", "Three"])) == "BCD"
    with pytest.raises(ValueError, match="all options are empty"):
        options(["", None])
    assert options(None) == options([]) == () and options("['x', 'y']") == ("x", "y")
    for wrong in ("AC", {"A": "x"}, 7):
        with pytest.raises(ValueError, match="the choices must be a list of options"):
            options(wrong)
    with pytest.raises(ValueError, match="at most 26"):
        options(["x"] * 27)


def test_references_are_settled_as_their_rule_compares_them() -> None:
    assert settle(["(c)"], SHAPES, "mmbench") == ("C",)
    assert settle(["c."], SHAPES, "mathvista-choice") == ("a red shape",)
    assert settle(["B"], SHAPES, "") == ("B",)  # as it is, where scoring reads it right
    assert settle(["B", "a blue circle"], SHAPES, "letter") == ("B",)
    assert settle(["red", "dark red"], (), "") == ("red", "dark red")
    assert settle(["None"], (), "exact") == ("None",)
    with pytest.raises(ValueError, match="name different options"):
        settle(["A", "C"], SHAPES, "letter")
    for nothing in ([], [""], [" ", ""]):
        with pytest.raises(ValueError, match="the answer is empty"):
            settle(nothing, SHAPES, "")


def test_yes_and_no_are_settled_as_they_are_scored() -> None:
    """Published answers are `yes` and `no`; "Yes." as such would be wrong whatever the model says."""
    for rule in ("mme", "pope"):
        for reference, wanted in {"Yes": "yes", "NO.": "no", " yes ": "yes"}.items():
            assert settle([reference], (), rule) == (wanted,)
        with pytest.raises(ValueError, match="'maybe' is neither yes nor no"):
            settle(["maybe"], (), rule)


@pytest.mark.parametrize("rule", [*BY_LETTER, "mathvista-choice"])
def test_a_question_without_options_is_refused_where_they_are_scored(rule: str) -> None:
    with pytest.raises(ValueError, match="no options to choose from"):
        settle(["A"], (), rule)


def test_every_rule_is_settled_in_the_form_that_it_scores() -> None:
    """For a rule that is missing in either list, a reference would be left as it is written."""
    for name in RULES:
        sample = Sample(id="x", load=lambda: np.zeros(1), question="?", answers=("(C)",), choices=SHAPES, rule=name)
        right = {"A": 0.0, "C": 1.0}
        if name in (*BY_LETTER, *BY_TEXT):
            settled = Sample(**{**vars(sample), "answers": settle(sample.answers, SHAPES, name)})
            assert {answer: score(answer, settled) for answer in right} == right, name
        else:
            lettered = Sample(**{**vars(sample), "answers": ("C",)})
            texts = {answer: score(answer, lettered) for answer in ("a red shape", "C. a red shape")}
            assert set(texts.values()) <= {0.0} or name.startswith(("ocrbench", "mmmu-open", "realworldqa-open")), name


words = some.text(max_size=8) | some.sampled_from(["A", "b", "C.", "(D)", "2", "2.0", "red", "the red", "a", "None"])


@examples(300)
@given(words, some.lists(words, max_size=6), some.sampled_from([*BY_LETTER, *BY_TEXT]))
def test_any_reference_is_right_for_one_option_or_refused(reference: str, given_options: list[str], rule: str) -> None:
    try:
        choices = options(given_options)
        answers = settle([reference], choices, rule)
    except ValueError as error:
        assert "\n" not in str(error)
        return
    if not choices:
        return
    sample = Sample(id="x", load=lambda: np.zeros(1), question="?", answers=answers, choices=choices, rule=rule)
    index = option_named(reference, choices, letter_first=rule in BY_LETTER)
    letter = LETTERS[index]
    if rule in BY_LETTER and letter in "ABCDE":
        assert score(letter, sample) == 1
        others = [one for one in letters_of(choices) if one != letter]
        assert not any(score(one, sample) for one in others if one in "ABCDE")
    assert choices[index].strip() or not any(choices)
    assert f"{letter}. {choices[index]}" in question_text(sample)


REFERENCES = {
    "AC": "", "A, C": "", "['A', 'C']": "", "a red shape": "C", "B.": "B", "(B)": "B", "0": "", "2": "", "b": "B",
    "DE": "", "a green star": "",
}  # fmt: skip
"""References as files have them, and the letter of the option that each names."""


def test_references_in_a_tsv_file(tmp_path: Path) -> None:
    save_image(np.zeros((8, 8, 3), np.uint8), tmp_path / "a.png")
    rows = [[str(n), "Which?", answer, *SHAPES, "a.png"] for n, answer in enumerate([*REFERENCES, '["C"]'])]
    rows.append(["n", "How many?", "2", "6", "3", "4", "2", "a.png"])
    lines = [["index", "question", "answer", "A", "B", "C", "D", "image_path"], *rows]
    (tmp_path / "r.tsv").write_text("\n".join(map("\t".join, lines)))
    read = load_task(f"tsv:{tmp_path / 'r.tsv'}")
    for sample, letter in zip(read, [*REFERENCES.values(), "C", "D"], strict=True):
        assert (sample.answers, bool(fault(sample))) == ((letter,), not letter)
        assert [score(one, sample) for one in "ABCD"] == [float(one == letter) for one in "ABCD"]


def test_options_in_a_tsv_file_keep_their_letters(tmp_path: Path) -> None:
    save_image(np.zeros((8, 8, 3), np.uint8), tmp_path / "a.png")
    rows = (
        ("none", "A", "None", "Two", "One", "Three"), ("first-empty", "C", "", "Two", "One", "Three"),
        ("middle-empty", "D", "Two", "", "One", "Three"), ("on-a-gap", "B", "Two", "", "One", "Three"),
    )  # fmt: skip
    lines = [
        "index\tanswer\tA\tB\tC\tD\tquestion\timage_path",
        *("\t".join((*row, "How many?", "a.png")) for row in rows),
    ]
    (tmp_path / "o.tsv").write_text("\n".join(lines))
    none, first, middle, gap = load_task(f"tsv:{tmp_path / 'o.tsv'}")
    assert none.choices == ("None", "Two", "One", "Three") and score("A", none) == 1
    assert first.choices == ("", "Two", "One", "Three") and score("C", first) == 1 and score("B", first) == 0
    assert middle.choices == ("Two", "", "One", "Three") and score("D", middle) == 1 and score("B", middle) == 0
    assert first.prompt.startswith("How many?\nB. Two\nC. One\nD. Three\nAnswer")
    assert "names none of the options A, C, D" in fault(gap)


def test_open_answers_may_be_called_nothing(tmp_path: Path) -> None:
    save_image(np.zeros((8, 8, 3), np.uint8), tmp_path / "a.png")
    words = ("None", "null", "NaN", "0")
    rows = [f"{word}\tHow many?\t{word}\ta.png" for word in words]
    (tmp_path / "n.tsv").write_text("\n".join(["index\tquestion\tanswer\timage_path", *rows]))
    read = load_task(f"tsv:{tmp_path / 'n.tsv'}")
    assert [(s.id, s.answers, score(s.id, s), fault(s)) for s in read] == [(word, (word,), 1, "") for word in words]


def test_references_in_a_jsonl_file(tmp_path: Path) -> None:
    save_image(np.zeros((8, 8, 3), np.uint8), tmp_path / "a.png")
    wanted = [*REFERENCES.items(), (0, ""), (2, ""), (["A", "C"], ""), (["C"], "C"), (["B", "a blue circle"], "B")]
    rows = [{"image": "a.png", "question": "Which?", "answer": answer, "choices": SHAPES} for answer, _ in wanted]
    rows += [{"image": "a.png", "question": "Which?", "answer": answer, "choices": [6, 3, 4, 2]} for answer in (2, "2")]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)))
    read = load_task(f"jsonl:{tmp_path / 'r.jsonl'}")
    for sample, (answer, letter) in zip(read, wanted, strict=False):
        assert bool(fault(sample)) != bool(letter), answer
        assert [score(one, sample) for one in "ABCD"] == [float(one == letter) for one in "ABCD"], answer
    assert [score("D", sample) for sample in read[-2:]] == [score("2", sample) for sample in read[-2:]] == [1, 1]
    assert "names different options" not in fault(read[0]) and "different options" in fault(read[13])
