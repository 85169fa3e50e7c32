"""Ask one question."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from vqttt.errors import InputError


def answer(
    image: Annotated[Path, typer.Argument(help="A picture in any common format.")],
    question: Annotated[str, typer.Argument(help="The question, without a chat template.")],
    model: Annotated[str, typer.Option(help="A registered name, a checkpoint folder or a Hub id.")] = "embedded",
    method: Annotated[str, typer.Option(help="How to answer: see `vqttt list methods`.")] = "vq-ttt",
    restorer: Annotated[str, typer.Option(help="What is done about the picture first.")] = "none",
    tuned: Annotated[
        Path | None, typer.Option(help="What `vqttt tune` wrote, by the same method; applied as it is.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="Of a checkpoint's weights: float32, bfloat16, float16.")] = "auto",
    device: Annotated[str, typer.Option(help="Such as cpu or cuda:1; auto spreads a checkpoint over all.")] = "",
    attention: Annotated[str, typer.Option(help="eager, sdpa or flash_attention_2.")] = "",
    bits: Annotated[int, typer.Option(help="4 or 8 to quantise a checkpoint's weights.")] = 0,
    revision: Annotated[str, typer.Option(help="A Hub id's branch, tag or commit.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask one question about one picture, before and after tuning."""
    import time

    from vqttt.images import load_image
    from vqttt.methods import METHODS, frozen
    from vqttt.models import LoadOptions, load_model
    from vqttt.restorers import restore

    options = LoadOptions(dtype=dtype, device=device, attention=attention, bits=bits, revision=revision)
    if not question.strip():
        raise InputError("the question is empty; ask something about the picture")
    make = METHODS[method] if tuned is None else frozen(method, tuned)
    picture = load_image(image)
    began = time.perf_counter()
    picture = restore(picture, restorer)
    restoring = time.perf_counter() - began
    loaded = load_model(model, options)
    began = time.perf_counter()
    try:
        inputs = loaded.encode([picture], [question])
        result = make(loaded).answer_alone(inputs)[0]
    except (ValueError, RuntimeError, IndexError) as error:
        raise InputError(f"the model cannot answer this: {' '.join(str(error).split())}") from error
    result = replace(result, seconds=restoring + time.perf_counter() - began)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
        return
    typer.echo(result.answer)
    changed = f"was {result.base_answer!r}; " if result.answer != result.base_answer else ""
    note = " (rolled back)" if result.rolled_back else ""
    typer.echo(
        f"{changed}entropy {result.entropy_before:.3f} -> {result.entropy_after:.3f} nats, "
        f"{result.steps} tuning steps{note}, {result.seconds:.2f} s",
        err=True,
    )
