"""Does VQ-TTT's kernel move images towards the spectrum of the training images, and does it gain on both sides of it?

Two curves are compared for each condition and model: the gain of the kernel that was learned along the stream, and the
gain that would turn the mean spectrum of the condition's images into that of the training images, which is the square
root of the ratio of their powers. Both in logarithms, over 9 bands.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from experiments.paradox.findings import Answer, Finding, by_interval, judged, measured, numbered, together
from experiments.paradox.frames import BAND_CENTRES, RECIPES, NotMeasuredError, Runs
from vqttt.results.clusters import cluster_mean
from vqttt.results.statistics import Estimate, clustered_correlation
from vqttt.runs.records import CLEAN

FINE = 0.1
"""Frequencies from this one up, in cycles per pixel, decide whether images are sharper than the training images."""

ALIKE = 0.1
"""Images whose fine bands are within this of the training images', in logarithms, count as neither."""

NO_SIGN = 0.02
"""Logarithms within this of 0 have no sign."""

FEW = 5
"""With fewer degradations than this there is nothing to draw an interval over."""

WEAK = 0.1
"""A correlation that is shown to be below this one counts as none."""

_CELL = ("model", "degradation", "severity")


def curves(runs: Runs) -> pl.DataFrame:
    """Return a row for each model, condition and band, in logarithms: `gain` of the kernel, and the `ratio` it needs.

    Raises:
        NotMeasuredError: if kernels or spectra were not measured.
    """
    spectra = runs["spectra"]
    trained = spectra.filter(pl.col("kind") == "training").select(quality="name", trained="power")
    shown = spectra.filter(pl.col("kind") == "condition").select("degradation", "severity", shown="power")
    learned = runs["kernels"].join(trained, on="quality", maintain_order="left")
    learned = learned.join(shown, on=["degradation", "severity"], how="inner", maintain_order="left")
    if learned.is_empty():
        raise NotMeasuredError("kernels")
    bands = learned.with_columns(band=pl.lit(list(range(len(BAND_CENTRES)))))
    rows = bands.explode("gain", "trained", "shown", "band")
    return rows.with_columns(ratio=(pl.col("trained") - pl.col("shown")) / 2)


def sides(rows: pl.DataFrame) -> pl.DataFrame:
    """Return for each model and condition whether its images are `sharper` than the training images, or `blurrier`."""
    fine = rows.filter(pl.col("band").is_in(np.flatnonzero(BAND_CENTRES >= FINE).tolist()))
    means = fine.group_by(*_CELL, "quality", maintain_order=True).agg(pl.col("ratio", "gain").mean())
    side = pl.when(pl.col("ratio") < -ALIKE).then(pl.lit("sharper"))
    return means.with_columns(
        side=side.when(pl.col("ratio") > ALIKE).then(pl.lit("blurrier")).otherwise(pl.lit("alike"))
    )


def tuned(runs: Runs) -> pl.DataFrame:
    """Return the records of `vq-ttt` in all studies, with what it gained."""
    found = [runs[name] for name in RECIPES if name in runs]
    if not found:
        raise NotMeasuredError("recipe")
    some = pl.concat(found).filter(pl.col("method") == "vq-ttt")
    return some.with_columns(change=pl.col("score") - pl.col("base_score"))


def answer(runs: Runs) -> Answer:
    """Test the kernel's response over all models and conditions, and the gains on both sides."""
    rows = curves(runs)
    moved = correlation("kernel's gain and the gain needed: correlation", rows)
    gained = judged(list(gains_by_side(runs).values()))
    cases = {"the kernel moves towards the training spectrum": moved.verdict}
    cases |= {f"gains on {one.about.split()[5]} images": one.verdict for one in gained}
    findings = [moved, agreement(rows), *gained]
    return Answer(verdict=together([moved, *gained]), main=moved, findings=findings, cases=cases)


def correlation(about: str, rows: pl.DataFrame) -> Finding:
    """Correlate the two curves over bands and conditions; the interval is over degradations."""
    clusters = numbered(rows["degradation"]).astype(np.float64)
    x, y = rows["ratio"].to_numpy(), rows["gain"].to_numpy()
    value = clustered_correlation(x, y, clusters)
    if len(np.unique(clusters)) < FEW:
        value = Estimate(value.value, -1.0, 1.0)
    conditions = rows.select(_CELL).n_unique()
    return by_interval(about, value, 0.0, WEAK, unit="", n=conditions, images=len(np.unique(clusters)))


def agreement(rows: pl.DataFrame) -> Finding:
    """Return how often the two curves are on the same side of 1, with its interval over degradations."""
    clear = rows.filter(pl.col("ratio").abs() > NO_SIGN, pl.col("gain").abs() > NO_SIGN)
    if clear.is_empty():
        value = Estimate(0.5, 0.0, 1.0)
    else:
        same = (np.sign(clear["ratio"].to_numpy()) == np.sign(clear["gain"].to_numpy())).astype(np.float64)
        value = cluster_mean(same, np.zeros(len(same)), numbered(clear["degradation"]))
    size = {"n": len(clear), "images": clear["degradation"].n_unique()}
    return by_interval("bands where both raise or both lower (share)", value, 0.5, 0.05, unit="", **size)


def gains_by_side(runs: Runs, quality: str | None = None) -> dict[str, Finding]:
    """Return what `vq-ttt` gains on images sharper than the training images, and on blurrier ones."""
    of_cell = sides(curves(runs)).select(*_CELL, "side")
    rows = tuned(runs).join(of_cell, on=_CELL, how="inner", maintain_order="left")
    if quality is not None:
        rows = rows.filter(pl.col("quality") == quality)
    found = {}
    for side in ("sharper", "blurrier"):
        some = rows.filter(pl.col("side") == side)
        if not some.is_empty():
            found[side] = measured(f"gain of vq-ttt on images {side} than the training images", some)
    return found


def by_degradation(runs: Runs, quality: str) -> Sequence[dict[str, object]]:
    """Return for each degradation the fine bands' ratio and gain, as factors, and the gain in accuracy of `vq-ttt`."""
    fine = sides(curves(runs)).filter(pl.col("quality") == quality)
    rows = tuned(runs).filter(pl.col("quality") == quality)
    found: list[dict[str, object]] = []
    for (kind,), of_kind in fine.group_by("degradation", maintain_order=True):
        gain = measured(str(kind), rows.filter(pl.col("degradation") == kind))
        means = {name: float(np.exp(of_kind[name].to_numpy().mean())) for name in ("ratio", "gain")}
        found.append({"degradation": kind, **means, "change": gain})
    return sorted(found, key=lambda row: (row["degradation"] != CLEAN, -row["change"].value.value))  # type: ignore[attr-defined]
