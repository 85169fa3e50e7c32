"""The frames that a report is made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from vqttt.results import between_models as models
from vqttt.results import by_severity, interventions, order, paradox, quality_correlation, summary
from vqttt.results.benchmark_scores import benchmark_scores


@dataclass(frozen=True)
class Frames:
    """All frames of a run, each computed from its records when it is first needed.

    Unless its name or docstring says otherwise, a frame covers `records`, and its columns are described by the function
    of the same name.

    Attributes:
        all_records: the records of the run.
    """

    all_records: pl.DataFrame

    @cached_property
    def records(self) -> pl.DataFrame:
        """The records of unrestored images, or all records if every image was restored."""
        return summary.without_restorers(self.all_records)

    @cached_property
    def order(self) -> list[str]:
        """The degradations in the order of all tables and figures; see `order.by_harm`."""
        return order.by_harm(self.records)

    def ordered(self, frame: pl.DataFrame, within: Sequence[str] | None = None) -> pl.DataFrame:
        """Sort the rows of a frame in this order; see `order.ordered`."""
        return order.ordered(frame, self.order, within)

    @cached_property
    def cells(self) -> pl.DataFrame:
        """One row per cell; see `summary.summarise`."""
        return self.ordered(summary.summarise(self.records))

    @cached_property
    def all_cells(self) -> pl.DataFrame:
        """One row per cell of the run, restored images included."""
        if len(self.records) == len(self.all_records):
            return self.cells
        return self.ordered(summary.summarise(self.all_records))

    @cached_property
    def overview(self) -> pl.DataFrame:
        """One row per task and method."""
        return summary.overview(self.records)

    @cached_property
    def gains(self) -> pl.DataFrame:
        """One row per task, method and degradation."""
        return self.ordered(summary.gains(self.records))

    @cached_property
    def costs(self) -> pl.DataFrame:
        """The overview with times."""
        return summary.costs(self.records, self.overview)

    @cached_property
    def effect(self) -> pl.DataFrame:
        """One row per degraded condition; see `paradox.quality_effect`."""
        return self.ordered(paradox.quality_effect(self.records))

    @cached_property
    def headroom(self) -> pl.DataFrame:
        """One row per task."""
        return paradox.headroom(self.records)

    @cached_property
    def redraws(self) -> pl.DataFrame:
        """One row per task."""
        return paradox.redraws(self.records)

    @cached_property
    def quality_by_severity(self) -> pl.DataFrame:
        """One row per task, degradation and severity."""
        return by_severity.quality_by_severity(self.records)

    @cached_property
    def gains_by_severity(self) -> pl.DataFrame:
        """One row per task, method, degradation and severity."""
        return by_severity.gains_by_severity(self.records)

    @cached_property
    def rank_correlations(self) -> pl.DataFrame:
        """One row per task and quality measure."""
        return quality_correlation.rank_correlations(self.records)

    @cached_property
    def accuracy_by_quality(self) -> pl.DataFrame:
        """One row per task, quality measure and bin."""
        return quality_correlation.accuracy_by_quality(self.records)

    @cached_property
    def interventions(self) -> pl.DataFrame:
        """One row per task, restorer and method; covers the whole run."""
        return interventions.interventions(self.all_records)

    @cached_property
    def interventions_by_degradation(self) -> pl.DataFrame:
        """One row per degradation, restorer and method; covers the whole run."""
        return self.ordered(interventions.interventions_by_degradation(self.all_records), within=())

    @cached_property
    def between_models(self) -> pl.DataFrame:
        """One row per pair of models, task, restorer, method and condition; covers the whole run."""
        return models.between_models(self.all_records)

    @cached_property
    def benchmark_scores(self) -> pl.DataFrame:
        """One row per cell and score."""
        return self.ordered(benchmark_scores(self.records))
