"""MathVista (Lu et al. 2024): mathematics in images, `testmini`, 1,000 questions; prompts from its column `query`."""

from vqttt.tasks.benchmarks.spec import Benchmark, Question, Row, text
from vqttt.tasks.cells import as_text
from vqttt.tasks.references import options


def _read(row: Row) -> Question:
    choices = options(row["choices"])
    rule = f"mathvista-{row['answer_type']}"
    if row["question_type"] == "multi_choice":
        rule = "mathvista-choice"
    elif row["answer_type"] == "float":
        rule = f"mathvista-float-{min(max(int(row['precision'] or 1), 1), 4)}"
    return Question(
        key=text(row["pid"]),
        question=row["question"],
        answers=(as_text(row["answer"]),),
        prompt=row["query"],
        rule=rule,
        choices=choices,
        category=text(row["metadata"].get("task")),
        question_type=f"{row['question_type']}, {row['answer_type']}",
    )


BENCHMARK = Benchmark(
    name="mathvista",
    summary="mathematics in images, testmini, 1,000 questions (MathVista)",
    hub="AI4Math/MathVista",
    split="testmini",
    files="data/testmini-*",
    columns=(
        "pid", "question", "choices", "precision", "answer", "question_type", "answer_type", "metadata", "query",
    ),
    images=("decoded_image",),
    read=_read,
)  # fmt: skip
