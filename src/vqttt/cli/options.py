"""Options that several commands share, and how their values are read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vqttt.errors import InputError, VQTTTError, in_a_line

if TYPE_CHECKING:
    from vqttt.methods import MethodSpec
    from vqttt.models.base import Model
    from vqttt.types import Image

ImagePath = Annotated[Path, typer.Argument(help="Image file in any common format.")]
Question = Annotated[str, typer.Argument(help="Question to ask, without a chat template.")]


def check_one_model(given: str) -> str:
    """Check that there is one model, for commands that take one."""
    if len(several := model_names([given]) or ()) > 1:
        raise InputError(f"--model takes one model here, such as {several[0]}; several are for `vqttt study`")
    return given


ModelName = Annotated[
    str,
    typer.Option(help="Registered name, checkpoint folder, Hugging Face id or openai:NAME.", callback=check_one_model),
]
Severity = Annotated[int, typer.Option(help="Severity of the degradation, 1 to 5.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random in the degradation.")]
Scale = Annotated[
    str, typer.Option(help="Lengths such as blur radii: relative to the image size, or absolute in pixels.")
]
Tuned = Annotated[
    Path | None,
    typer.Option(
        help="File written by `vqttt tune` with the same method, applied without further tuning; or shipped, for the "
        "embedded model's."
    ),
]
TunedFile = Annotated[
    Path | None,
    typer.Option(
        help="File written by `vqttt tune` with the one --method that it is for, applied frozen; or shipped, for the "
        "embedded model's. In the results the method's name ends in -tuned."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="A setting of a method, such as vq-ttt.steps=3; may be repeated.", metavar="METHOD.KEY=VALUE"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def names(values: Sequence[str] | None, *, paths: bool = False) -> tuple[str, ...] | None:
    """Return the values of an option that may be repeated and takes comma-separated lists; None if it was not given.

    Args:
        values: as typed.
        paths: whether values may be paths. The first item with a ':' or '/' is then taken as a path that runs to the
            end of what was typed, commas included.
    """
    if not values:
        return None
    return tuple(item for value in values for item in _split(value, paths))


def model_names(values: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the models of an option, as `names` does; a folder whose name has commas is taken as it is."""
    if not values:
        return None
    parts = [[value] if Path(value).exists() else _split(value, paths=False) for value in values]
    return tuple(item for items in parts for item in items)


def _split(value: str, paths: bool) -> list[str]:
    items = value.split(",")
    for number, item in enumerate(items):
        if paths and (":" in item or "/" in item):
            items[number:] = [",".join(items[number:])]
            break
    return [item.strip() for item in items]


def numbers(option: str, values: Sequence[str] | None) -> tuple[int, ...] | None:
    """Return the whole numbers of an option that may be repeated and takes comma-separated lists, as `names` does.

    Raises:
        InputError: if one is not a whole number; the message names the `option`.
    """
    found = names(values)
    try:
        return None if found is None else tuple(map(int, found))
    except ValueError:
        raise InputError(f"{option} takes whole numbers, such as 1,3, not {','.join(values or ())!r}") from None


def check_question(question: str) -> None:
    """Check that there is a question.

    Raises:
        InputError: if it is empty.
    """
    if not question.strip():
        raise InputError("the question is empty; ask something about the image")


def chosen_method(name: str, settings: Sequence[str] | None, tuned: Path | None) -> "MethodSpec":
    """Return the method that answers: a registered one with settings replaced, or what it saved in the file `tuned`.

    Raises:
        InputError: if the method or a setting is not known, or the method saves nothing.
    """
    from vqttt.study.settings import with_own_settings

    spec = with_own_settings(name, settings or ())
    return spec if tuned is None else spec.saved(tuned)


class FailedError(Exception):
    """The input is in order, but there is no result: one line, and exit status 1."""


@contextmanager
def attempting(what: str) -> Iterator[None]:
    """Within the block, whatever a processor or network raises becomes a `FailedError`; our own errors pass.

    Args:
        what: begins the message, such as "the model cannot answer this".
    """
    try:
        yield
    except VQTTTError:
        raise
    except Exception as error:
        raise FailedError(f"{what}: {in_a_line(error)}") from error


_COSTS = {
    "auto": (3.0, 0.06),
    "richardson-lucy": (7.0, 0.14),
    "non-local-means": (2.4, 0.06),
    "total-variation": (0.5, 0.05),
    "deblock": (0.8, 0.07),
    "wiener": (0.7, 0.05),
}
"""Seconds and GB for each megapixel of the slow restorers, measured on one core with an image of 4000 x 3000."""


def say_how_long(image: "Image", restorer: str) -> None:
    """Say on standard error what restoring will take, if that is 10 seconds or more."""
    megapixels = image.shape[0] * image.shape[1] / 1e6
    seconds, memory = (megapixels * cost for cost in _COSTS.get(restorer, (0.0, 0.0)))
    if seconds >= 10:
        about = "up to" if restorer == "auto" else "about"
        typer.echo(f"{restorer}, {megapixels:.0f} megapixels: {about} {seconds:.0f} s and {memory:.1f} GB", err=True)


def say_scope(model: "Model") -> None:
    """Say on standard error what the model is limited to, if it is."""
    if model.scope:
        typer.echo(f"{model.name}: {model.scope}", err=True)
