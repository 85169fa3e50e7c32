"""What defines a benchmark: where its table is, which columns it has, and how a row becomes a question."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from vqttt.tasks.cells import as_label, as_text
from vqttt.tasks.references import options
from vqttt.types import LETTERS, letters_of

Row: TypeAlias = Mapping[str, Any]
"""One row of a dataset, without its images."""

BY_LETTER = "Answer with the option's letter from the given choices directly."
BY_PHRASE = "Answer the question using a single word or phrase."
"""LLaVA-1.5's prompts for short answers (Liu et al. 2023), which most evaluations have used since."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A row as a question; the other fields are as in `Sample`.

    Attributes:
        key: the row's id in the table; if empty, the row's number is used. Repeated keys get "#2", "#3", ... in the
            order of rows.
    """

    key: str = ""
    question: str
    answers: tuple[str, ...]
    prompt: str
    rule: str
    choices: tuple[str, ...] = ()
    category: str = ""
    question_type: str = ""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A published benchmark.

    Attributes:
        name: as in `--task`.
        summary: one line for `vqttt list tasks`.
        hub: the id of its dataset on the Hugging Face Hub.
        config: the dataset's configuration; empty for the default.
        split: the split to use, one with public answers.
        files: the files of that split on the Hub; set where downloading all splits would be much larger.
        columns: the columns that are needed, apart from the image.
        read: turns a row into a question; if it raises, that row is marked.
        images: the columns with images; the first one is shown.
        joined: if images are in a separate table with a column `id`: the configuration of that table, and the column
            with the image's id.
    """

    name: str
    summary: str
    hub: str
    split: str
    columns: tuple[str, ...]
    read: Callable[[Row], Question]
    config: str = ""
    files: str = ""
    images: tuple[str, ...] = ("image",)
    joined: tuple[str, str] = ("", "")


def lettered(options: tuple[str, ...], form: str = "{}. {}") -> str:
    """List options, one per line, each with its letter; a gap is left out."""
    return "\n".join(form.format(letter, options[LETTERS.index(letter)]) for letter in letters_of(options))


def choices_in(row: Row, letters: str = "ABCDE", missing: Collection[str] = ()) -> tuple[str, ...]:
    """Return the options in the columns A, B, ...; an empty one is a gap (see `letters_of`).

    Args:
        row: of a table.
        letters: the columns.
        missing: texts that stand for no option in this table.

    Raises:
        ValueError: if an option is not a text or number.
    """
    found = [as_text(row.get(letter)) for letter in letters]
    found = ["" if option in missing else option for option in found]
    return options(found) if any(found) else ()


def one_of(value: str, known: Collection[str]) -> str:
    """Return a value that must be a known one. This detects another benchmark's table with the same columns.

    Raises:
        ValueError: if it is not known.
    """
    if value not in known:
        raise ValueError(f"{value!r} is not among {', '.join(known)}")
    return value


def text(value: Any) -> str:
    """Return a category, id or hint as text; the usual marks for a missing value become an empty text.

    For answers and options, which may be "None", use `as_text`.
    """
    plain = as_label(value)
    return "" if plain.lower() in ("nan", "none", "null") else plain
