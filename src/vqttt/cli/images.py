"""One image at a time: degrade it, restore it, measure it."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vqttt.errors import InputError

_PYIQA = "pyiqa:"

ImagePath = Annotated[Path, typer.Argument(help="An image in any common format.")]
Out = Annotated[Path, typer.Option(help="Where to write; the suffix names the format.")]


def degrade(
    image: ImagePath,
    out: Out,
    kind: Annotated[
        str | None, typer.Option(help="A degradation or style (see `vqttt list`), or several: fog+jpeg_compression.")
    ] = None,
    severity: Annotated[int, typer.Option(help="1 to 5.")] = 3,
    seed: Annotated[int, typer.Option(help="Which noise, direction or clouds to draw.")] = 0,
    scale: Annotated[str, typer.Option(help="relative (to a short side of 224 px) or absolute lengths.")] = "relative",
    gallery: Annotated[bool, typer.Option("--gallery", help="A contact sheet of all kinds and severities.")] = False,
) -> None:
    """Degrade an image, or show everything that can happen to it."""
    from vqttt.images import degradations
    from vqttt.images.files import load_image, save_image
    from vqttt.images.gallery import contact_sheet

    if gallery:
        kinds = _track([kind] if kind else [*degradations.DEGRADATIONS, *degradations.STYLES], "degrading")
        save_image(contact_sheet(load_image(image), kinds, seed=seed, scale=scale), out)
    elif kind is None:
        known = ", ".join((*degradations.DEGRADATIONS, *degradations.STYLES))
        raise InputError(f"say --kind ({known}) or --gallery")
    else:
        severity = 0 if kind == degradations.CLEAN else severity
        save_image(degradations.degrade(load_image(image), kind, severity, seed, scale), out)
    typer.echo(out)


def restore(
    image: ImagePath,
    out: Out,
    restorer: Annotated[str, typer.Option(help="See `vqttt list restorers`; or spandrel:PATH.")] = "auto",
    gallery: Annotated[bool, typer.Option("--gallery", help="A contact sheet of all restorers.")] = False,
) -> None:
    """Restore an image, or show what every restorer makes of it."""
    from vqttt.images import restorers
    from vqttt.images.files import load_image, save_image
    from vqttt.images.gallery import restored_sheet

    loaded = load_image(image)
    if gallery:
        names = restorers.installed()
        missing = [name for name in restorers.RESTORERS if name not in names]
        if missing:
            typer.echo(f"left out, not installed: {', '.join(missing)}", err=True)
        save_image(restored_sheet(loaded, _track(names, "restoring")), out)
    else:
        save_image(restorers.restore(loaded, restorer), out)
    typer.echo(out)


def quality(
    image: ImagePath,
    reference: Annotated[Path | None, typer.Option(help="The undegraded image, to compare with.")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="More, by an installed pyiqa: pyiqa:NAME.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure how good an image looks."""
    from vqttt.images.files import load_image
    from vqttt.images.quality import METRICS, measure, pyiqa_metric

    wrong = [name for name in metric or () if not name.startswith(_PYIQA)]
    if wrong:
        raise InputError(f"{wrong[0]}: --metric takes {_PYIQA}NAME; {', '.join(METRICS)} are always measured")
    loaded = load_image(image)
    undegraded = load_image(reference) if reference else None
    values = {name: value for name, value in asdict(measure(loaded, undegraded)).items() if not math.isnan(value)}
    for name in metric or ():
        values[name] = pyiqa_metric(name.removeprefix(_PYIQA))(loaded, undegraded)
    if as_json:
        typer.echo(json.dumps(values))
        return
    width = max(map(len, values))
    for name, value in values.items():
        typer.echo(f"{name:<{width}}  {value:8.3f}  {METRICS.get(name, '')}".rstrip())


def _track(names: list[str], what: str) -> Iterable[str]:
    """Show a progress bar while `names` are gone through, if there is a terminal to show it on."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(names, what, console=console, transient=True, disable=not console.is_terminal)
