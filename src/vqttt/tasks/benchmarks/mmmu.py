"""MMMU (Yue et al. 2024): college exams in thirty subjects, `validation`, 900 questions.

A sample has exactly one image, so a question with several is marked as failed.
"""

import re
from typing import Any

from vqttt.tasks.benchmarks.spec import BY_LETTER, BY_PHRASE, Benchmark, Question, Row, lettered, text
from vqttt.tasks.cells import as_texts, listed
from vqttt.tasks.references import options as as_options


def _read(row: Row) -> Question:
    answers, multiple = as_texts(_list(row["answer"])), row["question_type"] == "multiple-choice"
    options = as_options(_list(row["options"])) if multiple else ()
    asked = f"{row['question']}\n\n"
    asked += f"{lettered(options, '({}) {}')}\n\n{BY_LETTER}" if multiple else BY_PHRASE
    subject = re.fullmatch(r"[a-z]+_(\w+)_\d+", row["id"])
    return Question(
        key=text(row["id"]),
        question=row["question"],
        answers=answers if answers != ("?",) else (),
        prompt=asked,
        rule="mmmu-choice" if multiple else "mmmu-open",
        choices=options,
        category=(subject[1] if subject else row["id"]).replace("_", " "),
        question_type=row["question_type"],
    )


def _list(cell: Any) -> list[Any]:
    """Read a cell with a list, as such or as a Python text, or with a single value."""
    found = listed(cell.strip()) if isinstance(cell, str) else cell
    return found if isinstance(found, list) else [cell]


BENCHMARK = Benchmark(
    name="mmmu",
    summary="college exams in thirty subjects, validation, 900 questions (MMMU)",
    hub="lmms-lab-encoder/MMMU",
    split="validation",
    files="data/validation-*",
    columns=("id", "question", "options", "answer", "question_type"),
    images=tuple(f"image_{number}" for number in range(1, 8)),
    read=_read,
)
