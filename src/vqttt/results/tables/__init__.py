"""Tables of a report: frames in, tables of text out, for any medium."""

from vqttt.results.tables.cells import accuracy_table, benchmark_table, cells_table, errors_table
from vqttt.results.tables.methods import (
    calibration_table,
    category_table,
    comparison_table,
    cost_table,
    interventions_table,
    overview_table,
)
from vqttt.results.tables.models import between_models_tables
from vqttt.results.tables.numbers import VERDICTS, gain, label, percent, points, verdict
from vqttt.results.tables.quality import correlation_table, headroom_table, quality_table, redraws_table
from vqttt.results.tables.table import Table

__all__ = ["VERDICTS", "Table", "accuracy_table", "benchmark_table", "between_models_tables"]
__all__ += ["calibration_table", "category_table", "cells_table", "comparison_table", "correlation_table"]
__all__ += ["cost_table", "errors_table", "gain", "headroom_table", "interventions_table", "label"]
__all__ += ["overview_table", "percent", "points", "quality_table", "redraws_table", "verdict"]
