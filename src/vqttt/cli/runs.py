"""`vqttt report` and `vqttt compare`: finished runs."""

from enum import StrEnum
from typing import Annotated

import typer

from vqttt.cli.output import show


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
    from vqttt.results.report import write_report
    from vqttt.runs.folder import local_copy

    with local_copy(folder) as copy:
        written = write_report(copy, form)
    typer.echo("\n".join(f"{folder.rstrip('/')}/{path.name}" for path in written))


def compare(
    first: Annotated[str, typer.Argument(help="Run folder, or its address.")],
    second: Annotated[str, typer.Argument(help="Another run, with the same tasks and conditions.")],
) -> None:
    """Compare two runs on the images and questions that they share."""
    from vqttt.results.compare import compare as compared
    from vqttt.results.compare import left_out
    from vqttt.results.tables import comparison_table
    from vqttt.runs.folder import local_copy
    from vqttt.runs.loading import load_records

    with local_copy(first) as one, local_copy(second) as other:
        runs = load_records(one), load_records(other)
    show(comparison_table(compared(*runs), f"{first} → {second}").rich())
    for line in left_out(*runs, (first, second)):
        typer.echo(line)
    for name, run in zip((first, second), runs, strict=True):
        if failed := (run["error"] != "").sum():
            typer.echo(f"{name}: {failed:,} records failed and count as wrong")
