"""AI2D (Kembhavi et al. 2016): diagrams from school science, test split, 3,088 questions with four options."""

from vqttt.tasks.benchmarks.spec import BY_LETTER, Benchmark, Question, Row, lettered
from vqttt.tasks.references import letter_at, options


def _read(row: Row) -> Question:
    choices = options(row["options"])
    return Question(
        question=row["question"],
        answers=(letter_at(row["answer"], choices),),
        prompt=f"{row['question']}\n{lettered(choices)}\n{BY_LETTER}",
        rule="letter",
        choices=choices,
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
