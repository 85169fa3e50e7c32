"""MMStar (Chen et al. 2024): questions that need their image, `val`, 1,500; options are part of the question."""

import re

from vqttt.scoring.choices import position
from vqttt.tasks.benchmarks.spec import BY_LETTER, Benchmark, Question, Row, text

_OPTIONS = re.compile(r"(?:^|[\s,])([A-D]): (.*?)(?=,\s*[A-D]: |\s*$)", re.DOTALL)


def _read(row: Row) -> Question:
    answer, choices = row["answer"].strip(), options_in(row["question"])
    if position(answer, choices) is None:  # the options are written in a way that is not found; there are always four
        choices = ("", "", "", "")
    return Question(
        key=text(row["index"]),
        question=row["question"],
        answers=(answer,),
        prompt=f"{row['question'].strip()}\n{BY_LETTER.rstrip('.')}",
        rule="mmstar",
        choices=choices,
        category=row["category"],
        question_type=row["l2_category"],
    )


def options_in(question: str) -> tuple[str, ...]:
    """Find the options in "... Options: A: one, B: two, ..."; four empty ones if the question is written otherwise."""
    _, _, tail = question.rpartition("Options:")
    found = [option.strip() for _, option in _OPTIONS.findall(tail)]
    letters = "".join(letter for letter, _ in _OPTIONS.findall(tail))
    return tuple(found) if found and "ABCD".startswith(letters) else ("", "", "", "")


BENCHMARK = Benchmark(
    name="mmstar",
    summary="questions that need their image, 1,500 questions (MMStar)",
    hub="Lin-Chen/MMStar",
    split="val",
    columns=("index", "question", "answer", "category", "l2_category"),
    read=_read,
)
