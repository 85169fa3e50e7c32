"""`vqttt report` and `vqttt compare`: runs that were made before."""

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
    from vqttt.results.report import Contents, write_report
    from vqttt.runs.folder import local_copy

    with local_copy(folder) as copy:
        contents = Contents.of_run(copy, folder)
        written = write_report(copy, form, contents)
    typer.echo("\n".join(f"{folder.rstrip('/')}/{path.name}" for path in written))
    for doubt in contents.doubts:
        typer.echo(doubt, err=True)


def compare(
    first: Annotated[str, typer.Argument(help="Run folder, or its address.")],
    second: Annotated[str, typer.Argument(help="Another run, with the same tasks and conditions.")],
) -> None:
    """Compare two runs on the images and questions that they share."""
    from vqttt.results.compare import compare as compared
    from vqttt.results.compare import left_out
    from vqttt.results.tables import comparison_table
    from vqttt.runs.completeness import doubts
    from vqttt.runs.folder import local_copy
    from vqttt.runs.loading import load_records

    with local_copy(first) as one, local_copy(second) as other:
        runs = load_records(one), load_records(other)
        doubted = doubts(one, first), doubts(other, second)
    show(comparison_table(compared(*runs), f"{first} → {second}").rich())
    for line in left_out(*runs, (first, second)):
        typer.echo(line)
    for name, run, of_run in zip((first, second), runs, doubted, strict=True):
        for doubt in of_run:
            typer.echo(f"{name}: {doubt[0].lower()}{doubt[1:].removesuffix('.')}")
        if failed := (run["error"] != "").sum():
            typer.echo(f"{name}: {failed:,} records failed and count as wrong")
