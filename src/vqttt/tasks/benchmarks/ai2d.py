"""AI2D (Kembhavi et al. 2016): diagrams from school science, test split, 3,088 questions with four options."""

from vqttt.tasks.benchmarks.spec import BY_LETTER, Benchmark, Question, Row, lettered
from vqttt.types import LETTERS


def _read(row: Row) -> Question:
    options = tuple(row["options"])
    return Question(
        question=row["question"],
        answers=(LETTERS[int(row["answer"])],),
        prompt=f"{row['question']}\n{lettered(options)}\n{BY_LETTER}",
        rule="letter",
        choices=options,
        category="diagrams",
    )


BENCHMARK = Benchmark(
    name="ai2d",
    summary="diagrams from school science, test, 3,088 questions (AI2D)",
    hub="lmms-lab-encoder/ai2d",
    split="test",
    columns=("question", "options", "answer"),
    read=_read,
)
