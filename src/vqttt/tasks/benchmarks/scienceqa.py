"""ScienceQA (Lu et al. 2022): school science, the 2,017 questions of `test` with an image; hints serve as context."""

from vqttt.tasks.benchmarks.spec import BY_LETTER, Benchmark, Question, Row, lettered, text
from vqttt.types import LETTERS


def _read(row: Row) -> Question:
    options, hint = tuple(row["choices"]), text(row["hint"])
    context = f"Context: {hint}\n" if hint else ""
    return Question(
        question=row["question"],
        answers=(LETTERS[int(row["answer"])],),
        prompt=f"{context}{row['question']}\n{lettered(options)}\n{BY_LETTER}",
        rule="scienceqa",
        choices=options,
        category=text(row["subject"]),
        question_type=text(row["topic"]),
    )


BENCHMARK = Benchmark(
    name="scienceqa",
    summary="school science with images, test, 2,017 questions (ScienceQA)",
    hub="lmms-lab-encoder/ScienceQA",
    config="ScienceQA-IMG",
    split="test",
    columns=("question", "choices", "answer", "hint", "subject", "topic"),
    read=_read,
)
