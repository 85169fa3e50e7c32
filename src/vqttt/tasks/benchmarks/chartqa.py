"""ChartQA (Masry et al. 2022): charts, test split, 1,250 questions by people and 1,250 generated from summaries."""

from vqttt.tasks.benchmarks.spec import Benchmark, Question, Row, one_of


def _read(row: Row) -> Question:
    return Question(
        question=row["question"],
        answers=(row["answer"],),
        prompt=f"{row['question']}\nAnswer the question with a single word.",
        rule="chartqa",
        category=one_of(row["type"], ("human_test", "augmented_test")).removesuffix("_test"),
    )


BENCHMARK = Benchmark(
    name="chartqa",
    summary="charts, test, 2,500 questions (ChartQA)",
    hub="lmms-lab-encoder/ChartQA",
    split="test",
    columns=("type", "question", "answer"),
    read=_read,
)
