"""POPE (Li et al. 2023): is an object in the image? 9,000 questions in three splits.

Absent objects were chosen at random (`random`), because they are frequent (`popular`), or because they often occur
together with those in the image (`adversarial`).
"""

from vqttt.tasks.benchmarks.spec import BY_PHRASE, Benchmark, Question, Row, one_of, text


def _read(row: Row) -> Question:
    key = text(row["question_id"])
    return Question(
        key=f"{row['category']}/{key}" if key else "",
        question=row["question"],
        answers=(row["answer"],),
        prompt=f"{row['question'].strip()}\n{BY_PHRASE}",
        rule="pope",
        category=one_of(row["category"], ("adversarial", "popular", "random")),
        question_type=row["answer"].strip().lower(),
    )


BENCHMARK = Benchmark(
    name="pope",
    summary="is an object in the image, 9,000 questions in three splits (POPE)",
    hub="lmms-lab-encoder/POPE",
    split="test",
    columns=("question_id", "question", "answer", "category"),
    read=_read,
)
