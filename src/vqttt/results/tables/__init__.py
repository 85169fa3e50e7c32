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
from vqttt.results.tables.numbers import gain, label, percent, points
from vqttt.results.tables.quality import correlation_table, headroom_table, quality_table, redraws_table
from vqttt.results.tables.table import Table

__all__ = ["Table", "accuracy_table", "benchmark_table", "calibration_table", "category_table", "cells_table"]
__all__ += ["comparison_table", "correlation_table", "cost_table", "errors_table", "gain", "headroom_table"]
__all__ += ["interventions_table", "label", "overview_table", "percent", "points", "quality_table", "redraws_table"]
