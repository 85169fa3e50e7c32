"""What there is, and what more can be had."""

import importlib
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

_HOMES = {
    "styles": "images.degradations",
    "degradations": "images.degradations",
    "restorers": "images.restorers",
    "objectives": "tuning.objectives",
}
"""The modules of registries that are not called as their module is."""

_ALSO = {"models": "FAMILIES"}
"""Registries that are listed after another of their module."""


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
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """List what there is, with a line on each."""
    home = importlib.import_module(f"vqttt.{_HOMES.get(kind, kind)}")
    registries: list[Any] = [getattr(home, name) for name in (kind.upper(), _ALSO.get(kind)) if name]
    rows = [{"name": name, "summary": registry.summary(name)} for registry in registries for name in registry]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        typer.echo(f"{row['name']:<{width}}  {row['summary']}")


def install(
    name: Annotated[str, typer.Argument(help="Such as maxim-denoising; see `vqttt list restorers`.")],
    package: Annotated[
        Path | None, typer.Option(help="The npm package as a file, where npm cannot fetch it itself.")
    ] = None,
) -> None:
    """Fetch a restorer's published weights (55 to 85 MB) by npm, check them and keep them in the cache."""
    from vqttt.images.restorers import maxim

    typer.echo(maxim.install(name, package))
