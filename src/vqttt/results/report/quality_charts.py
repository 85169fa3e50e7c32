"""The figures of how image quality affects the untuned model."""

from collections.abc import Sequence

import polars as pl

from vqttt.results import figures
from vqttt.results.figures import Mark, Panel
from vqttt.results.report.groups import (
    Group,
    Limits,
    by_task,
    heading_needed,
    limits_by_task,
    model_heading,
    without_flat,
)
from vqttt.results.tables import label

LEAST_FLIPS = 0.02
"""Smallest share of answers, 0 to 1, that the axis of flips covers on either side of zero."""

_DIFFERENCE = "difference"
"""Name of the marker in panels of what degradation corrected and broke, in place of a method's."""

_DEGRADATION = pl.lit("Degradation").alias("who")
_NOTHING = pl.all_horizontal(pl.col("corrective") == 0, pl.col("destructive") == 0)


def forests(effect: pl.DataFrame) -> list[Group]:
    """Draw every condition against clean images, one panel per task."""
    if effect.is_empty():
        return []
    effect, flat = without_flat(effect.with_columns(_DEGRADATION), "who", _NOTHING)

    def ends(part: pl.DataFrame) -> Limits:
        return figures.around(100 * min(*part["ci_low"], 0), 100 * max(*part["ci_high"], 0), least=4)

    limits = limits_by_task(effect, ends)
    return by_task(effect, lambda part, name: figures.forest_panel(part, limits[part["task"][0]], name), flat)


def quality_flips(effect: pl.DataFrame, order: Sequence[str]) -> list[Group]:
    """Draw the shares of answers that degradation corrected and broke, by degradation, one panel per task."""
    if effect.is_empty():
        return []
    effect, flat = without_flat(effect.with_columns(_DEGRADATION), "who", _NOTHING)
    keys = ["model", "task", "degradation"]
    sums = effect.group_by(keys, maintain_order=True).agg(pl.col("corrective", "destructive", "n").sum())
    shares = sums.with_columns(pl.col("corrective", "destructive") / pl.col("n"), method=pl.lit(_DIFFERENCE))
    drawn, limits = figures.marks([_DIFFERENCE]), limits_by_task(shares, flip_ends)

    def draw(part: pl.DataFrame, name: str) -> Panel:
        return figures.flip_panel(part, order, drawn, limits[part["task"][0]], name)

    return by_task(shares, draw, flat)


def flip_ends(flips: pl.DataFrame) -> Limits:
    """Return the ends of an axis of flips, in answers per hundred: broken ones below zero, corrected ones above."""
    broken, corrected = (max(*flips[name], LEAST_FLIPS) for name in ("destructive", "corrective"))
    return figures.around(-100 * broken, 100 * corrected)


def quality_correlation(bins: pl.DataFrame) -> list[Group]:
    """Draw accuracy against measured quality, one small panel per measure.

    The panels of one model have a line per task. If there are several models, the panels of one task have a line per
    model.
    """
    if bins.is_empty():
        return []
    several = heading_needed(bins)
    group_by, line = ("task", "model") if several else ("model", "task")
    names = bins[line].unique().sort().to_list()
    drawn = figures.line_marks(names)
    groups = []
    for (name,), part in bins.group_by(group_by, maintain_order=True):
        heading = str(name) if several else model_heading(bins, name)
        groups.append(Group(heading, _measures(part.with_columns(line=pl.col(line)), drawn)))
    return groups


def _measures(bins: pl.DataFrame, drawn: dict[str, Mark]) -> list[Panel]:
    """Draw one panel per measure, all with the same axes."""
    limits = figures.around(100 * min(bins["accuracy"]), 100 * max(bins["accuracy"]), least=10)
    present = {name: mark for name, mark in drawn.items() if name in set(bins["line"])}
    return [
        figures.quality_panel(bins.filter(pl.col("metric") == metric), present, limits, label(metric))
        for metric in bins["metric"].unique(maintain_order=True)
    ]
