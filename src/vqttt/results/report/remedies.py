"""What was tried against degradation, in one list: restorers, methods, and both together, each with its cost."""

import math
from typing import Any, NamedTuple

import polars as pl

from vqttt.results.report.frames import Frames
from vqttt.results.summary import UNTUNED
from vqttt.runs.records import ALL, NONE


class Gain(NamedTuple):
    """A gain over the untuned model on unrestored images, -1 to 1, with its 95% interval."""

    value: float
    low: float
    high: float

    @property
    def side(self) -> int:
        """1 for a gain, -1 for a loss, 0 if the interval allows both."""
        return 1 if self.low > 0 else -1 if self.high < 0 else 0


class Remedy(NamedTuple):
    """One thing that was tried, over all tasks.

    Attributes:
        model: the model.
        restorer, method: what was tried; `none` for the part that was not used.
        gain: on degraded images; None if the run has none.
        clean_gain: on clean images; None if the run has none.
        cost: time relative to that of the untuned model on unrestored images; None if it is not known.
        corrective, destructive: answers to degraded images that it corrected and broke; 0 if the run has none.
    """

    model: str
    restorer: str
    method: str
    gain: Gain | None
    clean_gain: Gain | None
    cost: float | None
    corrective: int
    destructive: int

    @property
    def name(self) -> str:
        """Its name in a sentence."""
        return " + ".join(part for part in (self.restorer, self.method) if part not in (NONE, UNTUNED))

    @property
    def kind(self) -> str:
        """`method`, `restorer`, or `both`."""
        return "method" if self.restorer == NONE else "restorer" if self.method == NONE else "both"


def remedies(frames: Frames) -> list[Remedy]:
    """List what was tried, by model in the order of the records; restorers first, because they cost least."""
    frame, overview = frames.interventions, frames.overview
    if frame.is_empty():
        rows = overview.filter(pl.col("task") == ALL, pl.col("method") != NONE).with_columns(restorer=pl.lit(NONE))
    else:
        frame = frame.filter(pl.col("task") == ALL)
        plain = (pl.col("restorer") == NONE) & (pl.col("method") == NONE)
        seconds = frame.filter(plain).select("model", plain_seconds="seconds")
        rows = frame.filter(~plain).join(seconds, on="model", how="left", maintain_order="left")
        rows = rows.with_columns(cost=pl.col("seconds") / pl.col("plain_seconds"))
    found = [_remedy(row) for row in rows.to_dicts()]
    return sorted(found, key=lambda one: (one.model, ("restorer", "method", "both").index(one.kind)))


def _remedy(row: dict[str, Any]) -> Remedy:
    cost = row["cost"]
    return Remedy(
        row["model"],
        row["restorer"],
        row["method"],
        _gain(row, ""),
        _gain(row, "clean_"),
        cost if cost is not None and math.isfinite(cost) else None,
        row["corrective"] or 0,
        row["destructive"] or 0,
    )


def _gain(row: dict[str, Any], prefix: str) -> Gain | None:
    values = [row[prefix + name] for name in ("delta", "ci_low", "ci_high")]
    return None if values[0] is None else Gain(*values)


def best(tried: list[Remedy], kind: str = "") -> Remedy | None:
    """Return the remedy with the largest gain on degraded images, if any has one; of one kind, or of all."""
    known = [one for one in tried if one.gain is not None and kind in ("", one.kind)]
    return max(known, key=lambda one: one.gain.value if one.gain else 0.0, default=None)
