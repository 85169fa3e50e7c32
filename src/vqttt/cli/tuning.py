"""`vqttt tune`, `clean-features` and `bench`: saved adapters, clean statistics, and what methods cost."""

from pathlib import Path
from typing import Annotated

import typer

from vqttt.cli.options import ModelName, Severity, names, numbers
from vqttt.errors import InputError

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}


def clean_features(
    folder: Annotated[
        Path, typer.Argument(help="Folder of clean images like those that will come; labels are not needed.")
    ],
    out: Annotated[
        Path, typer.Option(help="File to write; found if it is clean_features.safetensors in the checkpoint's folder.")
    ],
    model: ModelName = "embedded",
    limit: Annotated[int, typer.Option(help="Maximum number of images; 256 are plenty.")] = 256,
) -> None:
    """Measure a model's vision features on clean images, for the method `vq-select-features`."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder of images")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)[:limit]
    if len(files) < 2:
        raise InputError(f"{folder} has {len(files)} images ({', '.join(sorted(_SUFFIXES))}); at least 2 are needed")
    from vqttt.images.files import load_image
    from vqttt.models import load_model
    from vqttt.models.base import tunable
    from vqttt.tuning.feature_statistics import measure_clean, save_clean

    _check_writable(out)
    loaded = tunable(load_model(model), "`vqttt clean-features`")
    clean = measure_clean(loaded, [load_image(file) for file in files], ["what is shown?"] * len(files))
    save_clean(out, clean)
    typer.echo(f"{out}: features of {len(files)} images")


def _check_writable(out: Path) -> None:
    """Check that a file can be written, before any work is done.

    Raises:
        OSError: if it cannot.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    existed = out.exists()
    out.open("ab").close()
    if not existed:
        out.unlink()


def tune(
    task: Annotated[str, typer.Option(help="Task, jsonl:PATH, tsv:PATH or BENCHMARK:PATH; its answers are not used.")],
    out: Annotated[Path, typer.Option(help="File to write, a few kB; for `vqttt answer --tuned`.")],
    model: ModelName = "embedded",
    method: Annotated[str, typer.Option(help="Method that learns along the stream.")] = "vq-select-restore",
    degradation: Annotated[
        str, typer.Option(help="Degradation or style of the images, or several joined by +.")
    ] = "clean",
    severity: Severity = 3,
    limit: Annotated[int | None, typer.Option(help="Maximum number of samples.")] = None,
    batch: Annotated[int, typer.Option(help="Number of samples tuned on together.")] = 20,
) -> None:
    """Tune on a stream of images and questions, and save what was learned."""
    from rich.console import Console
    from rich.progress import track

    from vqttt.images.degradations import check_kind
    from vqttt.methods import METHODS, find_method
    from vqttt.methods.stream import StreamMethod
    from vqttt.models import load_model
    from vqttt.runs.records import CLEAN
    from vqttt.study.batch import Batch, ImageCache
    from vqttt.tasks import load_task
    from vqttt.types import Condition

    spec = find_method(method)
    if not issubclass(spec.kind, StreamMethod):
        known = ", ".join(name for name in METHODS if issubclass(METHODS[name].kind, StreamMethod))
        raise InputError(f"the method {method!r} learns nothing that could be saved; these do: {known}")
    check_kind(degradation)
    if batch < 1 or not 1 <= severity <= 5:
        raise InputError("batch must be at least 1, and severity 1 to 5")
    _check_writable(out)
    samples, images, loaded = load_task(task, limit), ImageCache(), load_model(model)
    condition = Condition(degradation=degradation, severity=0 if degradation == CLEAN else severity)
    learner = spec.build(loaded)
    assert isinstance(learner, StreamMethod), learner
    console = Console(stderr=True)
    for start in track(range(0, len(samples), batch), "tuning", console=console, disable=not console.is_terminal):
        some = samples[start : start + batch]
        prepared = Batch.prepare(some, images, condition, loaded, seed=0, max_new_tokens=16)
        for name, error in prepared.errors.items():
            typer.echo(f"{name}: {error}", err=True)
        if prepared.answered:
            learner.answer(*prepared.answered)
    learner.save(out)
    typer.echo(out)


def bench(
    model: Annotated[
        str,
        typer.Option(
            help="Registered name, checkpoint folder or Hugging Face id; or proportions, for random weights with the "
            "shapes of LLaVA-1.5."
        ),
    ] = "embedded",
    method: Annotated[
        list[str] | None,
        typer.Option(help="Methods, comma-separated or repeated; see `vqttt list methods`. A selection by default."),
    ] = None,
    batch: Annotated[
        list[str] | None,
        typer.Option(help="Batch sizes, comma-separated or repeated. 1,4,16,64 by default.", metavar="<list[int]>"),
    ] = None,
    repeats: Annotated[int, typer.Option(help="Number of measurements; the median counts.")] = 5,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show where the time of one batch of the first method goes, and exit.")
    ] = False,
    out: Annotated[Path, typer.Option(help="JSON file to write.")] = Path("runs/bench.json"),
) -> None:
    """Measure the time and memory that methods need, relative to plain inference."""
    from rich.console import Console
    from rich.table import Table

    from vqttt.methods import cost, find_method
    from vqttt.models import load_model
    from vqttt.models.base import tunable

    chosen = names(method) or ("none", "kernel-only", "vq-select-restore", "vq-ttt", "vq-ttt-episodic", "tent")
    methods, sizes = {name: find_method(name) for name in chosen}, numbers("--batch", batch)
    loaded = cost.proportioned() if model == "proportions" else tunable(load_model(model), "`vqttt bench`")
    if profile:
        typer.echo(cost.profile(loaded, chosen[0], (sizes or (16,))[0]))
        return
    drawn = Table("method", "batch", "ms a sample", "plain", "ratio", "peak MiB", "plain", "tuned")
    costs = []
    console = Console()
    for one in cost.measure(loaded, methods, sizes or (1, 4, 16, 64), repeats):
        costs.append(one)
        typer.echo(f"{one.method}, batch {one.batch}: {one.ratio:.2f}x", err=True)
        peaks = ["–" if peak is None else f"{peak:.0f}" for peak in (one.peak_mib, one.plain_peak_mib)]
        milliseconds = [f"{1000 * seconds:.1f}" for seconds in (one.seconds, one.plain_seconds)]
        drawn.add_row(one.method, str(one.batch), *milliseconds, f"{one.ratio:.2f}x", *peaks, f"{one.tuned:.0%}")
        cost.write(costs, out)
    console.print(drawn)
    typer.echo(out)
