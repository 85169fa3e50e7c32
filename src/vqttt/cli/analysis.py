"""Look inside a model while it answers."""

import json
from pathlib import Path
from typing import Annotated

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
from vqttt.errors import InputError


def analyse(
    image: ImagePath,
    question: Question,
    out: Annotated[Path | None, typer.Option(help="The figure: .png, .svg or .pdf.")] = None,
    model: ModelName = "embedded",
    degradation: Annotated[str, typer.Option(help="What happens to the image; several joined by +.")] = "fog",
    severity: Annotated[int, typer.Option(help="1 to 5.")] = 3,
    seed: Annotated[int, typer.Option(help="Which noise, direction or clouds to draw.")] = 0,
    method: Annotated[str, typer.Option(help="How it is tuned: see `vqttt list methods`.")] = "vq-ttt",
    restorer: Annotated[str, typer.Option(help="What is done about the image before it is tuned.")] = "none",
    tuned: Tuned = None,
    layer: Annotated[
        list[int] | None, typer.Option(help="Attention of this layer, from 1; may be repeated. By default of all.")
    ] = None,
    dtype: Dtype = "auto",
    device: Device = "",
    bits: Bits = 0,
    revision: Revision = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as one JSON object.")] = False,
) -> None:
    """Show where an answer looks and at which layer it appears: clean, degraded and tuned."""
    from vqttt.images.degradations import degrade
    from vqttt.images.files import load_image
    from vqttt.images.restorers import restore
    from vqttt.interpret import compare, draw
    from vqttt.interpret.drawing import check_format
    from vqttt.models import LoadOptions, load_model
    from vqttt.runs.records import CLEAN, NONE

    options = LoadOptions(dtype=dtype, device=device, bits=bits, revision=revision)
    make = method_for(question, method, tuned)
    if out is None and not as_json:
        raise InputError("say where the figure goes, as in --out analysis.png, or --json for the numbers")
    if out is not None:
        check_format(out)
    clean = load_image(image)
    degraded = degrade(clean, degradation, 0 if degradation == CLEAN else severity, seed)
    mended = restore(degraded, restorer, degradation)
    loaded = load_model(model, options)
    with answering():
        rows = compare(
            loaded,
            question,
            clean,
            (degradation if degradation == CLEAN else f"{degradation} {severity}", degraded),
            (method if restorer == NONE else f"{restorer}, {method}", mended, make(loaded)),
            layers=[number - 1 for number in layer] if layer else None,
        )
    if out is not None:
        draw(rows, out, question)
    typer.echo(json.dumps({"question": question, "rows": [row.numbers() for row in rows]}) if as_json else out)
