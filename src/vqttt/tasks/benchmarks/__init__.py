"""Published benchmarks, each with its own wording of the questions, its own references and its own scoring rule.

There is one module per benchmark; `docs/benchmarks.md` lists the sources. Tables are read from the Hugging Face Hub, or
from a folder or parquet file with the same columns.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from vqttt.errors import InputError
from vqttt.scoring import RULES
from vqttt.tasks.benchmarks import (
    ai2d,
    chartqa,
    gqa,
    mathvista,
    mmbench,
    mme,
    mmmu,
    mmstar,
    ocrbench,
    pope,
    realworldqa,
    scienceqa,
    textvqa,
    vqav2,
)
from vqttt.tasks.benchmarks.spec import Benchmark, Question, Row, text
from vqttt.tasks.benchmarks.tables import Table, open_table
from vqttt.tasks.broken import distinct, failing, some_usable
from vqttt.tasks.cells import as_text, several
from vqttt.tasks.references import settle
from vqttt.types import Image, Sample

__all__ = ["BENCHMARKS", "Benchmark", "samples"]

BENCHMARKS: dict[str, Benchmark] = {
    module.BENCHMARK.name: module.BENCHMARK
    for module in (
        mathvista, mmmu, scienceqa, textvqa, mme, mmstar, realworldqa, pope, mmbench, ai2d, chartqa, ocrbench, vqav2,
        gqa,
    )
}  # fmt: skip
"""All benchmarks, by name."""


def samples(benchmark: Benchmark, where: str = "") -> list[Sample]:
    """Return a benchmark's samples in the order of its rows; images are decoded when they are loaded.

    A row that cannot be used, for example because it has no image or no public answer, becomes a sample whose `load`
    raises `InputError`, so that a study marks and counts it.

    Args:
        benchmark: which one.
        where: a folder or parquet file; empty for the Hugging Face Hub.

    Raises:
        MissingExtraError: if the package `datasets` is not installed.
        InputError: if the table cannot be loaded or lacks columns, or none of its rows can be used.
    """
    needed = benchmark.columns if benchmark.joined[0] else (*benchmark.columns, benchmark.images[0])
    table = open_table(benchmark, where, needed=needed)
    apart = _apart(benchmark, where, table)
    seen, taken, read = Counter[str](), set[str](), list[Sample]()
    for number, (row, images) in enumerate(zip(table.rows(), table.image_counts(), strict=True)):
        question, reason = _question(benchmark, row)
        key = question.key or f"{number:05d}"
        seen[key] += 1
        name = f"{benchmark.name}-{key}" + (f"#{seen[key]}" if seen[key] > 1 else "")
        name = distinct(name, f"row {number}", taken)
        reason = reason or (_missing(apart, benchmark, row) if apart else _miscounted(images))
        load: Callable[[], Image]
        if reason:
            load = failing(f"{name}: {reason}")
        elif apart:
            load = partial(apart.table.image, "image", apart.row_of[str(row[benchmark.joined[1]])])
        else:
            load = partial(table.image, benchmark.images[0], number)
        read.append(_sample(name, question, load))
    source = where or benchmark.hub
    if not read:
        raise InputError(f"{source} has no rows; give the split {benchmark.split} of {benchmark.hub}")
    return some_usable(read, f"rows of {source}", f"give the split {benchmark.split} of {benchmark.hub}")


class _Apart(NamedTuple):
    """A separate table of images, and the row of each image by its id."""

    table: Table
    row_of: dict[str, int]


def _apart(benchmark: Benchmark, where: str, table: Table) -> _Apart | None:
    """Open the separate table of images, if the benchmark has one."""
    config = benchmark.joined[0]
    if not config or benchmark.images[0] in table.columns:
        return None
    images = open_table(benchmark, where, config=config, needed=("id", "image"))
    return _Apart(images, {str(row["id"]): number for number, row in enumerate(images.rows())})


def _question(benchmark: Benchmark, row: Row) -> tuple[Question, str]:
    """Read a row; also return the reason why it cannot be used, or an empty text."""
    empty = Question(question="", answers=(), prompt="", rule="")
    if not row:
        return empty, "it has a text that is not UTF-8"
    if not str(row.get("question") or "").strip():
        return empty, "it has no question"
    try:
        question = _as_texts(benchmark.read(row))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        return empty, f"it is not a row of {benchmark.name} ({type(error).__name__}: {' '.join(str(error).split())})"
    if question.rule not in RULES:
        return question, f"there is no scoring rule {question.rule!r}"
    if not any(answer.strip() for answer in question.answers):
        return question, "it has no public answer"
    try:
        return replace(question, answers=settle(question.answers, question.choices, question.rule)), ""
    except ValueError as error:
        return question, str(error)


def _as_texts(question: Question) -> Question:
    """Return a question whose fields are all texts, whatever the table's cells were."""
    return replace(
        question,
        key=text(question.key),
        question=str(question.question),
        answers=tuple(as_text(answer) for answer in question.answers),
        category=text(question.category),
        question_type=text(question.question_type),
        prompt=str(question.prompt),
    )


def _missing(apart: _Apart, benchmark: Benchmark, row: Row) -> str:
    name = str(row[benchmark.joined[1]])
    return "" if name in apart.row_of else f"the image {name!r} is not in {benchmark.joined[0]}"


def _miscounted(images: int) -> str:
    if images == 1:
        return ""
    return several(images) if images else "the question has no image"


def _sample(name: str, question: Question, load: Callable[[], Image]) -> Sample:
    return Sample(
        id=name,
        load=load,
        question=question.question,
        answers=question.answers or ("",),
        choices=question.choices,
        category=question.category,
        question_type=question.question_type,
        prompt=question.prompt,
        rule=question.rule if question.rule in RULES else "",
    )
