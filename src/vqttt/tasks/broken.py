"""What a task returns for a row that cannot be used: a sample whose `load` raises the reason.

A study marks and counts such a sample, so that one broken row does not cost the others.
"""

from collections.abc import Callable
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


def _fail(message: str) -> NoReturn:
    raise InputError(message)
