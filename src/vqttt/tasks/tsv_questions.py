"""How a row of a TSV file is asked and scored: by the benchmark that the file is named after, if it is one."""

import re
from collections.abc import Mapping
from typing import TypeAlias

from vqttt.tasks.benchmarks.spec import BY_LETTER, BY_PHRASE, Question, choices_in, lettered, text
from vqttt.tasks.cells import as_text, as_texts, listed
from vqttt.tasks.references import BY_LETTER as LETTER_RULES
from vqttt.tasks.references import option_named, options
from vqttt.types import LETTERS

Cells: TypeAlias = Mapping[str, str]
"""The cells of a row by column."""

_RULES = {
    "ai2d": "letter", "chartqa": "chartqa", "gqa": "exact", "mathvista": "mathvista", "mmbench": "mmbench",
    "mme": "mme", "mmmu": "mmmu-choice", "mmstar": "mmstar", "ocrbench": "ocrbench", "pope": "pope",
    "realworldqa": "realworldqa", "scienceqa": "scienceqa", "textvqa": "vqa", "vqav2": "vqav2",
}  # fmt: skip
"""The rule of each benchmark. MathVista has one per type of answer."""

_OPEN = {
    "letter": "exact", "mmbench": "exact", "mmmu-choice": "mmmu-open", "mmstar": "exact",
    "realworldqa": "realworldqa-open", "scienceqa": "exact",
}  # fmt: skip
"""The rule for a question without options, where it differs."""

_NAME = re.compile(
    rf"({'|'.join(_RULES)})"
    r"(?:_(?:dev|val|test|train|testdev|balanced|mini|testmini|no_mask|v11|en|cn|ar|pt|tr|ru))*"
)
"""A benchmark's name with the splits, languages and versions that VLMEvalKit appends."""


def benchmark_of(stem: str) -> str:
    """Return the benchmark that a file is named after; empty if it is none of ours.

    The whole name counts, in any case: `MME.tsv` and `MMBench_DEV_EN_V11.tsv` are MME and MMBench, but
    `MME-RealWorld.tsv`, `ChartQAPro.tsv` and `OCRBench_v2.tsv` are other benchmarks.
    """
    named = _NAME.fullmatch(stem.lower())
    return named[1] if named else ""


def read_question(cells: Cells, stem: str) -> Question:
    """Read a row's question, with its references as they are written.

    Args:
        cells: the row.
        stem: the file's name without its suffix.

    Raises:
        ValueError: if the options cannot be used.
    """
    benchmark = benchmark_of(stem)
    question, hint, choices = as_text(cells["question"]), text(cells.get("hint")), choices_in(cells, LETTERS)
    if benchmark == "mathvista":
        return _mathvista(cells, question, choices)
    published = _RULES.get(benchmark, "letter")
    rule = _OPEN.get(published, published)
    if choices:
        rule = published if published in LETTER_RULES else "letter"
    answers = _references(as_text(cells["answer"]), choices)
    return Question(
        question=question,
        answers=answers,
        prompt=f"{f'{hint} ' if hint else ''}{question}\n{_closing(choices)}",
        rule=rule,
        choices=choices,
        category=text(cells.get("category")),
        question_type=text(cells.get("l2-category") or cells.get("l2_category")),
    )


def _closing(choices: tuple[str, ...]) -> str:
    return f"{lettered(choices)}\n{BY_LETTER}" if choices else BY_PHRASE


def _references(cell: str, choices: tuple[str, ...]) -> tuple[str, ...]:
    """Read a cell with one answer, or with a list of answers; an option may itself look like a list."""
    found = listed(cell)
    if found is None or _names_one(cell, choices):
        return (cell,)
    return as_texts(found)


def _names_one(cell: str, choices: tuple[str, ...]) -> bool:
    try:
        return bool(choices) and option_named(cell, choices, letter_first=True) >= 0
    except ValueError:
        return False


def _mathvista(cells: Cells, question: str, choices: tuple[str, ...]) -> Question:
    """Read a row of `MathVista_MINI.tsv`: its options are a list in `choices`, and its question is the whole prompt.

    Without the column `answer_type`, the answer tells its type; without `precision`, the number of its decimals does.
    """
    choices = choices or options(as_text(cells.get("choices")) or None)
    answer, of_type = as_text(cells["answer"]), as_text(cells.get("answer_type"))
    prompt = question if "question_type" in cells else f"{question}\n{_closing(choices)}"
    return Question(
        question=question,
        answers=_references(answer, choices) if choices else (answer,),
        prompt=prompt,
        rule="mathvista-choice" if choices else _free_rule(answer, of_type, as_text(cells.get("precision"))),
        choices=choices,
        category=text(cells.get("task") or cells.get("category")),
        question_type=", ".join(filter(None, [text(cells.get("question_type")), of_type])),
    )


def _free_rule(answer: str, of_type: str, precision: str) -> str:
    """Return MathVista's rule for an answer without options."""
    number = re.fullmatch(r"[+-]?\d*(?:\.(\d*))?", answer) if answer else None
    if of_type == "list" or (not of_type and listed(answer) is not None):
        return "mathvista-list"
    if of_type == "integer" or (not of_type and number and number[1] is None):
        return "mathvista-integer"
    if of_type == "float" or (not of_type and number):
        places = re.match(r"\d+", precision)
        wanted = int(places[0][:4]) if places else len((number and number[1]) or "")
        return f"mathvista-float-{min(max(wanted, 1), 4)}"
    return "exact"
