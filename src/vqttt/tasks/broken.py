"""What a task returns for a row that cannot be used: a sample whose `load` raises the reason.

A study marks and counts such a sample, so that one broken row does not cost the others. A file in which every row is
broken is refused as a whole.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import NoReturn

from vqttt.errors import InputError
from vqttt.types import Image, Sample


def broken(name: str, message: str, question: str = "") -> Sample:
    """Return a sample with the id `name` whose `load` raises `InputError` with a message."""
    return Sample(id=name, load=failing(message), question=question, answers=("",))


def failing(message: str) -> Callable[[], Image]:
    """Return a `load` that raises `InputError` with a message."""
    return partial(_fail, message)  # unlike a lambda, this can be sent to a worker


def fault(sample: Sample) -> str:
    """Return why a sample is broken; empty if it is not."""
    return str(sample.load.args[0]) if isinstance(sample.load, partial) and sample.load.func is _fail else ""


def gather(file: str, rows: Iterable[tuple[str, Callable[[], Sample]]]) -> list[Sample]:
    """Read the rows of a file. One that cannot be used is marked, and no two samples get the same id.

    Args:
        file: its name, for messages.
        rows: where each row is ("line 3"), and what reads it: it raises `ValueError` for a broken row, and returns a
            sample with an empty id for one without an id.
    """
    read, given, taken = list[Sample](), dict[str, str](), set[str]()
    for place, parse in rows:
        try:
            sample, reason = parse(), ""
        except ValueError as error:
            sample, reason = broken("", ""), str(error)
        name = sample.id
        if name in given:
            reason = f"the id {name!r} is already used on {given[name]}; give each question an id of its own"
        if reason:
            sample = broken(sample.id, " ".join(f"{file} {place}: {reason}".split()), sample.question)
        if name:
            given.setdefault(name, place)
        read.append(replace(sample, id=distinct(name or place, place, taken)))
    return read


def distinct(name: str, place: str, taken: set[str]) -> str:
    """Return an id that is not in `taken`, and add it there: the name itself, else one with its place."""
    while name in taken:
        name = f"{name} ({place})"
    taken.add(name)
    return name


def some_usable(samples: Sequence[Sample], rows: str, advice: str) -> list[Sample]:
    """Return the samples.

    Args:
        samples: of a whole file.
        rows: what they are: "lines of my.jsonl".
        advice: what would be right.

    Raises:
        InputError: if all of them are broken; it gives the first reason.
    """
    reasons = [fault(sample) for sample in samples]
    if all(reasons):
        raise InputError(f"none of the {rows} can be used ({len(reasons):,} in all); {reasons[0]}; {advice}")
    return list(samples)


def _fail(message: str) -> NoReturn:
    raise InputError(message)
