"""The report of a run: records in; tables, figures and one HTML page out.

A report is made from the run folder alone, without torch, and the same records always give the same bytes.
"""

from collections.abc import Callable
from pathlib import Path

from vqttt.errors import UnknownNameError
from vqttt.results.report.contents import Contents
from vqttt.results.report.files import (
    write_csv,
    write_figures,
    write_latex,
    write_markdown,
    write_models,
    write_quality,
    write_tables,
)
from vqttt.results.report.page import write_html
from vqttt.results.report.terminal import for_terminal

__all__ = ["FORMS", "Contents", "for_terminal", "write_csv", "write_figures", "write_html", "write_latex"]
__all__ += ["write_markdown", "write_models", "write_quality", "write_report", "write_tables"]


def _one(write: Callable[[Path, Contents], Path]) -> Callable[[Path, Contents], list[Path]]:
    return lambda run, contents: [write(run, contents)]


FORMS: dict[str, Callable[[Path, Contents], list[Path]]] = {
    "html": _one(write_html),
    "csv": write_tables,
    "latex": _one(write_latex),
    "markdown": _one(write_markdown),
    "figures": _one(write_figures),
}
"""The forms that a report can take, each with the function that writes its files and returns them."""


def write_report(run: Path, form: str = "html", contents: Contents | None = None) -> list[Path]:
    """Write a run's report into its folder, from its records alone.

    Args:
        run: the run folder.
        form: `html` writes the page `report.html`; `csv` writes `summary.csv`, `quality.csv` and, if several
            models can be compared, `models.csv`; `latex` and `markdown` write the tables as `report.tex` and
            `report.md`; `figures` writes every figure as SVG and PDF.
        contents: contents of the report, if already at hand.

    Returns:
        The files written; for `figures`, their folder.

    Raises:
        UnknownNameError: if there is no such form.
        RunFolderError: if the records cannot be read or a file cannot be written.
    """
    if form not in FORMS:
        raise UnknownNameError("form of report", form, FORMS)
    return FORMS[form](run, contents or Contents.of_run(run))
