"""What tuning needs, what it leaves and what it costs: clean statistics, saved adapters, a benchmark."""

from pathlib import Path
from typing import Annotated

import typer

from vqttt.errors import InputError

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}


def clean_features(
    folder: Annotated[Path, typer.Argument(help="A folder of clean images like those to come; no labels.")],
    out: Annotated[Path, typer.Option(help="Where to write; in a checkpoint's folder: clean_features.safetensors.")],
    model: Annotated[str, typer.Option(help="A registered name, a checkpoint folder or a Hub id.")] = "embedded",
    limit: Annotated[int, typer.Option(help="At most so many images; 256 are plenty.")] = 256,
) -> None:
    """Store how a model's vision features look on clean images, for `vq-ttt-features`."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder of images")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)[:limit]
    if len(files) < 2:
        raise InputError(f"{folder} has {len(files)} images ({', '.join(sorted(_SUFFIXES))}); at least 2 are needed")
    from vqttt.images.files import load_image
    from vqttt.models import load_model
    from vqttt.tuning.feature_statistics import measure_clean, save_clean

    _writable(out)
    clean = measure_clean(load_model(model), [load_image(file) for file in files], ["what is shown?"] * len(files))
    save_clean(out, clean)
    typer.echo(f"{out}: features of {len(files)} images")


def _writable(out: Path) -> None:
    """See before any work that a file can be written.

    Raises:
        OSError: if it cannot.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    existed = out.exists()
    out.open("ab").close()
    if not existed:
        out.unlink()


def tune(
    task: Annotated[str, typer.Option(help="A task, or jsonl:PATH; its answers are not looked at.")],
    out: Annotated[Path, typer.Option(help="Where to write what was learned, a few kB; answer --tuned takes it.")],
    model: Annotated[str, typer.Option(help="A registered name, a checkpoint folder or a Hub id.")] = "embedded",
    method: Annotated[str, typer.Option(help="An online method that tunes.")] = "vq-ttt",
    degradation: Annotated[str, typer.Option(help="What happens to the images first.")] = "clean",
    severity: Annotated[int, typer.Option(help="1 to 5.")] = 3,
    limit: Annotated[int | None, typer.Option(help="At most so many samples.")] = None,
    batch: Annotated[int, typer.Option(help="Samples that are tuned together.")] = 20,
) -> None:
    """Tune along a stream of images and questions, and save it, to be applied frozen to others."""
    from rich.console import Console
    from rich.progress import track

    from vqttt.images.degradations import check_kind
    from vqttt.methods import VQTTT, savable
    from vqttt.models import load_model
    from vqttt.runs.records import CLEAN
    from vqttt.study.batch import Batch, ImageCache
    from vqttt.tasks import load_task
    from vqttt.types import Condition

    config = savable(method)
    check_kind(degradation)
    if batch < 1 or not 1 <= severity <= 5:
        raise InputError("batch must be at least 1, and severity 1 to 5")
    _writable(out)
    samples, images, loaded = load_task(task, limit), ImageCache(), load_model(model)
    condition = Condition(degradation=degradation, severity=0 if degradation == CLEAN else severity)
    tuned = VQTTT(loaded, config)
    console = Console(stderr=True)
    for start in track(range(0, len(samples), batch), "tuning", console=console, disable=not console.is_terminal):
        some = samples[start : start + batch]
        prepared = Batch.prepare(some, images, condition, loaded, seed=0, max_new_tokens=16)
        for name, error in prepared.errors.items():
            typer.echo(f"{name}: {error}", err=True)
        if prepared.answered:
            tuned.answer(*prepared.answered)
    tuned.save(out)
    typer.echo(out)


def bench(
    model: Annotated[
        str, typer.Option(help="A name, folder or Hub id, or `proportions`: random weights shaped like LLaVA-1.5.")
    ] = "embedded",
    method: Annotated[
        list[str] | None, typer.Option(help="Any of `vqttt list methods`; by default a selection.")
    ] = None,
    batch: Annotated[list[int] | None, typer.Option(help="Batch sizes; by default 1, 4, 16 and 64.")] = None,
    repeats: Annotated[int, typer.Option(help="The median of so many is taken.")] = 5,
    profile: Annotated[bool, typer.Option("--profile", help="Show where the time of one method goes.")] = False,
    out: Annotated[Path, typer.Option(help="Where the JSON goes.")] = Path("runs/bench.json"),
) -> None:
    """Measure what methods cost, in time and memory, against plain inference in the same run."""
    from rich.console import Console
    from rich.table import Table

    from vqttt.methods import METHODS
    from vqttt.methods import cost as benchmark
    from vqttt.models import load_model

    names = method or ["none", "kernel-only", "vq-ttt", "vq-ttt-static", "vq-ttt-episodic", "tent"]
    methods = {name: METHODS[name] for name in names}
    loaded = benchmark.proportioned() if model == "proportions" else load_model(model)
    if profile:
        typer.echo(benchmark.profile(loaded, names[0], (batch or [16])[0]))
        return
    drawn = Table("method", "batch", "ms a sample", "plain", "ratio", "peak MiB", "plain", "tuned")
    costs = []
    console = Console()
    for cost in benchmark.measure(loaded, methods, batch or [1, 4, 16, 64], repeats):
        costs.append(cost)
        typer.echo(f"{cost.method}, batch {cost.batch}: {cost.ratio:.2f}x", err=True)
        peaks = ["–" if peak is None else f"{peak:.0f}" for peak in (cost.peak_mib, cost.plain_peak_mib)]
        milliseconds = [f"{1000 * seconds:.1f}" for seconds in (cost.seconds, cost.plain_seconds)]
        drawn.add_row(cost.method, str(cost.batch), *milliseconds, f"{cost.ratio:.2f}x", *peaks, f"{cost.tuned:.0%}")
        benchmark.write(costs, out)
    console.print(drawn)
    typer.echo(out)
