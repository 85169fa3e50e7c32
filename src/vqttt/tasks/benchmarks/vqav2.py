"""VQAv2 (Goyal et al. 2017): photographs from COCO, `validation`, 214,354 questions with ten answers each."""

from vqttt.tasks.benchmarks.spec import BY_PHRASE, Benchmark, Question, Row, text


def _read(row: Row) -> Question:
    return Question(
        key=text(row["question_id"]),
        question=row["question"],
        answers=tuple(one["answer"] for one in row["answers"] or ()),
        prompt=f"{row['question']}\n{BY_PHRASE}",
        rule="vqav2",
        category=row["answer_type"],
        question_type=row["question_type"],
    )


BENCHMARK = Benchmark(
    name="vqav2",
    summary="photographs from COCO, validation, 214,354 questions (VQAv2)",
    hub="lmms-lab-encoder/VQAv2",
    split="validation",
    files="data/validation-*",
    columns=("question_id", "question", "answers", "answer_type", "question_type"),
    read=_read,
)
