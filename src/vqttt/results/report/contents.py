"""Everything that a report shows of a run's records: tables, figures and facts, each made once."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import polars as pl

from vqttt.results import tables
from vqttt.results.figures import Panel
from vqttt.results.report.charts import charts
from vqttt.results.report.curves import curve_panels
from vqttt.results.report.findings import findings, what_was_run
from vqttt.results.report.frames import Frames
from vqttt.results.report.groups import Group, HeatMapGroup
from vqttt.results.report.headline import headline
from vqttt.results.report.heat_maps import heat_maps
from vqttt.results.report.models import side_by_side
from vqttt.results.tables import Table
from vqttt.runs.completeness import doubts
from vqttt.runs.loading import load_records
from vqttt.runs.records import NONE

_PAIR = ("first_model", "second_model", "task", "restorer", "method")
"""The columns of `between_models` that come before the degradation."""


@dataclass(frozen=True)
class Contents:
    """The contents of a report, each part made when it is first needed.

    Attributes:
        records: all records of the run. Those of restored images count only in the tables of interventions, cells and
            errors, unless every image was restored.
        doubts: in what the run departs from its plan, as sentences; empty for a finished run.
    """

    records: pl.DataFrame
    doubts: tuple[str, ...] = ()

    @classmethod
    def of_run(cls, run: Path, name: str = "") -> Self:
        """Read a run folder; arguments as for `doubts`.

        Raises:
            RunFolderError: if it cannot be read.
        """
        return cls(load_records(run), tuple(doubts(run, name)))

    @cached_property
    def frames(self) -> Frames:
        """The frames that everything else is made from."""
        return Frames(self.records)

    @cached_property
    def restored_by(self) -> list[str]:
        """The restorers of the images that all sections cover; empty unless every image was restored."""
        return sorted(set(self.frames.records["restorer"].unique()) - {NONE})

    @cached_property
    def main_tables(self) -> dict[str, Table]:
        """The tables that every form of the report has, by name."""
        frames = self.frames
        return {
            "overview": tables.overview_table(frames.overview),
            "quality": tables.quality_table(frames.effect),
            "accuracy": tables.accuracy_table(frames.records, frames.effect, frames.order),
            "correlations": tables.correlation_table(frames.rank_correlations),
            "interventions": tables.interventions_table(frames.interventions),
            "benchmarks": tables.benchmark_table(frames.benchmark_scores),
        } | {table.title: table for table in self.model_tables}

    @cached_property
    def model_tables(self) -> list[Table]:
        """A table for each pair of models that is compared."""
        return tables.between_models_tables(self.model_differences)

    @cached_property
    def model_differences(self) -> pl.DataFrame:
        """The frame `between_models` in the order of all tables."""
        return self.frames.ordered(self.frames.between_models, _PAIR)

    @cached_property
    def between_models(self) -> list[str]:
        """What the comparison of models found, as sentences; empty if there is one model."""
        return side_by_side(self.records, self.frames.between_models)

    @cached_property
    def tables(self) -> dict[str, Table]:
        """All tables, by name."""
        frames = self.frames
        return self.main_tables | {
            "headroom": tables.headroom_table(frames.headroom),
            "redraws": tables.redraws_table(frames.redraws),
            "cost": tables.cost_table(frames.costs),
            "categories": tables.category_table(frames.records),
            "calibration": tables.calibration_table(frames.records),
            "interventions_by_degradation": tables.interventions_table(
                frames.interventions_by_degradation, "Interventions by degradation"
            ),
            "errors": tables.errors_table(frames.ordered(frames.all_records)),
            "cells": tables.cells_table(frames.all_cells),
        }

    @cached_property
    def charts(self) -> dict[str, list[Group]]:
        """All figures except heat maps and kernels, by section."""
        return charts(self.frames)

    @cached_property
    def quality_heat_maps(self) -> list[HeatMapGroup]:
        """How degradation changes the untuned model's accuracy."""
        return next(iter(heat_maps(self.frames.quality_by_severity, self.frames.order).values()), [])

    @cached_property
    def gain_heat_maps(self) -> dict[str, list[HeatMapGroup]]:
        """What each method gains, by method."""
        return heat_maps(self.frames.gains_by_severity, self.frames.order)

    @cached_property
    def findings(self) -> list[dict[str, Any]]:
        """The facts about each model that the opening sentences state."""
        return findings(self.frames)

    @cached_property
    def headline(self) -> str:
        """What the run found, in a sentence."""
        return headline(self.findings, len(self.run["tasks"]))

    @cached_property
    def curves(self) -> dict[str, Panel]:
        """Accuracy against quality, by model; models without enough conditions are left out."""
        return curve_panels(self.frames, self.findings)

    @cached_property
    def run(self) -> dict[str, Any]:
        """What was run."""
        return what_was_run(self.records)
