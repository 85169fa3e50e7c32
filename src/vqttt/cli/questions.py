"""Ask one question."""

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from vqttt.cli.options import (
    Bits,
    Device,
    Dtype,
    ImagePath,
    ModelName,
    Question,
    Revision,
    Tuned,
    answering,
    method_for,
)

if TYPE_CHECKING:
    from vqttt.types import Answer


def answer(
    image: ImagePath,
    question: Question,
    model: ModelName = "embedded",
    method: Annotated[str, typer.Option(help="How to answer: see `vqttt list methods`.")] = "vq-ttt",
    restorer: Annotated[str, typer.Option(help="What is done about the image first.")] = "none",
    tuned: Tuned = None,
    dtype: Dtype = "auto",
    device: Device = "",
    attention: Annotated[str, typer.Option(help="eager, sdpa or flash_attention_2.")] = "",
    bits: Bits = 0,
    revision: Revision = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask one question about one image, before and after tuning."""
    import time

    from vqttt.images.files import load_image
    from vqttt.images.restorers import restore
    from vqttt.models import LoadOptions, load_model

    options = LoadOptions(dtype=dtype, device=device, attention=attention, bits=bits, revision=revision)
    make = method_for(question, method, tuned)
    shown = load_image(image)
    began = time.perf_counter()
    shown = restore(shown, restorer)
    restoring = time.perf_counter() - began
    loaded = load_model(model, options)
    began = time.perf_counter()
    with answering():
        inputs = loaded.encode([shown], [question])
        result = make(loaded).answer_alone(inputs)[0]
    result = replace(result, seconds=restoring + time.perf_counter() - began)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
        return
    typer.echo(result.answer)
    typer.echo(
        f"{_what_happened(result)}; entropy {result.entropy_before:.3f} -> {result.entropy_after:.3f} nats, "
        f"{result.steps} tuning step{'s' if result.steps != 1 else ''}, {result.seconds:.2f} s",
        err=True,
    )


def _what_happened(result: "Answer") -> str:
    if result.rolled_back:
        return "untuned answer kept, as the guard undid the tuning"
    if result.answer != result.base_answer:
        return f"untuned answer was {result.base_answer!r}"
    touched = result.steps or result.entropy_after != result.entropy_before
    return "same answer as untuned" if touched else "left untuned"
