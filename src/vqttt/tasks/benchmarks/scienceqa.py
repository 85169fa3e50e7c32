"""ScienceQA (Lu et al. 2022): school science, the 2,017 questions of `test` with an image; hints serve as context."""

from vqttt.tasks.benchmarks.spec import BY_LETTER, Benchmark, Question, Row, lettered, text
from vqttt.tasks.references import letter_at, options


def _read(row: Row) -> Question:
    choices, hint = options(row["choices"]), text(row["hint"])
    context = f"Context: {hint}\n" if hint else ""
    return Question(
        question=row["question"],
        answers=(letter_at(row["answer"], choices),),
        prompt=f"{context}{row['question']}\n{lettered(choices)}\n{BY_LETTER}",
        rule="scienceqa",
        choices=choices,
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
