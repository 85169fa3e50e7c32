"""What a benchmark has to say of itself: where it is, which columns it has, and how a row becomes a question."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from vqttt.types import LETTERS

Row: TypeAlias = Mapping[str, Any]
"""One row of a data set, without its images."""

BY_LETTER = "Answer with the option's letter from the given choices directly."
BY_PHRASE = "Answer the question using a single word or phrase."
"""How short answers are asked for by LLaVA-1.5 (Liu et al. 2023), and since then by most evaluations."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a row becomes; the fields are those of `Sample`, but for the image.

    Attributes:
        key: what tells the row from others; empty, where the table has no ids, for the number of the row. A key that
            recurs gets "#2", "#3", ... in the order of rows.
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
    """A benchmark.

    Attributes:
        name: as in `--task`.
        summary: one line for `vqttt list tasks`.
        hub: the id of its data set on the Hugging Face Hub.
        config: the configuration there; empty for the default.
        split: the split that is asked, one with public answers.
        files: the files of that split on the Hub, where taking all splits would be many times as large.
        columns: the columns that are read, besides the image's.
        read: turns a row into a question; what it raises on a row marks that row.
        images: the columns with images; the first is shown.
        joined: the configuration that holds the images, if they are apart, and the column that names them; images
            there have a column `id`.
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
    """List options, each with its letter, a line each."""
    return "\n".join(form.format(letter, option) for letter, option in zip(LETTERS, options, strict=False))


def choices_in(row: Row, letters: str = "ABCDE") -> tuple[str, ...]:
    """Return the options that stand in columns A, B, ..., up to the first that is empty."""
    found: list[str] = []
    for letter in letters:
        option = row.get(letter)
        if option is None or str(option).strip().lower() in ("", "nan"):  # "None" may be an option
            break
        found.append(str(option).strip())
    return tuple(found)


def one_of(value: str, known: Collection[str]) -> str:
    """Return a value that must be one of those known; a table of another benchmark may have the same columns.

    Raises:
        ValueError: if it is not.
    """
    if value not in known:
        raise ValueError(f"{value!r} is not among {', '.join(known)}")
    return value


def text(value: Any) -> str:
    """Return a cell of a table as text: empty for what pandas and people write where there is nothing."""
    plain = "" if value is None else str(value).strip()
    return "" if plain.lower() in ("nan", "none", "null") else plain
