"""`vqttt degrade`, `restore` and `quality`: one image at a time."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vqttt.cli.options import AsJson, ImagePath, Scale, Seed, Severity, attempting, names, say_how_long
from vqttt.cli.output import as_json as to_json
from vqttt.cli.progress import tracked
from vqttt.errors import InputError

_PYIQA = "pyiqa:"

Out = Annotated[Path, typer.Option(help="Image to write; the suffix sets the format.")]


def degrade(
    image: ImagePath,
    out: Out,
    kind: Annotated[
        str | None,
        typer.Option(
            help="Degradation or style (see `vqttt list degradations`), or several joined by +, as in fog+webp."
        ),
    ] = None,
    severity: Severity = 3,
    seed: Seed = 0,
    scale: Scale = "relative",
    gallery: Annotated[
        bool, typer.Option("--gallery", help="Write a contact sheet: all kinds, or --kind, at all severities.")
    ] = False,
) -> None:
    """Degrade an image, or write a contact sheet of all degradations."""
    from vqttt.images import degradations
    from vqttt.images.files import load_image, save_image
    from vqttt.images.gallery import contact_sheet

    if gallery:
        kinds = [kind] if kind else [*degradations.DEGRADATIONS, *degradations.STYLES]
        shown = tracked(kinds, "degrading", transient=True)
        save_image(contact_sheet(load_image(image), shown, seed=seed, scale=scale), out)
    elif kind is None:
        known = ", ".join((*degradations.DEGRADATIONS, *degradations.STYLES))
        raise InputError(f"give --kind or --gallery; the kinds are {known}")
    else:
        severity = 0 if kind == degradations.CLEAN else severity
        save_image(degradations.degrade(load_image(image), kind, severity, seed, scale), out)
    typer.echo(out)


def restore(
    image: ImagePath,
    out: Out,
    restorer: Annotated[
        str, typer.Option(help="Restorer (see `vqttt list restorers`), or spandrel:PATH for a weights file.")
    ] = "auto",
    gallery: Annotated[bool, typer.Option("--gallery", help="Write a contact sheet of all restorers.")] = False,
) -> None:
    """Restore an image, or write a contact sheet of all restorers."""
    from vqttt.images import restorers
    from vqttt.images.files import load_image, save_image
    from vqttt.images.gallery import restored_sheet

    loaded = load_image(image)
    if gallery:
        installed = restorers.installed()
        missing = [name for name in restorers.RESTORERS if name not in installed]
        if missing:
            typer.echo(f"left out because they are not installed: {', '.join(missing)}", err=True)
        with attempting(f"{image} cannot be restored"):
            sheet = restored_sheet(loaded, tracked(installed, "restoring", transient=True))
        save_image(sheet, out)
    else:
        say_how_long(loaded, restorer)
        with attempting(f"{image} cannot be restored"):
            restored = restorers.restore(loaded, restorer, tell=lambda found: typer.echo(f"auto: {found}", err=True))
        save_image(restored, out)
    typer.echo(out)


def quality(
    image: ImagePath,
    reference: Annotated[Path | None, typer.Option(help="The undegraded image, to compare with.")] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="More metrics, pyiqa:NAME, comma-separated or repeated; needs the package pyiqa."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the quality of an image."""
    from vqttt.images.files import load_image
    from vqttt.images.quality import METRICS, measure, pyiqa_metric

    extra = names(metric) or ()
    if wrong := [name for name in extra if not name.startswith(_PYIQA)]:
        raise InputError(f"{wrong[0]}: --metric takes {_PYIQA}NAME; {', '.join(METRICS)} are always measured")
    loaded = load_image(image)
    undegraded = load_image(reference) if reference else None
    values = {name: value for name, value in asdict(measure(loaded, undegraded)).items() if not math.isnan(value)}
    for name in extra:
        values[name] = pyiqa_metric(name.removeprefix(_PYIQA))(loaded, undegraded)
    if as_json:
        typer.echo(to_json(values))
        return
    width = max(map(len, values))
    for name, value in values.items():
        typer.echo(f"{name:<{width}}  {value:8.3f}  {METRICS.get(name, '')}".rstrip())
