"""`vqttt analyse`: look inside a model while it answers."""

from pathlib import Path
from typing import Annotated

import typer

from vqttt.cli.model_options import ModelOptions, with_model_options
from vqttt.cli.options import (
    AsJson,
    ImagePath,
    ModelName,
    Question,
    Seed,
    Settings,
    Severity,
    Tuned,
    attempting,
    check_question,
    chosen_method,
    numbers,
    say_scope,
)
from vqttt.cli.output import as_json as to_json
from vqttt.errors import InputError


@with_model_options(served=False)
def analyse(
    image: ImagePath,
    question: Question,
    out: Annotated[Path | None, typer.Option(help="Figure to write: .png, .svg or .pdf.")] = None,
    model: ModelName = "embedded",
    degradation: Annotated[str, typer.Option(help="Degradation or style, or several joined by +.")] = "fog",
    severity: Severity = 3,
    seed: Seed = 0,
    method: Annotated[str, typer.Option(help="Method of the tuned row; see `vqttt list methods`.")] = "vq-select",
    restorer: Annotated[str, typer.Option(help="Restorer applied to the image before the method.")] = "none",
    set_: Settings = None,
    tuned: Tuned = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            help="Layers whose attention is shown, from 1, comma-separated or repeated. All by default.",
            metavar="<list[int]>",
        ),
    ] = None,
    *,
    options: ModelOptions,
    as_json: AsJson = False,
) -> None:
    """Show which image regions a model attends to and at which layer its answer appears: clean, degraded and tuned."""
    from vqttt.images.degradations import degrade
    from vqttt.images.files import load_image
    from vqttt.images.restorers import restore
    from vqttt.interpret import compare, draw
    from vqttt.interpret.drawing import check_format
    from vqttt.models.tunable import tunable
    from vqttt.runs.records import CLEAN, NONE

    check_question(question)
    spec, layers = chosen_method(method, set_, tuned), numbers("--layer", layer)
    options.checked()
    if out is None and not as_json:
        raise InputError("give the figure's file, such as --out analysis.png, or --json for the numbers")
    if out is not None:
        check_format(out)
    clean = load_image(image)
    degraded = degrade(clean, degradation, 0 if degradation == CLEAN else severity, seed)
    with attempting(f"{image} cannot be restored"):
        restored = restore(degraded, restorer, degradation)
    loaded = tunable(options.load_model(model), "`vqttt analyse`")
    say_scope(loaded)
    with attempting("the model cannot answer this"):
        rows = compare(
            loaded,
            question,
            clean,
            (degradation if degradation == CLEAN else f"{degradation} {severity}", degraded),
            (method if restorer == NONE else f"{restorer}, {method}", restored, spec.build(loaded)),
            layers=[number - 1 for number in layers] if layers else None,
        )
    if out is not None:
        draw(rows, out, question)
    typer.echo(to_json({"question": question, "rows": [row.numbers() for row in rows]}) if as_json else out)
