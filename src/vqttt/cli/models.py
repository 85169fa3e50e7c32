"""`vqttt models check`: whether a model can be trusted with answers and with tuning."""

from typing import TYPE_CHECKING, Annotated

import typer

from vqttt.cli.model_options import ModelOptions, with_model_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vqttt.models.discovered.verify import Check


@with_model_options(served=False)
def check(
    source: Annotated[str, typer.Argument(help="A checkpoint folder, a Hugging Face id or a registered name.")],
    options: ModelOptions,
) -> None:
    """Load a model and show what was found about it, and whether each check holds."""
    from vqttt.models.discovered.answering import AnsweringModel
    from vqttt.models.discovered.family import Discovered
    from vqttt.models.discovered.verdict import UnfitError
    from vqttt.models.discovered.verify import ANSWERS, verified
    from vqttt.models.tunable import tunable

    try:
        model = options.load_model(source)
    except UnfitError as error:
        _show(error.checks)
        raise
    inner = model.model if isinstance(model, AnsweringModel) else tunable(model, "`vqttt models check`")
    if isinstance(model, Discovered):
        for about, found in model.description().items():
            typer.echo(f"{about:<18}{found}")
    else:
        typer.echo(f"{'family':<18}{'a file of its own' if model is inner else 'found by trying'}")
    checks = verified(inner, model.untunable)
    _show(checks)
    wrong = [one for one in checks if one.failed]
    if any(one.needed == ANSWERS for one in wrong):
        raise UnfitError(source, checks)
    typer.echo("It answers and can be tuned." if not wrong else f"It answers, but cannot be tuned: {wrong[-1].failed}.")


def _show(checks: "Sequence[Check]") -> None:
    for one in checks:
        outcome = f"FAILED: {one.failed}" if one.failed else f"holds: {one.found}"
        typer.echo(f"{one.name:<18}for {one.needed:<9}{outcome}")
