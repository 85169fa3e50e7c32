"""The report of a run: records in, tables, figures and one HTML page out; what is computed is in `stats` and beside it.

Everything is made from the run folder alone, without torch, and the same records always give the same bytes.
"""

from vqttt.paradox import quality_effect
from vqttt.report.contents import Contents
from vqttt.report.files import write_csv, write_figures, write_latex, write_markdown, write_quality
from vqttt.report.page import write_html
from vqttt.report.records import load_records
from vqttt.report.terminal import for_terminal
from vqttt.stats import overview, summarise

__all__ = ["Contents", "for_terminal", "load_records", "overview", "quality_effect", "summarise"]
__all__ += ["write_csv", "write_figures", "write_html", "write_latex", "write_markdown", "write_quality"]
