"""Does the effect grow with the cognitive demand of a question?"""

import numpy as np
import polars as pl

from experiments.paradox.answers.peak import degraded
from experiments.paradox.findings import Answer, Finding, by_interval, judged, measured, numbered, slope
from experiments.paradox.frames import NotMeasuredError, Runs, of_quality
from experiments.paradox.plan import DEMAND, OWN_QUALITY

NONE_TO_SPEAK_OF = 0.02
"""A slope that is shown to be less than two points per level counts as none."""


def own_minus_clean(runs: Runs, quality: str) -> pl.DataFrame:
    """Return the answers to images of a quality's own, with their `demand`."""
    rows = of_quality(degraded(runs).filter(pl.col("quality") == quality), quality)
    return rows.with_columns(demand=pl.col("category").replace_strict(DEMAND, return_dtype=pl.Float64))


def slope_of(about: str, rows: pl.DataFrame) -> Finding:
    """Return by how much the effect grows for each level of demand."""
    levels, changes = rows["demand"].to_numpy(), rows["change"].to_numpy()
    images = numbered(rows["image"])
    value, p = slope(levels, changes, images)
    size = {"n": len(rows), "images": len(np.unique(images))}
    return by_interval(about, value, 0.0, NONE_TO_SPEAK_OF, p=p, **size)


def answer(runs: Runs) -> Answer:
    """Test the slope of the soft twins, all together; those of other qualities stand beside it."""
    found = {}
    for quality in OWN_QUALITY:
        rows = own_minus_clean(runs, quality)
        if not rows.is_empty():
            found[quality] = slope_of(f"{quality}: own quality minus clean, growth per level of demand", rows)
    if "soft" not in found:
        raise NotMeasuredError("blur")
    return Answer(verdict=found["soft"].verdict, main=found["soft"], findings=list(found.values()))


def by_category(runs: Runs, quality: str = "soft") -> dict[str, Finding]:
    """Return own quality minus clean by category, in the order of demand, after Holm."""
    rows = own_minus_clean(runs, quality)
    found = [
        measured(name, rows.filter(pl.col("category") == name)) for name in DEMAND if name in set(rows["category"])
    ]
    return {one.about: one for one in judged(found)}
