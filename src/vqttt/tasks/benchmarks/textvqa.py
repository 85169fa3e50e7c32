"""TextVQA (Singh et al. 2019): reading in photographs, `validation`, 5,000 questions with ten answers; no OCR hints."""

from vqttt.tasks.benchmarks.spec import BY_PHRASE, Benchmark, Question, Row, text


def _read(row: Row) -> Question:
    return Question(
        key=text(row["question_id"]),
        question=row["question"],
        answers=tuple(row["answers"] or ()),
        prompt=f"{row['question'].capitalize()}\n{BY_PHRASE}",
        rule="vqa",
        category="reading",
    )


BENCHMARK = Benchmark(
    name="textvqa",
    summary="reading in photographs, validation, 5,000 questions (TextVQA)",
    hub="lmms-lab-encoder/textvqa",
    split="validation",
    files="data/validation-*",
    columns=("question_id", "question", "answers"),
    read=_read,
)
