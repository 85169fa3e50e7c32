"""`vqttt bench --server`: a server under load."""

import json
from dataclasses import asdict
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vqttt.cli.output import show
from vqttt.errors import InputError

if TYPE_CHECKING:
    from vqttt.types import Image

_IMAGES = 64
"""Images that are sent in turn: four of five with strong noise, so that the embedded model is unsure of about half."""

_FIGURES = ("answered/s", "of plain", "p50", "p95", "p99", "failed", "looks", "certain")


def bench_server(
    url: str, model: str, methods: tuple[str, ...], rates: tuple[int, ...] | None, clients: int, seconds: int, out: Path
) -> None:
    """Measure latency and throughput, print them as a table and write them as JSON.

    Args:
        url: of the server.
        model: what it calls its model.
        methods: by name; the first is what the others are compared with.
        rates: requests in a second; None for saturation alone.
        clients: requests at a time at most.
        seconds: of each measurement.
        out: file to write.
    """
    from vqttt.models.served.options import without_credentials
    from vqttt.results.tables import Table
    from vqttt.serving.load import Generator, own_work

    if min(clients, seconds, *(rates or (1,))) < 1:
        raise InputError("--rate, --clients and --seconds must be at least 1")
    out.parent.mkdir(parents=True, exist_ok=True)
    title = f"{without_credentials(url)}, {clients} requests at a time at most; p50 to p99 in ms"
    shown, rows, plain = list[tuple[str, ...]](), list[dict[str, object]](), dict[float | None, float]()
    for load in Generator(url, model, _asked(), clients).measure(methods, (*(rates or ()), None), seconds):
        base = plain.setdefault(load.rate, load.throughput)
        share = load.throughput / base if base else nan
        arriving = "at once" if load.rate is None else f"{load.rate:g}"
        typer.echo(f"{load.method}, {arriving}: {load.throughput:.1f} answers a second", err=True)
        times = [f"{value:.0f}" for value in (load.p50, load.p95, load.p99)]
        shown.append((
            load.method, arriving, f"{load.throughput:.1f}", f"{share:.2f}x", *times, str(load.failed),
            f"{load.looks:.2f}", f"{load.certain:.0%}",
        ))  # fmt: skip
        figures_of = {**asdict(load), "throughput": load.throughput, "of_plain": share}
        rows.append({name: None if value != value else value for name, value in figures_of.items()})  # NaN is no JSON
        out.write_text(json.dumps(rows, indent=1) + "\n")
    show(Table(title=title, header=("method", "arriving/s", *_FIGURES), rows=shown, keys=1).rich())
    if within := own_work(url):
        typer.echo(f"the server's own work, since it started, took {within}")
    typer.echo(out)


def _asked() -> "list[tuple[Image, str]]":
    """Return scenes with questions, four of five degraded."""
    from vqttt.images.degradations import degrade
    from vqttt.images.files import as_image
    from vqttt.tasks import load_task, question_text

    samples = load_task("vq-mini", _IMAGES)
    images = [as_image(sample.load()) for sample in samples]
    shown = [degrade(image, "gaussian_noise", 5, n) if n % 5 else image for n, image in enumerate(images)]
    return [(image, question_text(sample)) for image, sample in zip(shown, samples, strict=True)]
