"""MMBench (Liu et al. 2023): twenty abilities, English `dev`, 4,329 rows; questions repeat with rotated options."""

from vqttt.tasks.benchmarks.spec import BY_LETTER, Benchmark, Question, Row, choices_in, lettered, text


def _read(row: Row) -> Question:
    options, hint = choices_in(row), text(row["hint"])
    return Question(
        key=str(row["index"]),
        question=row["question"],
        answers=(text(row["answer"]),),
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
