"""The command line: parse, call, print; errors meant for the user become one line and exit status 2."""

import importlib
import json
import sys
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vqttt.errors import InputError, VQTTTError

if TYPE_CHECKING:
    from vqttt.study import StudyConfig

# Everything heavy is imported inside the commands, so that `--help` answers at once.

app = typer.Typer(
    name="vqttt",
    help="What image quality does to a multimodal LLM, and test-time tuning that makes it answer better.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


_INTERRUPTED = 130
"""The exit status by which a shell knows that a command was interrupted; typer returns it."""


class Kind(StrEnum):
    """What `vqttt list` can list."""

    MODELS = "models"
    TASKS = "tasks"
    DEGRADATIONS = "degradations"
    OBJECTIVES = "objectives"
    METHODS = "methods"


class Format(StrEnum):
    """What `vqttt report` can write."""

    HTML = "html"
    CSV = "csv"
    LATEX = "latex"
    MARKDOWN = "markdown"


class Preset(StrEnum):
    """Named studies."""

    QUICK = "quick"
    PAPER = "paper"


def _print_version(wanted: bool) -> None:
    if wanted:
        from vqttt import __version__

        typer.echo(f"vqttt {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and stop.")
    ] = False,
) -> None: ...


@app.command()
def study(
    preset: Annotated[Preset, typer.Option(help="What is not said otherwise comes from here.")] = Preset.QUICK,
    model: Annotated[str | None, typer.Option(help="A registered name, a checkpoint folder or a Hub id.")] = None,
    task: Annotated[list[str] | None, typer.Option(help="A task, or jsonl:PATH; may be repeated.")] = None,
    degradation: Annotated[list[str] | None, typer.Option(help="A degradation, or clean; may be repeated.")] = None,
    severity: Annotated[list[int] | None, typer.Option(help="1 to 5; may be repeated.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="A method; may be repeated.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many questions a task.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides every random draw.")] = None,
    batch: Annotated[int | None, typer.Option(help="Questions answered, and tuned, together.")] = None,
    scale: Annotated[str | None, typer.Option(help="relative or absolute lengths of degradations.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder. Run again to resume.")] = None,
) -> None:
    """Run a grid of tasks, conditions and methods; write records, a table and report.html."""
    from vqttt.study import PRESETS

    given: dict[str, Any] = {
        "model": model,
        "tasks": task and tuple(task),
        "degradations": degradation and tuple(degradation),
        "severities": severity and tuple(severity),
        "methods": method and tuple(method),
        "limit": limit,
        "seed": seed,
        "batch": batch,
        "scale": scale,
    }
    config = replace(PRESETS[preset], **{name: value for name, value in given.items() if value is not None})
    folder = out or Path("runs") / (preset if config == PRESETS[preset] else f"study-{config.digest}")
    _run(config, folder)
    _show(folder)


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


@app.command()
def answer(
    image: Annotated[Path, typer.Argument(help="A picture in any common format.")],
    question: Annotated[str, typer.Argument(help="The question, without a chat template.")],
    model: Annotated[str, typer.Option(help="A registered name, a checkpoint folder or a Hub id.")] = "embedded",
    method: Annotated[str, typer.Option(help="How to answer: see `vqttt list methods`.")] = "vq-ttt",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask one question about one picture, before and after tuning."""
    from vqttt.images import load_image

    if not question.strip():
        raise InputError("the question is empty; ask something about the picture")
    picture = load_image(image)

    import time

    from vqttt.methods import METHODS
    from vqttt.models import load_model

    make = METHODS[method]
    loaded = load_model(model)
    began = time.perf_counter()
    try:
        inputs = loaded.encode([picture], [question])
        result = make(loaded).answer(inputs, loaded.generate(inputs, 16))[0]
    except (ValueError, RuntimeError, IndexError) as error:
        raise InputError(f"the model cannot answer this: {' '.join(str(error).split())}") from error
    result = replace(result, seconds=time.perf_counter() - began)
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


@app.command()
def degrade(
    image: Annotated[Path, typer.Argument(help="A picture in any common format.")],
    out: Annotated[Path, typer.Option(help="Where to write; the suffix names the format.")],
    kind: Annotated[str | None, typer.Option(help="See `vqttt list degradations`.")] = None,
    severity: Annotated[int, typer.Option(help="1 to 5.")] = 3,
    seed: Annotated[int, typer.Option(help="Which noise, direction or clouds to draw.")] = 0,
    scale: Annotated[str, typer.Option(help="relative (to a short side of 224 px) or absolute lengths.")] = "relative",
    gallery: Annotated[bool, typer.Option("--gallery", help="A contact sheet of all kinds and severities.")] = False,
) -> None:
    """Degrade a picture, or show everything that can happen to it."""
    from vqttt import degradations
    from vqttt.gallery import contact_sheet
    from vqttt.images import load_image, save_image

    if gallery:
        sheet = contact_sheet(load_image(image), [kind] if kind else None, seed=seed, scale=scale)
        save_image(sheet, out)
    elif kind is None:
        raise InputError(f"say --kind ({', '.join(degradations.DEGRADATIONS)}) or --gallery")
    else:
        severity = 0 if kind == degradations.CLEAN else severity
        save_image(degradations.degrade(load_image(image), kind, severity, seed, scale), out)
    typer.echo(out)


@app.command(name="list")
def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """List what there is, with a line on each."""
    registry = _registry(kind)
    rows = [{"name": name, "summary": registry.summary(name)} for name in registry]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        typer.echo(f"{row['name']:<{width}}  {row['summary']}")


def _registry(kind: Kind) -> Any:
    homes = {
        Kind.MODELS: "vqttt.models",
        Kind.TASKS: "vqttt.tasks",
        Kind.DEGRADATIONS: "vqttt.degradations",
        Kind.OBJECTIVES: "vqttt.objectives",
        Kind.METHODS: "vqttt.methods",
    }
    return getattr(importlib.import_module(homes[kind]), kind.upper())


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A run folder.")],
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.HTML,
) -> None:
    """Write a run's report again, from its records alone."""
    from vqttt import report as reports

    write = {
        Format.HTML: reports.write_html,
        Format.CSV: reports.write_csv,
        Format.LATEX: reports.write_latex,
        Format.MARKDOWN: reports.write_markdown,
    }
    typer.echo(write[form](folder))


def main() -> None:
    """Run the command line."""
    try:
        code = app(standalone_mode=False)
    except VQTTTError as error:
        _stop(str(error))
    except OSError as error:
        _stop(f"{error.filename or 'cannot write'}: {error.strerror or error}; what was written so far is kept")
    except Exception as error:
        if not hasattr(error, "format_message"):  # a usage error knows how to say itself
            raise
        if error.format_message():  # none where it has printed the help already
            _stop(error.format_message())
        sys.exit(2)
    if code == _INTERRUPTED:
        typer.echo("stopped; `vqttt study` goes on where it was, by the same command", err=True)
    sys.exit(code or 0)


def _stop(message: str) -> None:
    typer.echo(f"vqttt: {' '.join(message.split())}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
