"""OCRBench (Liu et al. 2023): reading of all kinds, 1,000 questions; handwritten formulas have their own rule."""

from vqttt.tasks.benchmarks.spec import Benchmark, Question, Row


def _read(row: Row) -> Question:
    answers = [row["answer"]] if isinstance(row["answer"], str) else row["answer"]
    return Question(
        question=row["question"],
        answers=tuple(answers or ()),
        prompt=row["question"].strip(),
        rule="ocrbench-expression" if row["dataset"] == "HME100k" else "ocrbench",
        category=row["question_type"],
        question_type=row["dataset"],
    )


BENCHMARK = Benchmark(
    name="ocrbench",
    summary="reading of all kinds, 1,000 questions (OCRBench)",
    hub="echo840/OCRBench",
    split="test",
    columns=("dataset", "question", "question_type", "answer"),
    read=_read,
)
