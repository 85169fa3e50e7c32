"""Run a study."""

import shlex
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vqttt.errors import InputError

if TYPE_CHECKING:
    from vqttt.study.config import StudyConfig
    from vqttt.study.engines import EngineOptions

_ENGINE = "How it is run"
_LOADING = "How a checkpoint is loaded"


class Preset(StrEnum):
    """Named experiments."""

    QUICK = "quick"
    PAPER = "paper"


class EngineName(StrEnum):
    """Where jobs are done."""

    LOCAL = "local"
    RAY = "ray"


def study(
    preset: Annotated[Preset | None, typer.Option(help="What is not said otherwise comes from here, or quick.")] = None,
    model: Annotated[str | None, typer.Option(help="A registered name, a checkpoint folder or a Hub id.")] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="A task, jsonl:PATH, tsv:PATH or BENCHMARK:PATH; may be repeated.")
    ] = None,
    degradation: Annotated[
        list[str] | None, typer.Option(help="A degradation or style, several joined by +, or clean; may be repeated.")
    ] = None,
    severity: Annotated[list[int] | None, typer.Option(help="1 to 5; may be repeated.")] = None,
    restorer: Annotated[
        list[str] | None, typer.Option(help="A restorer, none, matched, or spandrel:PATH; may be repeated.")
    ] = None,
    method: Annotated[list[str] | None, typer.Option(help="A method; may be repeated.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many questions a task.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Decides every random draw; may be repeated.")] = None,
    batch: Annotated[int | None, typer.Option(help="Questions answered, and tuned, together.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Length of an answer, at most.")] = None,
    scale: Annotated[str | None, typer.Option(help="relative or absolute lengths of degradations.")] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file that says the same; options here go first.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much it is, and try how long.")] = False,
    out: Annotated[
        str | None, typer.Option(help="The run folder, or an address such as s3://bucket/run. Run again to resume.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="Go on with the run in this folder, whatever it was a study of.")
    ] = None,
    engine: Annotated[EngineName, typer.Option(help="This machine, or a Ray cluster.", rich_help_panel=_ENGINE)] = (
        EngineName.LOCAL
    ),
    workers: Annotated[int, typer.Option(help="Processes that hold a model each.", rich_help_panel=_ENGINE)] = 1,
    ray_address: Annotated[
        str, typer.Option(help="Of the cluster, such as auto or 10.0.0.1:6379.", rich_help_panel=_ENGINE)
    ] = "",
    gpus_per_worker: Annotated[
        float, typer.Option(help="That Ray keeps for each; may be a fraction.", rich_help_panel=_ENGINE)
    ] = 0.0,
    retries: Annotated[
        int, typer.Option(help="How often a job is begun again whose worker was lost.", rich_help_panel=_ENGINE)
    ] = 2,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16, float16, or auto: as stored.", rich_help_panel=_LOADING)
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Such as cpu or cuda:1; auto spreads it over all.", rich_help_panel=_LOADING)
    ] = None,
    attention: Annotated[
        str | None, typer.Option(help="eager, sdpa or flash_attention_2.", rich_help_panel=_LOADING)
    ] = None,
    bits: Annotated[int | None, typer.Option(help="4 or 8 to quantise the weights.", rich_help_panel=_LOADING)] = None,
    revision: Annotated[
        str | None, typer.Option(help="A Hub id's branch, tag or commit.", rich_help_panel=_LOADING)
    ] = None,
) -> None:
    """Run a grid of tasks, conditions, restorers and methods; write records, tables and report.html."""
    from vqttt.study.engines import EngineOptions

    given: dict[str, Any] = {
        "model": model,
        "tasks": task and tuple(task),
        "degradations": degradation and tuple(degradation),
        "severities": severity and tuple(severity),
        "restorers": restorer and tuple(restorer),
        "methods": method and tuple(method),
        "limit": limit,
        "seeds": seed and tuple(seed),
        "batch": batch,
        "max_new_tokens": tokens,
        "scale": scale,
    }
    load = {"dtype": dtype, "device": device, "attention": attention, "bits": bits, "revision": revision}
    options = EngineOptions(
        name=engine.value, workers=workers, address=ray_address, gpus_per_worker=gpus_per_worker, retries=retries
    )
    asked, folder = (
        _resumed(resume, {"preset": preset, "config": config, "out": out, **given, **load})
        if resume is not None
        else _asked(preset or Preset.QUICK, config, given, load, out)
    )
    if dry_run:
        _estimate(asked, options.workers)
        return
    _run(asked, folder, options)
    _show(folder)


def _asked(
    preset: Preset, file: Path | None, given: dict[str, Any], load: dict[str, Any], out: str | None
) -> tuple["StudyConfig", str]:
    """Return what was asked for, and the folder to put it."""
    from vqttt.study.config import PRESETS
    from vqttt.study.configfile import read_config

    base = read_config(file, preset) if file else PRESETS[preset]
    how = replace(base.load, **{name: value for name, value in load.items() if value is not None})
    asked = replace(base, load=how, **{name: value for name, value in given.items() if value is not None})
    return asked, out or str(Path("runs") / (preset if asked == PRESETS[preset] else f"study-{asked.digest}"))


def _resumed(folder: str, given: dict[str, Any]) -> tuple["StudyConfig", str]:
    """Return what a begun run is a study of, and its folder."""
    from vqttt.study.runner import resumed

    if said := [name for name, value in given.items() if value is not None]:
        raise InputError(f"--resume takes everything from the run itself; leave out what says {', '.join(said)}")
    return resumed(folder), folder


def _estimate(config: "StudyConfig", workers: int) -> None:
    from datetime import timedelta

    from vqttt.models import load_model
    from vqttt.results.statistics import smallest_difference
    from vqttt.study.estimate import estimate

    found = estimate(config, lambda: load_model(config.model, config.load), workers=workers)
    for task, questions in found.questions.items():
        least = smallest_difference(questions, discordant=0.1)
        shown = "are too few for any" if least is None else f"show a change of {100 * least:.1f} points"
        typer.echo(f"{task}: {questions:,} questions; in one cell they {shown}")
    typer.echo("(four times in five, by McNemar's test, where one answer in ten changes)")
    counts = {"conditions": found.conditions, "methods": found.methods, "seeds": found.seeds}
    counts |= {"cells": found.cells, "answers": found.answers}
    typer.echo(", ".join(f"{name}: {count:,}" for name, count in counts.items()))
    shared = f" by {workers} workers, each as fast as this machine with its share of threads" if workers > 1 else ""
    typer.echo(f"about {timedelta(seconds=round(found.seconds or 0))} on this machine{shared}, by a few batches")


def _run(config: "StudyConfig", folder: str, engine: "EngineOptions") -> None:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from vqttt.study.runner import run

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:<32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("elapsed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        bar = bars.add_task(f"loading {config.model}", total=None)

        def advance(done: int, total: int, what: str) -> None:
            if not console.is_terminal and what != bars.tasks[0].description:  # a log wants lines, not a bar
                typer.echo(f"{what}: {done}/{total} answers", err=True)
            bars.update(bar, completed=done, total=total, description=what)

        run(config, folder, progress=advance, command=shlex.join(["vqttt", *sys.argv[1:]]), engine=engine)


def _show(out: str) -> None:
    from rich.console import Console

    from vqttt.results import report
    from vqttt.runs.folder import local_copy

    console = Console()
    with local_copy(out) as folder:
        contents = report.Contents(report.load_records(folder))
        files = (report.write_csv, report.write_quality, report.write_html)
        written = [write(folder, contents) for write in files]
        for part in report.for_terminal(contents):
            console.print(part)
    console.print("\n".join(f"{out.rstrip('/')}/{file.name}" for file in written), soft_wrap=True)
