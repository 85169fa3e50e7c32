"""Tables of a report: which numbers they show and how they are written, as text for any medium."""

from vqttt.results.tables.cells import accuracy_table, cells_table, errors_table
from vqttt.results.tables.methods import (
    calibration_table,
    category_table,
    comparison_table,
    cost_table,
    overview_table,
    remedies_table,
)
from vqttt.results.tables.numbers import UNTUNED, gain, label, methods_of, percent, points
from vqttt.results.tables.quality import correlation_table, headroom_table, quality_table, redraws_table
from vqttt.results.tables.table import Table

__all__ = ["UNTUNED", "Table", "accuracy_table", "calibration_table", "category_table", "cells_table"]
__all__ += ["comparison_table", "correlation_table", "cost_table", "errors_table", "gain", "headroom_table", "label"]
__all__ += ["methods_of", "overview_table", "percent", "points", "quality_table", "redraws_table", "remedies_table"]
