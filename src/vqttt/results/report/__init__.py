"""The report of a run: records in, tables, figures and one HTML page out; what is computed is in `stats` and beside it.

Everything is made from the run folder alone, without torch, and the same records always give the same bytes.
"""

from vqttt.results.paradox import quality_effect
from vqttt.results.report.contents import Contents
from vqttt.results.report.files import write_csv, write_figures, write_latex, write_markdown, write_quality
from vqttt.results.report.page import write_html
from vqttt.results.report.terminal import for_terminal
from vqttt.results.summary import overview, summarise
from vqttt.runs.loading import load_records

__all__ = ["Contents", "for_terminal", "load_records", "overview", "quality_effect", "summarise"]
__all__ += ["write_csv", "write_figures", "write_html", "write_latex", "write_markdown", "write_quality"]
