"""A run's report as files for other programs and for papers: CSV, Markdown, LaTeX and figures."""

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
from vqttt.results.report.contents import Contents
from vqttt.results.report.gallery import kernel_panels
from vqttt.runs.loading import load_examples
from vqttt.runs.records import CELL

_KERNEL_KEYS = ("model", "task", "degradation", "severity", "method")
"""What the file name of a kernel's figure says of its cell."""


def write_csv(run: Path, contents: Contents | None = None) -> Path:
    """Write `summary.csv`, one row per cell.

    Args:
        run: the run folder.
        contents: contents of its report, if already at hand.

    Raises:
        RunFolderError: if the records cannot be read or the file cannot be written.
    """
    contents = contents or Contents.of_run(run)
    return write_text(run / "summary.csv", _csv(contents.frames.all_cells))


def write_quality(run: Path, contents: Contents | None = None) -> Path:
    """Write `quality.csv`, one row per degraded condition compared with clean images; arguments as for `write_csv`."""
    contents = contents or Contents.of_run(run)
    return write_text(run / "quality.csv", _csv(contents.frames.effect))


def write_models(run: Path, contents: Contents | None = None) -> Path:
    """Write `models.csv`, the models of the run compared in pairs; arguments as for `write_csv`."""
    contents = contents or Contents.of_run(run)
    return write_text(run / "models.csv", _csv(contents.frames.between_models))


def write_tables(run: Path, contents: Contents | None = None) -> list[Path]:
    """Write all CSV files: `models.csv` only if there are models to compare; arguments as for `write_csv`."""
    contents = contents or Contents.of_run(run)
    written = [write_csv(run, contents), write_quality(run, contents)]
    return written if contents.frames.between_models.is_empty() else [*written, write_models(run, contents)]


def write_markdown(run: Path, contents: Contents | None = None) -> Path:
    """Write the main tables to `report.md`, below what is to doubt of the run; arguments as for `write_csv`."""
    contents = contents or Contents.of_run(run)
    tables = [table.markdown() for table in contents.main_tables.values() if table.rows]
    return write_text(run / "report.md", "\n".join([*(f"{doubt}\n" for doubt in contents.doubts), *tables]))


def write_latex(run: Path, contents: Contents | None = None) -> Path:
    """Write the main tables to `report.tex`, for the packages booktabs and longtable; arguments as for `write_csv`."""
    tables = (contents or Contents.of_run(run)).main_tables.values()
    return write_text(run / "report.tex", "\n".join(table.latex() for table in tables if table.rows))


def write_figures(run: Path, contents: Contents | None = None) -> Path:
    """Write every figure to `figures/` as SVG and PDF, and return that folder; arguments as for `write_csv`."""
    contents, folder = contents or Contents.of_run(run), run / "figures"
    kernels = kernel_panels(load_examples(run))
    try:
        folder.mkdir(exist_ok=True)
        used = Counter[str]()
        for name, panel in chain(_named_panels(contents), _named_kernels(kernels)):
            used[name] += 1  # titles may differ only in characters that file names leave out
            panel.write(folder, name if used[name] == 1 else f"{name}-{used[name]}")
    except OSError as error:
        raise RunFolderError(f"cannot write {error.filename}: {error.strerror}") from error
    return folder


def write_text(file: Path, text: str) -> Path:
    """Write a file of a report in UTF-8 and return its path.

    Raises:
        RunFolderError: if it cannot be written.
    """
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunFolderError(f"cannot write {file}: {error.strerror}") from error
    return file


def _csv(frame: pl.DataFrame) -> str:
    """Write as CSV with six significant digits, so that a p-value of 1e-9 does not become 0."""
    return frame.with_columns(pl.selectors.float().round_sig_figs(6)).write_csv()


def _named_panels(contents: Contents) -> Iterator[tuple[str, Panel]]:
    """Yield the file name of every figure except kernels, and the figure."""
    yield from ((_slug("curve", model), panel) for model, panel in contents.curves.items())
    heat_maps = {"heat-quality": contents.quality_heat_maps}
    heat_maps |= {f"heat-gain-{method}": groups for method, groups in contents.gain_heat_maps.items()}
    for prefix, groups in heat_maps.items():
        for heading, maps, _ in groups:
            yield from ((_slug(prefix, heading, one.title), one.panel()) for one in maps)
    for section, charts in contents.charts.items():
        for heading, panels, _, calm in charts:
            for panel in (*panels, *calm):
                title = f"{heading} · {panel.title}" if heading else panel.title
                yield _slug(section, title), replace(panel, title=title)


def _named_kernels(kernels: list[tuple[dict[str, Any], Panel]]) -> Iterator[tuple[str, Panel]]:
    for cell, panel in kernels:
        yield _slug("kernel", *(str(cell.get(name, "")) for name in CELL if name in _KERNEL_KEYS)), panel


def _slug(*words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")
