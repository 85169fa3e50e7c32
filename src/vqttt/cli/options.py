"""What the commands that ask one question about one image have in common."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vqttt.errors import InputError, in_a_line

if TYPE_CHECKING:
    from vqttt.methods import Method
    from vqttt.models.base import Model

ImagePath = Annotated[Path, typer.Argument(help="An image in any common format.")]
Question = Annotated[str, typer.Argument(help="The question, without a chat template.")]
ModelName = Annotated[str, typer.Option(help="A registered name, a checkpoint folder or a Hub id.")]
Tuned = Annotated[Path | None, typer.Option(help="What `vqttt tune` wrote, by the same method; applied as it is.")]
Dtype = Annotated[str, typer.Option(help="Of a checkpoint's weights: float32, bfloat16, float16.")]
Device = Annotated[str, typer.Option(help="Such as cpu or cuda:1; auto spreads a checkpoint over all.")]
Bits = Annotated[int, typer.Option(help="4 or 8 to quantise a checkpoint's weights.")]
Revision = Annotated[str, typer.Option(help="A Hub id's branch, tag or commit.")]


def method_for(question: str, method: str, tuned: Path | None) -> "Callable[[Model], Method]":
    """Return what makes the method that is to answer.

    Raises:
        InputError: if the question is empty, or the method is not known or cannot be `tuned`.
    """
    from vqttt.methods import METHODS, frozen

    if not question.strip():
        raise InputError("the question is empty; ask something about the image")
    return METHODS[method] if tuned is None else frozen(method, tuned)


@contextmanager
def answering() -> Iterator[None]:
    """Within the block, what a processor or a network raises over an input is an `InputError`."""
    try:
        yield
    except (ValueError, RuntimeError, IndexError) as error:
        raise InputError(f"the model cannot answer this: {in_a_line(error)}") from error
