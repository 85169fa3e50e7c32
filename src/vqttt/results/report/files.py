"""A run's report as files for other programs and for papers."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from vqttt.errors import RunFolderError
from vqttt.results.figures import Panel
from vqttt.results.report.charts import kernel_panels
from vqttt.results.report.contents import Contents
from vqttt.runs.loading import load_examples, load_records, write
from vqttt.runs.records import CELL

_TOLD = ("model", "task", "degradation", "severity", "method")


def write_csv(run: Path, contents: Contents | None = None) -> Path:
    """Write `summary.csv`, one row a cell, from the `contents` of the run's records if these are at hand."""
    contents = contents or Contents(load_records(run))
    return write(run / "summary.csv", _rounded(contents.cells))


def write_quality(run: Path, contents: Contents | None = None) -> Path:
    """Write `quality.csv` likewise: what each degraded condition, unrestored, changes from clean, and the verdict."""
    contents = contents or Contents(load_records(run))
    return write(run / "quality.csv", _rounded(contents.effect))


def write_markdown(run: Path, contents: Contents | None = None) -> Path:
    """Write `report.md` likewise."""
    tables = (contents or Contents(load_records(run))).main_tables.values()
    return write(run / "report.md", "\n".join(table.markdown() for table in tables if table.rows))


def write_latex(run: Path, contents: Contents | None = None) -> Path:
    """Write `report.tex` likewise; its tables need the package booktabs."""
    tables = (contents or Contents(load_records(run))).main_tables.values()
    return write(run / "report.tex", "\n".join(table.latex() for table in tables if table.rows))


def write_figures(run: Path, contents: Contents | None = None) -> Path:
    """Write every figure into `figures/`, as SVG and as PDF, likewise; returns that folder.

    Raises:
        RunFolderError: as `load_records` does, or if a file cannot be written.
    """
    contents, folder = contents or Contents(load_records(run)), run / "figures"
    kernels = kernel_panels(load_examples(run))
    try:
        folder.mkdir(exist_ok=True)
        used = Counter[str]()
        for name, panel in chain(_named(contents), _of_kernels(kernels)):
            used[name] += 1  # names that differ only in what a file's name cannot hold
            panel.write(folder, name if used[name] == 1 else f"{name}-{used[name]}")
    except OSError as error:
        raise RunFolderError(f"cannot write {error.filename}: {error.strerror}") from error
    return folder


def _rounded(frame: pl.DataFrame) -> str:
    """Write as CSV, to six significant digits: a p-value of 1e-9 is not 0."""
    return frame.with_columns(pl.selectors.float().round_sig_figs(6)).write_csv()


def _named(contents: Contents) -> Iterator[tuple[str, Panel]]:
    """Name every figure but kernels by what it shows."""
    maps = {"heat-quality": contents.quality_maps}
    maps |= {f"heat-gain-{method}": groups for method, groups in contents.gain_maps.items()}
    for section, groups in maps.items():
        for heading, drawn in groups:
            yield from ((_slug(section, heading, one.title), one.panel()) for one in drawn)
    for section, charts in contents.charts.items():
        for heading, panels in charts:
            for panel in panels:
                title = f"{heading} · {panel.title}" if heading else panel.title
                yield _slug(section, title), replace(panel, title=title)


def _of_kernels(kernels: list[tuple[dict[str, Any], Panel]]) -> Iterator[tuple[str, Panel]]:
    for cell, panel in kernels:
        yield _slug("kernel", *(str(cell.get(name, "")) for name in CELL if name in _TOLD)), panel


def _slug(*words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")
