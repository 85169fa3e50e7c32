"""`vqttt report` and `vqttt compare`: finished runs."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """What `vqttt report` can write."""

    HTML = "html"
    CSV = "csv"
    LATEX = "latex"
    MARKDOWN = "markdown"
    FIGURES = "figures"


def report(
    folder: Annotated[str, typer.Argument(help="Run folder, or its address.")],
    form: Annotated[
        Format, typer.Option("--format", help="What to write; figures are written as SVG and PDF.")
    ] = Format.HTML,
) -> None:
    """Write a run's report again, from its records alone."""
    from vqttt.results import report as reports
    from vqttt.runs.folder import local_copy

    writers: dict[Format, tuple[Callable[[Path, reports.Contents], Path], ...]] = {
        Format.HTML: (reports.write_html,),
        Format.CSV: (reports.write_csv, reports.write_quality),
        Format.LATEX: (reports.write_latex,),
        Format.MARKDOWN: (reports.write_markdown,),
        Format.FIGURES: (reports.write_figures,),
    }
    with local_copy(folder) as copy:
        contents = reports.Contents(reports.load_records(copy))
        written = [write(copy, contents) for write in writers[form]]
    typer.echo("\n".join(f"{folder.rstrip('/')}/{path.name}" for path in written))


def compare(
    first: Annotated[str, typer.Argument(help="Run folder, or its address.")],
    second: Annotated[str, typer.Argument(help="Another run, with the same tasks and conditions.")],
) -> None:
    """Compare two runs on the images and questions that they share."""
    from rich.console import Console

    from vqttt.results.compare import compare as compared
    from vqttt.results.compare import unpaired
    from vqttt.results.report import load_records
    from vqttt.results.tables import comparison_table
    from vqttt.runs.folder import local_copy

    with local_copy(first) as one, local_copy(second) as other:
        runs = load_records(one), load_records(other)
    Console().print(comparison_table(compared(*runs), f"{first} → {second}").rich())
    left = unpaired(*runs)
    if left.first or left.second:
        typer.echo(
            f"left out, because the other run lacks them: answers of {first}: {left.first:,}, of {second}: "
            f"{left.second:,}"
        )
        typer.echo(f"in only one of the runs: cells: {left.cells:,}, questions: {left.questions:,}")
    if left.images:
        typer.echo(f"left out, because the images differ: {left.images:,} answers of both")
    for name, run in zip((first, second), runs, strict=True):
        if failed := (run["error"] != "").sum():
            typer.echo(f"{name}: {failed:,} records failed and count as wrong")
