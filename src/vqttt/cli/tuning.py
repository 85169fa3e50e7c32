"""`vqttt tune`, `clean-features` and `bench`: saved adapters, clean statistics, and what methods cost."""

from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vqttt.cli.model_options import ModelOptions, with_model_options
from vqttt.cli.options import (
    ModelName,
    Seed,
    Settings,
    Severity,
    check_one_model,
    names,
    numbers,
)
from vqttt.cli.output import show
from vqttt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vqttt.methods.cost import Cost
    from vqttt.models.base import Model
    from vqttt.results.tables import Table

_UNDER_LOAD = "A server under load"

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}


@with_model_options(served=False)
def clean_features(
    folder: Annotated[
        Path, typer.Argument(help="Folder of clean images like those that will come; labels are not needed.")
    ],
    out: Annotated[
        Path, typer.Option(help="File to write; found if it is clean_features.safetensors in the checkpoint's folder.")
    ],
    model: ModelName = "embedded",
    limit: Annotated[int, typer.Option(help="Maximum number of images; 256 are plenty.")] = 256,
    *,
    options: ModelOptions,
) -> None:
    """Measure a model's vision features on clean images, for the method `vq-ttt-features`."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder of images")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)[:limit]
    if len(files) < 2:
        raise InputError(f"{folder} has {len(files)} images ({', '.join(sorted(_SUFFIXES))}); at least 2 are needed")
    from vqttt.images.files import load_image
    from vqttt.models.tunable import tunable
    from vqttt.tuning.feature_statistics import measure_clean, save_clean

    _check_writable(out)
    options.checked()
    loaded = tunable(options.load_model(model), "`vqttt clean-features`")
    clean = measure_clean(loaded, [load_image(file) for file in files], ["what is shown?"] * len(files))
    save_clean(out, clean)
    typer.echo(f"{out}: features of {len(files)} images")


def _check_writable(out: Path) -> None:
    """Check that a file can be written, before any work is done.

    Raises:
        InputError: if it is a folder, or cannot be written.
    """
    if out.is_dir():
        raise InputError(f"{out} is a folder; give the name of a file to write, such as {out / 'tuned.safetensors'}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        existed = out.exists()
        out.open("ab").close()
        if not existed:
            out.unlink()
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror}") from error


@with_model_options()
def tune(
    task: Annotated[
        str, typer.Option(help="Task, jsonl:PATH, tsv:PATH or BENCHMARK:PATH; nothing is learned from its answers.")
    ],
    out: Annotated[Path, typer.Option(help="File to write, for `--tuned` of answer and study.")],
    model: ModelName = "embedded",
    method: Annotated[str, typer.Option(help="Method that learns along the stream.")] = "vq-select",
    set_: Settings = None,
    degradation: Annotated[
        str, typer.Option(help="Degradation or style of the images, or several joined by +.")
    ] = "clean",
    severity: Severity = 3,
    restorer: Annotated[str, typer.Option(help="Restorer applied after the degradation.")] = "none",
    seed: Seed = 0,
    limit: Annotated[int | None, typer.Option(help="Maximum number of samples, at least 1.")] = None,
    batch: Annotated[int, typer.Option(help="Number of samples tuned on together.")] = 20,
    *,
    options: ModelOptions,
) -> None:
    """Tune on a stream of images and questions, and save what was learned."""
    from vqttt.cli.learning import learn, report
    from vqttt.images.degradations import check_kind
    from vqttt.images.restorers import check_restorer
    from vqttt.methods import METHODS
    from vqttt.methods.stream import StreamMethod
    from vqttt.runs.records import CLEAN
    from vqttt.study.settings import with_own_settings
    from vqttt.tasks import load_task
    from vqttt.types import Condition

    spec = with_own_settings(method, set_ or ())
    if not issubclass(spec.kind, StreamMethod):
        known = ", ".join(name for name in METHODS if issubclass(METHODS[name].kind, StreamMethod))
        raise InputError(f"the method {method!r} learns nothing that could be saved; these do: {known}")
    check_kind(degradation)
    check_restorer(restorer)
    for name, value, least, most in (
        ("batch", batch, 1, inf), ("limit", limit, 1, inf), ("severity", severity, 1, 5), ("seed", seed, 0, inf),
    ):  # fmt: skip
        if value is not None and not least <= value <= most:
            right = f"at least {least}" if most == inf else f"from {least} to {most}"
            raise InputError(f"--{name} must be {right}, not {value}")
    _check_writable(out)
    options.checked()
    samples, loaded = load_task(task, limit), options.load_model(model)
    severity = 0 if degradation == CLEAN else severity
    condition = Condition(degradation=degradation, severity=severity, restorer=restorer)
    learner = spec.build(loaded)
    assert isinstance(learner, StreamMethod), learner
    learned = learn(learner, loaded, samples, condition, seed=seed, batch=batch)
    learner.save(out)
    report(learned, learner, task, out, model, set_ or ())


@with_model_options()
def bench(
    model: Annotated[
        str,
        typer.Option(
            help="Registered name, checkpoint folder or Hugging Face id; or proportions, for random weights with the "
            "shapes of LLaVA-1.5.",
            callback=check_one_model,
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
    server: Annotated[
        str | None,
        typer.Option(help="URL of a running `vqttt serve` to put under load instead.", rich_help_panel=_UNDER_LOAD),
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            help="Requests that arrive in a second; also measured: as fast as they are answered.",
            metavar="<list[int]>",
            rich_help_panel=_UNDER_LOAD,
        ),
    ] = None,
    clients: Annotated[int, typer.Option(help="Requests at a time at most.", rich_help_panel=_UNDER_LOAD)] = 64,
    seconds: Annotated[int, typer.Option(help="Length of a measurement.", rich_help_panel=_UNDER_LOAD)] = 10,
    *,
    options: ModelOptions,
) -> None:
    """Measure the time and memory that methods need, relative to plain inference; or a server's latency under load."""
    if server is not None:
        from vqttt.cli.load import bench_server

        bench_server(
            server, model, names(method) or ("none", "vq-select"), numbers("--rate", rate), clients, seconds, out
        )
        return

    from vqttt.methods import cost, find_method

    chosen = names(method) or ("none", "vq-select", "vq-ttt", "vq-ttt-episodic", "tent")
    methods, sizes = {name: find_method(name) for name in chosen}, numbers("--batch", batch)
    if min(*(sizes or (1,)), repeats) < 1:
        raise InputError("batch sizes and repeats must be at least 1")
    options.checked()
    if not profile:
        _check_writable(out)
    loaded = _benched(model, options)
    if profile:
        typer.echo(cost.profile(loaded, chosen[0], (sizes or (16,))[0]))
        return
    costs = []
    for one in cost.measure(loaded, methods, sizes or (1, 4, 16, 64), repeats):
        costs.append(one)
        typer.echo(f"{one.method}, batch {one.batch}: {one.ratio:.2f}x", err=True)
        cost.write(costs, out)
    show(_cost_table(costs).rich())
    typer.echo(out)


def _cost_table(costs: "Sequence[Cost]") -> "Table":
    """Tabulate what was measured, a row for each method and batch size."""
    from vqttt.results.tables import Table

    columns = "method", "batch", "ms a sample", "ms plain", "ratio", "peak MiB", "plain peak MiB", "tuned"
    rows = []
    for one in costs:
        peaks = ["–" if peak is None else f"{peak:.0f}" for peak in (one.peak_mib, one.plain_peak_mib)]
        milliseconds = [f"{1000 * seconds:.1f}" for seconds in (one.seconds, one.plain_seconds)]
        rows.append((one.method, str(one.batch), *milliseconds, f"{one.ratio:.2f}x", *peaks, f"{one.tuned:.0%}"))
    return Table(title="plain: the same model without the method", header=columns, rows=rows, keys=1)


def _benched(name: str, options: ModelOptions) -> "Model":
    from vqttt.methods import cost

    if name != "proportions":
        return options.load_model(name)
    if options != ModelOptions():
        raise InputError("proportions takes no load options; they are for folders and Hugging Face ids")
    return cost.proportioned()
