"""`vqttt study`: run a study."""

import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vqttt.cli.dry_run import print_estimate
from vqttt.cli.model_options import ModelOptions, with_model_options
from vqttt.cli.options import FailedError, Settings, TunedFile, model_names, names, numbers
from vqttt.cli.output import show
from vqttt.cli.progress import study_progress
from vqttt.errors import InputError

if TYPE_CHECKING:
    from vqttt.study.config import StudyConfig
    from vqttt.study.engines import EngineOptions

_ENGINE = "Engine"


class PresetName(StrEnum):
    """The presets."""

    QUICK = "quick"
    PAPER = "paper"


class EngineName(StrEnum):
    """The engines."""

    LOCAL = "local"
    RAY = "ray"


Preset = Annotated[
    PresetName | None,
    typer.Option(help="Defaults for everything not set; paper is larger.", show_default=PresetName.QUICK.value),
]
Config = Annotated[Path | None, typer.Option(help="TOML file that describes the study; options here override it.")]
Models = Annotated[
    list[str] | None,
    typer.Option(help="Models: registered names, checkpoint folders, Hugging Face ids or openai:NAME."),
]
Tasks = Annotated[
    list[str] | None, typer.Option(help="Tasks: registered names, jsonl:PATH, tsv:PATH or BENCHMARK:PATH.")
]
Degradations = Annotated[
    list[str] | None, typer.Option(help="Degradations or styles; fog+webp applies both, in order; clean applies none.")
]
Severities = Annotated[
    list[str] | None, typer.Option(help="Severities of each degradation, 1 to 5.", metavar="<list[int]>")
]
Restorers = Annotated[
    list[str] | None, typer.Option(help="Restorers: registered names, matched, spandrel:PATH or none.")
]
Methods = Annotated[list[str] | None, typer.Option(help="Methods: registered, or defined in the --config file.")]
Limit = Annotated[
    int | None, typer.Option(help="Maximum number of questions per task. Default: the preset's, and all of a file.")
]
Seeds = Annotated[list[str] | None, typer.Option(help="Seeds; everything runs once with each.", metavar="<list[int]>")]
BatchSize = Annotated[int | None, typer.Option(help="Number of questions answered, and tuned on, together.")]
Tokens = Annotated[int | None, typer.Option(help="Maximum length of an answer, in tokens.")]
Scale = Annotated[
    str | None, typer.Option(help="Lengths such as blur radii: relative to the image size, or absolute in pixels.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count the answers and estimate the time.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Print the tables of the report as well.")]
Out = Annotated[
    str | None, typer.Option(help="Run folder, or an address such as s3://bucket/run. Default: a folder in runs/.")
]
Resume = Annotated[str | None, typer.Option(help="Resume the run in this folder; takes all settings from there.")]
Engine = Annotated[EngineName, typer.Option(help="Run on this machine, or on a Ray cluster.", rich_help_panel=_ENGINE)]
Workers = Annotated[
    int,
    typer.Option(help="Number of parallel processes; each holds a model of its own.", rich_help_panel=_ENGINE),
]
RayAddress = Annotated[
    str, typer.Option(help="Address of the Ray cluster, such as auto or 10.0.0.1:6379.", rich_help_panel=_ENGINE)
]
GpusPerWorker = Annotated[
    float, typer.Option(help="GPUs Ray reserves per worker; may be fractional.", rich_help_panel=_ENGINE)
]
Retries = Annotated[
    int, typer.Option(help="How often to start a job again after its worker was lost.", rich_help_panel=_ENGINE)
]


@with_model_options()
def study(
    preset: Preset = None,
    config: Config = None,
    model: Models = None,
    task: Tasks = None,
    degradation: Degradations = None,
    severity: Severities = None,
    restorer: Restorers = None,
    method: Methods = None,
    set_: Settings = None,
    tuned: TunedFile = None,
    limit: Limit = None,
    seed: Seeds = None,
    batch: BatchSize = None,
    tokens: Tokens = None,
    scale: Scale = None,
    dry_run: DryRun = False,
    verbose: Verbose = False,
    out: Out = None,
    resume: Resume = None,
    engine: Engine = EngineName.LOCAL,
    workers: Workers = 1,
    ray_address: RayAddress = "",
    gpus_per_worker: GpusPerWorker = 0.0,
    retries: Retries = 2,
    *,
    options: ModelOptions,
) -> None:
    """Run a study: every task under every degradation and restorer, answered by every model with every method.

    Writes records, tables and report.html to the run folder. To resume a killed study, run the same command again.

    For several values, separate them by commas or repeat the option: --method none,vq-ttt --severity 3 --severity 5.

    In --task and --restorer, a value with ':' or '/' is a path and includes any commas that follow.
    """
    began = time.perf_counter()
    from vqttt.study.engines import EngineOptions

    given: dict[str, Any] = {
        "models": model_names(model),
        "tasks": names(task, paths=True),
        "degradations": names(degradation),
        "severities": numbers("--severity", severity),
        "restorers": names(restorer, paths=True),
        "methods": names(method),
        "limit": limit,
        "seeds": numbers("--seed", seed),
        "batch": batch,
        "max_new_tokens": tokens,
        "scale": scale,
    }
    running = EngineOptions(
        name=engine.value, workers=workers, address=ray_address, gpus_per_worker=gpus_per_worker, retries=retries
    )
    if resume is not None:
        apart = {"preset": preset, "config": config, "out": out, "set": set_ or None, "tuned": tuned}
        chosen, folder = _resumed(resume, {**apart, **given}, options)
    else:
        chosen = _with_method_settings(_configured(preset, config, given, options), set_ or [], tuned)
        folder = out or _default_folder(chosen, preset or PresetName.QUICK)
    if dry_run:
        print_estimate(chosen, running.workers, began)
        return
    _say_scope(chosen)
    _run(chosen, folder, running)
    _say_limits(folder)
    _show(folder, verbose)


def _configured(
    preset: PresetName | None, file: Path | None, given: dict[str, Any], options: ModelOptions
) -> "StudyConfig":
    """Return the study that was asked for, but for the settings of its methods."""
    from vqttt.methods import METHODS
    from vqttt.models import is_served
    from vqttt.study.config import DEFAULTS, PRESETS
    from vqttt.study.config_file import read_config

    chosen = {name: value for name, value in given.items() if value is not None}
    if file:
        base = read_config(file, preset)
    else:
        base = DEFAULTS if chosen and preset is None else PRESETS[preset or PresetName.QUICK]
    load, served = options.over(base.load, base.served)
    models = chosen.get("models", base.models)
    if any(map(is_served, models)) and "methods" not in chosen and file is None:
        # A server does not give what the others need.
        chosen["methods"] = tuple(name for name in base.methods if METHODS[name].most_looks is not None)
    if "limit" in chosen:
        chosen["preset_limit"] = None
    return replace(base, load=load, served=served, **chosen)


def _with_method_settings(config: "StudyConfig", settings: list[str], tuned: Path | None) -> "StudyConfig":
    from vqttt.study.settings import with_settings, with_tuned

    config = with_settings(config, settings)
    return config if tuned is None else with_tuned(config, tuned)


def _default_folder(config: "StudyConfig", preset: PresetName) -> str:
    from vqttt.study.config import PRESETS

    return str(Path("runs") / (preset if config == PRESETS[preset] else f"study-{config.digest}"))


def _resumed(folder: str, given: dict[str, Any], options: ModelOptions) -> tuple["StudyConfig", str]:
    """Return the study that was started in a folder, and the folder; how fast a server is asked may be another."""
    from vqttt.study.runner import resumed

    set_ = [name for name, value in given.items() if value is not None]
    set_ += [*options.load, *(name for name in options.served if name in ("base_url", "max_pixels"))]
    if set_:
        raise InputError(f"--resume takes all settings from the run itself; leave out {', '.join(set_)}")
    config = resumed(folder)
    return replace(config, served=replace(config.served, **options.served)), folder


def _run(config: "StudyConfig", folder: str, engine: "EngineOptions") -> None:
    from vqttt.errors import RequestsSpentError
    from vqttt.models.served.options import redacted
    from vqttt.study.runner import run

    command = shlex.join(["vqttt", *map(redacted, sys.argv[1:])])
    with study_progress(f"loading {', '.join(config.models)}") as advance:
        try:
            run(config, folder, progress=advance, command=command, engine=engine, started=_say_questions)
        except RequestsSpentError as error:
            raise FailedError(f"{error}; the same command goes on where it stopped") from error


def _say_questions(description: Mapping[str, Any], *, err: bool = True) -> None:
    """Say of which tasks only a part is used."""
    for task, count in (description.get("questions") or {}).items():
        if count["used"] < count["of"]:
            typer.echo(f"{task}: {count['used']:,} of {count['of']:,} questions, drawn at random", err=err)


def _say_scope(config: "StudyConfig") -> None:
    """Say if an embedded model is asked questions of one's own, which it may not know."""
    from vqttt.models import EMBEDDED_SCOPE, MODELS
    from vqttt.tasks import is_file

    if any(map(is_file, config.tasks)):
        for name in (name for name in config.models if name in MODELS and name.startswith("embedded")):
            typer.echo(f"{name}: {EMBEDDED_SCOPE}", err=True)


def _say_limits(out: str) -> None:
    """Say at the end of a run of which tasks only a part was used, and what was sent to servers."""
    from vqttt.models.usage import Usage
    from vqttt.runs.folder import RunFolder

    folder = RunFolder(out)
    _say_questions(folder.description(), err=False)
    if used := folder.usage():
        typer.echo(f"sent to servers: {Usage(**used)}")


def _show(out: str, verbose: bool) -> None:
    """Write the report and tables of a run, and print the main ones."""
    from vqttt.results import report
    from vqttt.runs.folder import local_copy

    with local_copy(out) as folder:
        contents = report.Contents.of_run(folder, out)
        tables = [path.name for path in report.write_tables(folder, contents)]
        page = report.write_html(folder, contents).name
        show(*report.for_terminal(contents, verbose))
    where = out.rstrip("/")
    typer.echo(f"Report: {where}/{page}. Tables: {', '.join(f'{where}/{name}' for name in tables)}.")
    if not verbose:
        typer.echo("The option --verbose prints tables here as well.")
