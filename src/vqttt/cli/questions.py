"""`vqttt answer`: ask one question."""

import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from vqttt.cli.model_options import ModelOptions, with_model_options
from vqttt.cli.options import (
    AsJson,
    FailedError,
    ImagePath,
    ModelName,
    Question,
    Settings,
    Tuned,
    attempting,
    check_question,
    chosen_method,
    say_how_long,
    say_scope,
)
from vqttt.cli.output import as_json as to_json

if TYPE_CHECKING:
    from vqttt.methods import Method
    from vqttt.types import Answer, Image


@with_model_options()
def answer(
    image: ImagePath,
    question: Question,
    model: ModelName = "embedded",
    method: Annotated[str, typer.Option(help="How to answer; see `vqttt list methods`.")] = "vq-select",
    restorer: Annotated[str, typer.Option(help="Restorer applied to the image first.")] = "none",
    set_: Settings = None,
    tuned: Tuned = None,
    *,
    options: ModelOptions,
    as_json: AsJson = False,
) -> None:
    """Answer one question about one image, and show what tuning changed."""
    import time

    from vqttt.images.files import load_image
    from vqttt.images.restorers import restore

    check_question(question)
    spec = chosen_method(method, set_, tuned)
    options.checked()
    shown = load_image(image)
    say_how_long(shown, restorer)
    began = time.perf_counter()
    with attempting(f"{image} cannot be restored"):
        shown = restore(shown, restorer)
    restoring = time.perf_counter() - began
    loaded = options.load_model(model)
    say_scope(loaded)
    answering = spec.build(loaded)
    began = time.perf_counter()
    result = _asked(answering, shown, question)
    result = replace(result, seconds=restoring + time.perf_counter() - began)
    if as_json:
        typer.echo(to_json(asdict(result)))
    if result.error:
        raise FailedError(result.error)
    if not as_json:
        typer.echo(result.answer)
        typer.echo(f"{_what_happened(result, frozen=tuned is not None)}; {_measured(result)}", err=True)


def _asked(method: "Method", image: "Image", question: str) -> "Answer":
    """Ask one question; what a processor or network raises is the answer's `error`."""
    from vqttt.types import Answer

    try:
        with attempting("the model cannot answer this"):
            return method.ask([image], [question])[0]
    except FailedError as error:
        return Answer(
            answer="",
            base_answer="",
            confidence=math.nan,
            base_confidence=math.nan,
            entropy_before=math.nan,
            entropy_after=math.nan,
            steps=0,
            rolled_back=False,
            seconds=0.0,
            error=str(error),
        )


def _measured(result: "Answer") -> str:
    steps = f"{result.steps} step{'s' if result.steps != 1 else ''}"
    return f"entropy {result.entropy_before:.3f} -> {result.entropy_after:.3f} nats, {steps}, {result.seconds:.2f} s"


def _what_happened(result: "Answer", *, frozen: bool) -> str:
    """Say in words how the answer came about; `frozen` if what was tuned before was only applied."""
    if result.rolled_back and result.steps:
        return "new answer discarded, untuned answer kept"
    if result.rolled_back:
        return f"the {'saved tuning' if frozen else 'method'}'s answer was less certain, untuned answer kept"
    if result.answer != result.base_answer:
        return f"untuned answer was {result.base_answer!r}"
    tuned = result.steps or result.entropy_after != result.entropy_before
    return "same answer as untuned" if tuned else "left untuned"
