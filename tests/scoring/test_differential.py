"""Our rules against the published ones: predictions with the scores that the published code gave (`differential/`).

`differential/make.py` says how the files were made.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vqttt.scoring import RULES, score
from vqttt.scoring.numbers import normalised, option
from vqttt.types import Sample

FOLDER = Path(__file__).parent / "differential"
FILES = sorted(file.stem for file in FOLDER.glob("*.json"))
OF_EXTRACTED = "mathvista-extracted"
NEAREST = "the option nearest to a text that is no option"

# Why a published score and ours may differ, in which files: guesses and defaults that we leave out, and what the
# published evaluation leaves to a language model.
MARKS = {
    "mathvista": {"a language model extracts the answer", NEAREST},
    OF_EXTRACTED: {NEAREST, "a letter before a full stop is left to the language model"},
    "mmbench": {"a letter from within a word"},
    "mmmu-choice": {"an option drawn at random"},
    "mmmu-open": {"nan is a number that equals nothing"},
    "pope": {"whatever is not no counts as yes"},
    "gqa": {"an empty answer"},
    "realworldqa": {"a letter from within a word"},
    "textvqa": {"an empty answer"},
    "vqav2": {"an empty answer"},
    "vqav2-2017": {"an empty answer", "all ten people agree, so nothing is normalised"},
}


def read(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def ours(name: str, question: dict[str, Any], said: str) -> float:
    answers, choices = tuple(question["answers"]), tuple(question.get("choices", ()))
    if name == OF_EXTRACTED and choices:
        index = option(said.strip(), choices)
        return float(index is not None and choices[index] in answers)
    if name == OF_EXTRACTED:
        return float(normalised(said, question["answer_type"], question["precision"]) in answers)
    return score(
        said,
        Sample(
            id="x", load=lambda: np.zeros((1, 1, 3), np.uint8), question="?", answers=answers, choices=choices,
            rule=question["rule"],
        ),
    )  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_strict_scores_are_the_published_ones(name: str) -> None:
    """Only what is marked may differ: there the published code guesses, falls back to a default, or asks a model."""
    file = read(name)
    different = [
        (file["questions"][number]["answers"][0], said, published)
        for number, said, published, mark in file["rows"]
        if not mark and ours(name, file["questions"][number], said) != pytest.approx(published)
    ]
    assert different == []
    assert {mark for *_, mark in file["rows"]} - {""} == MARKS.get(name, set())


@pytest.mark.parametrize("name", FILES)
def test_the_predictions_try_a_rule_from_many_sides(name: str) -> None:
    file = read(name)
    unmarked = [published for _, _, published, mark in file["rows"] if not mark]
    assert len({said for _, said, *_ in file["rows"]}) >= 200
    assert 0.02 < sum(unmarked) / len(unmarked) < 0.98
    assert set(file["reference"]) == {"repository", "commit", "date", "file"}


def test_every_published_rule_has_a_file() -> None:
    covered = {question["rule"] for name in FILES for question in read(name)["questions"]}
    own = {"", "mathvista-float-3", "mathvista-float-4"}  # the default rule, and others that differ in a number only
    assert covered == set(RULES) - own


def test_the_table_of_references_in_the_docs_is_that_of_the_files() -> None:
    page = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert f"{sum(len(read(name)['rows']) for name in FILES):,} predictions" in page
    for name in FILES:
        about = read(name)["reference"]
        row = next((line for line in page.splitlines() if line.startswith(f"| `{name}` | {about['repository']} |")), "")
        assert f"`{about['file']}`" in row
        assert f"{about['commit'][:7]}, {about['date']}" in row
