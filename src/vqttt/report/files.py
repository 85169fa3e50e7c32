"""A run's report as files for other programs and for papers."""

import re
from collections.abc import Iterator
from pathlib import Path

from vqttt.errors import RunFolderError
from vqttt.figures import Panel
from vqttt.report.charts import kernel_panels
from vqttt.report.contents import Contents
from vqttt.report.records import load_examples, load_records, write
from vqttt.stats import summarise


def write_csv(run: Path) -> Path:
    """Write `summary.csv`, one row a cell."""
    return write(run / "summary.csv", summarise(load_records(run)).write_csv(float_precision=6))


def write_markdown(run: Path) -> Path:
    """Write `report.md`."""
    tables = Contents(load_records(run)).main_tables.values()
    return write(run / "report.md", "\n".join(table.markdown() for table in tables if table.rows))


def write_latex(run: Path) -> Path:
    """Write `report.tex`, whose tables need the package booktabs."""
    tables = Contents(load_records(run)).main_tables.values()
    return write(run / "report.tex", "\n".join(table.latex() for table in tables if table.rows))


def write_figures(run: Path) -> Path:
    """Write every figure into `figures/`, as SVG and as PDF, and return that folder.

    Raises:
        RunFolderError: as `load_records` does, or if a file cannot be written.
    """
    contents, folder = Contents(load_records(run)), run / "figures"
    kernels = kernel_panels(load_examples(run))
    try:
        folder.mkdir(exist_ok=True)
        for name, panel in [*_named(contents), *((f"kernel-{i}", panel) for i, (_, panel) in enumerate(kernels, 1))]:
            panel.write(folder, name)
    except OSError as error:
        raise RunFolderError(f"cannot write {error.filename}: {error.strerror}") from error
    return folder


def _named(contents: Contents) -> Iterator[tuple[str, Panel]]:
    """Name every figure but kernels by what it shows."""
    maps = {"heat-quality": contents.quality_maps}
    maps |= {f"heat-gain-{method}": groups for method, groups in contents.gain_maps.items()}
    for section, groups in maps.items():
        for heading, drawn in groups:
            yield from ((_slug(section, heading, one.title), one.panel()) for one in drawn)
    for section, charts in contents.charts.items():
        for heading, panels in charts:
            yield from ((_slug(section, heading, panel.title), panel) for panel in panels)


def _slug(*words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")
