"""GQA (Hudson and Manning 2019): compositional questions about scenes, balanced `testdev`, 12,578 questions.

Its images are in a table of their own.
"""

from vqttt.tasks.benchmarks.spec import BY_PHRASE, Benchmark, Question, Row, text


def _read(row: Row) -> Question:
    types = row.get("types") or {}
    return Question(
        key=text(row["id"]),
        question=row["question"],
        answers=(row["answer"],),
        prompt=f"{row['question']}\n{BY_PHRASE}",
        rule="exact",
        category=text(types.get("structural")),
        question_type=text(types.get("semantic")),
    )


BENCHMARK = Benchmark(
    name="gqa",
    summary="compositional questions about scenes, balanced testdev, 12,578 questions (GQA)",
    hub="lmms-lab-encoder/GQA",
    config="testdev_balanced_instructions",
    split="testdev",
    columns=("id", "imageId", "question", "answer"),
    joined=("testdev_balanced_images", "imageId"),
    read=_read,
)
