"""MMBench (Liu et al. 2023): twenty abilities, English `dev`, 4,329 rows; questions repeat with rotated options."""

from vqttt.tasks.benchmarks.spec import BY_LETTER, Benchmark, Question, Row, choices_in, lettered, text
from vqttt.tasks.cells import as_text


def _read(row: Row) -> Question:
    # This table writes a missing cell as "nan".
    options, hint = choices_in(row, missing=("nan",)), text(row["hint"])
    return Question(
        key=text(row["index"]),
        question=row["question"],
        answers=(as_text(row["answer"]),),
        prompt=f"{f'{hint} ' if hint else ''}{row['question']}\n{lettered(options)}\n{BY_LETTER}",
        rule="mmbench",
        choices=options,
        category=text(row.get("L2-category") or row.get("l2-category")),
        question_type=text(row["category"]),
    )


BENCHMARK = Benchmark(
    name="mmbench",
    summary="twenty abilities, English dev, 4,329 rows with rotated options (MMBench)",
    hub="lmms-lab-encoder/MMBench",
    config="en",
    split="dev",
    columns=("index", "question", "hint", "answer", "A", "B", "C", "D", "category"),
    read=_read,
)
