"""MME (Fu et al. 2023): fourteen abilities, two yes-or-no questions per image, 2,374 questions.

The id of an image's second question is that of the first followed by "#2".
"""

from vqttt.scoring.aggregates import COGNITION, PERCEPTION
from vqttt.tasks.benchmarks.spec import BY_PHRASE, Benchmark, Question, Row, one_of, text

_OWN = " Please answer yes or no."


def _read(row: Row) -> Question:
    question, key = row["question"].strip(), text(row["question_id"])
    return Question(
        key=key if "/" in key or not key else f"{row['category']}/{key}",
        question=question,
        answers=(row["answer"],),
        prompt=f"{question.replace(_OWN, '')}\n{BY_PHRASE}",
        rule="mme",
        category=one_of(row["category"], (*PERCEPTION, *COGNITION)),
        question_type="perception" if row["category"] in PERCEPTION else "cognition",
    )


BENCHMARK = Benchmark(
    name="mme",
    summary="fourteen abilities in pairs of yes-or-no questions, 2,374 questions (MME)",
    hub="lmms-lab-encoder/MME",
    split="test",
    columns=("question_id", "question", "answer", "category"),
    read=_read,
)
