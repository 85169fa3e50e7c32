"""The report of a run: records in, tables, figures and one HTML page out; what is computed is in `stats` and beside it.

Everything is made from the run folder alone, without torch, and the same records always give the same bytes.
"""

from typing import TYPE_CHECKING

import polars as pl

from vqttt import tables
from vqttt.paradox import quality_effect
from vqttt.remedies import remedies, without_restorers
from vqttt.report.files import write_csv, write_figures, write_latex, write_markdown
from vqttt.report.page import write_html
from vqttt.report.records import load_records
from vqttt.stats import overview, summarise

__all__ = ["console_tables", "load_records", "overview", "quality_effect", "summarise"]
__all__ += ["write_csv", "write_figures", "write_html", "write_latex", "write_markdown"]

if TYPE_CHECKING:
    import rich.table


def console_tables(records: pl.DataFrame) -> list["rich.table.Table"]:
    """Return what a terminal should show of a run: the methods, accuracy by severity, and what failed, if anything."""
    plain = without_restorers(records)
    shown = [tables.overview_table(overview(plain), brief=True), tables.accuracy_table(summarise(records))]
    if records["restorer"].n_unique() > 1:
        shown.insert(1, tables.remedies_table(remedies(records), brief=True))
    if (records["error"] != "").any():
        shown.append(tables.errors_table(records))
    return [table.rich() for table in shown]
