"""Run a study, or ask one question."""

import json
import sys
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vqttt.errors import InputError

if TYPE_CHECKING:
    from vqttt.study import StudyConfig


class Preset(StrEnum):
    """Named studies."""

    QUICK = "quick"
    PAPER = "paper"


def study(
    preset: Annotated[Preset, typer.Option(help="What is not said otherwise comes from here.")] = Preset.QUICK,
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
    seed: Annotated[int | None, typer.Option(help="Decides every random draw.")] = None,
    batch: Annotated[int | None, typer.Option(help="Questions answered, and tuned, together.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Length of an answer, at most.")] = None,
    scale: Annotated[str | None, typer.Option(help="relative or absolute lengths of degradations.")] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file that says the same; options here go first.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much it is, and try how long.")] = False,
    out: Annotated[Path | None, typer.Option(help="The run folder. Run again to resume.")] = None,
) -> None:
    """Run a grid of tasks, conditions, restorers and methods; write records, a table and report.html."""
    from vqttt.configfile import read_config
    from vqttt.study import PRESETS

    given: dict[str, Any] = {
        "model": model,
        "tasks": task and tuple(task),
        "degradations": degradation and tuple(degradation),
        "severities": severity and tuple(severity),
        "restorers": restorer and tuple(restorer),
        "methods": method and tuple(method),
        "limit": limit,
        "seed": seed,
        "batch": batch,
        "max_new_tokens": tokens,
        "scale": scale,
    }
    base = read_config(config, preset) if config else PRESETS[preset]
    asked = replace(base, **{name: value for name, value in given.items() if value is not None})
    if dry_run:
        _estimate(asked)
        return
    folder = out or Path("runs") / (preset if asked == PRESETS[preset] else f"study-{asked.digest}")
    _run(asked, folder)
    _show(folder)


def _estimate(config: "StudyConfig") -> None:
    from datetime import timedelta

    from vqttt.estimate import estimate
    from vqttt.models import load_model

    found = estimate(config, lambda: load_model(config.model))
    for task, questions in found.questions.items():
        typer.echo(f"{task}: {questions:,} questions")
    counts = {"conditions": found.conditions, "methods": found.methods, "cells": found.cells, "answers": found.answers}
    typer.echo(", ".join(f"{name}: {count:,}" for name, count in counts.items()))
    typer.echo(f"about {timedelta(seconds=round(found.seconds or 0))} on this machine, by a few batches")


def _run(config: "StudyConfig", folder: Path) -> None:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from vqttt.models import load_model
    from vqttt.study import run

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

        run(config, folder, lambda: load_model(config.model), advance, command=" ".join(["vqttt", *sys.argv[1:]]))


def _show(folder: Path) -> None:
    from rich.console import Console

    from vqttt import report

    report.write_csv(folder)
    html = report.write_html(folder)
    console = Console()
    records = report.load_records(folder)
    for table in report.console_tables(records):
        console.print(table)
    console.print(f"{folder / 'summary.csv'}\n{html}", soft_wrap=True)


def answer(
    image: Annotated[Path, typer.Argument(help="A picture in any common format.")],
    question: Annotated[str, typer.Argument(help="The question, without a chat template.")],
    model: Annotated[str, typer.Option(help="A registered name, a checkpoint folder or a Hub id.")] = "embedded",
    method: Annotated[str, typer.Option(help="How to answer: see `vqttt list methods`.")] = "vq-ttt",
    restorer: Annotated[str, typer.Option(help="What is done about the picture first.")] = "none",
    tuned: Annotated[
        Path | None, typer.Option(help="What `vqttt tune` wrote, by the same method; applied as it is.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="Of a checkpoint's weights: float32, bfloat16, float16.")] = "auto",
    device: Annotated[str, typer.Option(help="Such as cpu or cuda:1; auto spreads a checkpoint over all.")] = "",
    attention: Annotated[str, typer.Option(help="eager, sdpa or flash_attention_2.")] = "",
    bits: Annotated[int, typer.Option(help="4 or 8 to quantise a checkpoint's weights.")] = 0,
    revision: Annotated[str, typer.Option(help="A Hub id's branch, tag or commit.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask one question about one picture, before and after tuning."""
    import time

    from vqttt.images import load_image
    from vqttt.methods import METHODS, frozen
    from vqttt.models import LoadOptions, load_model
    from vqttt.restorers import restore

    options = LoadOptions(dtype=dtype, device=device, attention=attention, bits=bits, revision=revision)
    if not question.strip():
        raise InputError("the question is empty; ask something about the picture")
    make = METHODS[method] if tuned is None else frozen(method, tuned)
    picture = load_image(image)
    began = time.perf_counter()
    picture = restore(picture, restorer)
    restoring = time.perf_counter() - began
    loaded = load_model(model, options)
    began = time.perf_counter()
    try:
        inputs = loaded.encode([picture], [question])
        result = make(loaded).answer_alone(inputs)[0]
    except (ValueError, RuntimeError, IndexError) as error:
        raise InputError(f"the model cannot answer this: {' '.join(str(error).split())}") from error
    result = replace(result, seconds=restoring + time.perf_counter() - began)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
        return
    typer.echo(result.answer)
    changed = f"was {result.base_answer!r}; " if result.answer != result.base_answer else ""
    note = " (rolled back)" if result.rolled_back else ""
    typer.echo(
        f"{changed}entropy {result.entropy_before:.3f} -> {result.entropy_after:.3f} nats, "
        f"{result.steps} tuning steps{note}, {result.seconds:.2f} s",
        err=True,
    )
