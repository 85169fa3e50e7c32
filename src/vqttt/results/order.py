"""The one order of degradations in all tables and figures of a report: clean images first, then the most harmful."""

from collections.abc import Sequence

import polars as pl

from vqttt.results.summary import clean_and_degraded
from vqttt.runs.records import CELL, CLEAN

_AT = "row number"
"""A column that no frame has."""


def by_harm(records: pl.DataFrame) -> list[str]:
    """List the degradations of a run: `clean`, then those that cost the untuned models most accuracy first.

    The harm of a degradation is the mean change from clean images over all cells: models, tasks, severities and seeds.
    Degradations that cannot be compared with clean images come last, by name.
    """
    pairs = clean_and_degraded(records).with_columns(change=pl.col("base_score") - pl.col("clean_score"))
    cells = pairs.group_by(CELL, maintain_order=True).agg(pl.col("change").mean())
    # Rounding makes equal means equal, whatever the last bits of their sums; then the name decides.
    harm = dict(cells.group_by("degradation", maintain_order=True).agg(pl.col("change").mean().round(9)).iter_rows())
    names = records["degradation"].unique().to_list()
    return sorted(names, key=lambda name: (name != CLEAN, name not in harm, harm.get(name, 0.0), name))


def ordered(frame: pl.DataFrame, names: Sequence[str], within: Sequence[str] | None = None) -> pl.DataFrame:
    """Sort the rows of a frame by degradation, in the order of `names`; all else stays in its order.

    Args:
        frame: any frame; one without the column `degradation` stays as it is.
        names: degradations in order; others come last.
        within: columns whose blocks of equal values stay where they are; by default those that identify a cell and come
            before the degradation, such as model and task.
    """
    if "degradation" not in frame.columns or frame.is_empty():
        return frame
    if within is None:
        within = [name for name in frame.columns[: frame.columns.index("degradation")] if name in CELL]
    place = {name: number for number, name in enumerate(names)}
    rank = pl.col("degradation").replace_strict(place, default=len(place), return_dtype=pl.Int64)
    block = pl.col(_AT).min().over(within) if within else 0 * pl.col(_AT)
    return frame.with_row_index(_AT).sort(block, rank, _AT).drop(_AT)
