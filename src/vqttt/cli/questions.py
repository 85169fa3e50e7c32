"""`vqttt answer`: ask one question."""

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from vqttt.cli.options import (
    AsJson,
    Attention,
    Bits,
    Device,
    Dtype,
    ImagePath,
    ModelName,
    Question,
    Revision,
    Tuned,
    answering,
    check_question,
    chosen_method,
    load_options,
)

if TYPE_CHECKING:
    from vqttt.types import Answer


def answer(
    image: ImagePath,
    question: Question,
    model: ModelName = "embedded",
    method: Annotated[str, typer.Option(help="How to answer; see `vqttt list methods`.")] = "vq-select-restore",
    restorer: Annotated[str, typer.Option(help="Restorer applied to the image first.")] = "none",
    tuned: Tuned = None,
    dtype: Dtype = None,
    device: Device = None,
    attention: Attention = None,
    bits: Bits = None,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """Answer one question about one image, and show what tuning changed."""
    import time

    from vqttt.images.files import load_image
    from vqttt.images.restorers import restore
    from vqttt.models import load_model

    check_question(question)
    spec = chosen_method(method, tuned)
    options = load_options(dtype=dtype, device=device, attention=attention, bits=bits, revision=revision)
    shown = load_image(image)
    began = time.perf_counter()
    shown = restore(shown, restorer)
    restoring = time.perf_counter() - began
    loaded = load_model(model, options)
    began = time.perf_counter()
    with answering():
        result = spec.build(loaded).ask([shown], [question])[0]
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
        return "tuning rolled back, untuned answer kept"
    if result.answer != result.base_answer:
        return f"untuned answer was {result.base_answer!r}"
    tuned = result.steps or result.entropy_after != result.entropy_before
    return "same answer as untuned" if tuned else "left untuned"
