"""Look at runs that are done: write a report again, compare two."""

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
    folder: Annotated[Path, typer.Argument(help="A run folder.")],
    form: Annotated[Format, typer.Option("--format", help="What to write; figures are SVG and PDF.")] = Format.HTML,
) -> None:
    """Write a run's report again, from its records alone."""
    from vqttt import report as reports

    write = {
        Format.HTML: reports.write_html,
        Format.CSV: reports.write_csv,
        Format.LATEX: reports.write_latex,
        Format.MARKDOWN: reports.write_markdown,
        Format.FIGURES: reports.write_figures,
    }
    typer.echo(write[form](folder))


def compare(
    first: Annotated[Path, typer.Argument(help="A run folder.")],
    second: Annotated[Path, typer.Argument(help="Another, of the same tasks and conditions.")],
) -> None:
    """Show what one run answers better than another, on the same pictures and questions."""
    from rich.console import Console

    from vqttt.compare import compare as compared
    from vqttt.compare import unpaired
    from vqttt.report import load_records
    from vqttt.tables import comparison_table

    runs = load_records(first), load_records(second)
    Console().print(comparison_table(compared(*runs), f"{first} → {second}").rich())
    if left := unpaired(*runs):
        typer.echo(f"{left} conditions are in only one of the runs, and left out")
