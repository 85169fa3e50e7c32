"""Everything that a report says of a run's records, computed once: tables, figures, facts."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from vqttt.results import summary, tables
from vqttt.results.benchmark_scores import benchmark_table
from vqttt.results.by_severity import gain_map, quality_map
from vqttt.results.figures import HeatMap
from vqttt.results.interventions import by_degradation, remedies
from vqttt.results.paradox import headroom, quality_effect, redraws
from vqttt.results.quality_correlation import rank_correlations
from vqttt.results.report.charts import Group, charts, heat_maps
from vqttt.results.report.findings import findings, what_was_run
from vqttt.results.summary import costs, without_restorers
from vqttt.results.tables import Table
from vqttt.runs.records import NONE


@dataclass(frozen=True)
class Contents:
    """The contents of a report, each part made when it is first asked for.

    Attributes:
        records: all of the run. Restored images count only in the tables of remedies, cells and errors, unless
            every image was restored.
    """

    records: pl.DataFrame

    @cached_property
    def plain(self) -> pl.DataFrame:
        """The records without restored images, or all if there are no others."""
        return without_restorers(self.records)

    @cached_property
    def restored(self) -> list[str]:
        """The restorers of the images that all sections are about: none unless every image was restored."""
        return sorted(set(self.plain["restorer"].unique()) - {NONE})

    @cached_property
    def overview(self) -> pl.DataFrame:
        """See `summary.overview`."""
        return summary.overview(self.plain)

    @cached_property
    def summary(self) -> pl.DataFrame:
        """See `summary.summarise`."""
        return summary.summarise(self.plain)

    @cached_property
    def cells(self) -> pl.DataFrame:
        """The summary of all cells, those of restored images with them."""
        return self.summary if len(self.plain) == len(self.records) else summary.summarise(self.records)

    @cached_property
    def remedies(self) -> pl.DataFrame:
        """See `remedies.remedies`."""
        return remedies(self.records)

    @cached_property
    def effect(self) -> pl.DataFrame:
        """See `paradox.quality_effect`."""
        return quality_effect(self.plain)

    @cached_property
    def headroom(self) -> pl.DataFrame:
        """See `paradox.headroom`."""
        return headroom(self.plain)

    @cached_property
    def redraws(self) -> pl.DataFrame:
        """See `paradox.redraws`."""
        return redraws(self.plain)

    @cached_property
    def main_tables(self) -> dict[str, Table]:
        """The tables that every format has."""
        return {
            "overview": tables.overview_table(self.overview),
            "quality": tables.quality_table(self.effect),
            "accuracy": tables.accuracy_table(self.summary, self.effect),
            "correlations": tables.correlation_table(rank_correlations(self.plain)),
            "remedies": tables.remedies_table(self.remedies),
            "benchmarks": benchmark_table(self.plain),
        }

    @cached_property
    def tables(self) -> dict[str, Table]:
        """All tables, by name."""
        return self.main_tables | {
            "headroom": tables.headroom_table(self.headroom),
            "redraws": tables.redraws_table(self.redraws),
            "cost": tables.cost_table(costs(self.plain, self.overview)),
            "categories": tables.category_table(self.plain),
            "calibration": tables.calibration_table(self.plain),
            "by_degradation": tables.remedies_table(by_degradation(self.records), "Remedies by degradation"),
            "errors": tables.errors_table(self.records),
            "cells": tables.cells_table(self.cells),
        }

    @cached_property
    def charts(self) -> dict[str, list[Group]]:
        """All figures but heat maps and kernels, by section."""
        return charts(self.plain, self.summary, self.overview, self.effect, self.headroom, self.redraws)

    @cached_property
    def quality_maps(self) -> list[tuple[str, list[HeatMap]]]:
        """What degradation does to the untuned model."""
        return next(iter(heat_maps(quality_map(self.plain)).values()), [])

    @cached_property
    def gain_maps(self) -> dict[str, list[tuple[str, list[HeatMap]]]]:
        """What each method gains."""
        return heat_maps(gain_map(self.plain))

    @cached_property
    def findings(self) -> list[dict[str, Any]]:
        """What the opening sentences say of each model."""
        return findings(self.plain, self.overview, self.effect, self.headroom, self.redraws)

    @cached_property
    def run(self) -> dict[str, Any]:
        """What was run."""
        return what_was_run(self.records)
