"""RealWorldQA (xAI 2024): space and traffic in photographs, 765 questions, each with instructions for the answer."""

import re

from vqttt.tasks.benchmarks.spec import Benchmark, Question, Row, choices_in
from vqttt.types import LETTERS

_OPTION = re.compile(r"^([A-Z])\. (.+)$", re.MULTILINE)


def _read(row: Row) -> Question:
    question, answer = row["question"].strip(), row["answer"].strip()
    options = choices_in({letter: option.strip() for letter, option in _OPTION.findall(question)}, LETTERS)
    by_letter = len(options) > 1 and len(answer) == 1 and answer.isupper()
    return Question(
        question=question,
        answers=(answer,),
        prompt=question,
        rule="realworldqa" if by_letter else "realworldqa-open",
        choices=options if by_letter else (),
        category="options" if by_letter else "open",
    )


BENCHMARK = Benchmark(
    name="realworldqa",
    summary="space and traffic in photographs, 765 questions (RealWorldQA)",
    hub="lmms-lab-encoder/RealWorldQA",
    split="test",
    columns=("question", "answer"),
    read=_read,
)
