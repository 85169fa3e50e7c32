"""MMMU (Yue et al. 2024): college exams in thirty subjects, `validation`, 900 questions.

A sample has exactly one image, so a question with several is marked as failed.
"""

import ast
import re

from vqttt.tasks.benchmarks.spec import BY_LETTER, BY_PHRASE, Benchmark, Question, Row, lettered, text


def _read(row: Row) -> Question:
    options, answers = _list(row["options"]), _list(row["answer"])
    multiple = row["question_type"] == "multiple-choice"
    asked = f"{row['question']}\n\n"
    asked += f"{lettered(options, '({}) {}')}\n\n{BY_LETTER}" if multiple else BY_PHRASE
    subject = re.fullmatch(r"[a-z]+_(\w+)_\d+", row["id"])
    return Question(
        key=row["id"],
        question=row["question"],
        answers=answers if answers != ("?",) else (),
        prompt=asked,
        rule="mmmu-choice" if multiple else "mmmu-open",
        choices=options if multiple else (),
        category=(subject[1] if subject else row["id"]).replace("_", " "),
        question_type=row["question_type"],
    )


def _list(cell: str) -> tuple[str, ...]:
    """Read a cell with a Python list, or with a single value."""
    try:
        found = ast.literal_eval(cell)
    except (ValueError, SyntaxError):
        found = cell
    return tuple(map(str, found)) if isinstance(found, list) else tuple(filter(None, [text(cell)]))


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
