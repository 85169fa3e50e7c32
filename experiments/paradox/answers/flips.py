"""Can it be predicted which answers blur sets right, or is it luck?

Two questions. Among the questions that a soft twin answers wrong on the clean image, can those that blur sets right be
told from the clean image's spectrum and from how sure the wrong answer is? And where a degradation is drawn at random,
does a flip come back when it is drawn again?
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from experiments.paradox.findings import Answer, Finding, bootstrap, by_interval, numbered, resampled
from experiments.paradox.frames import NotMeasuredError, Runs, answers
from experiments.paradox.plan import AXIS
from vqttt.results.statistics import ALPHA, RIGHT, Estimate, Floats
from vqttt.runs.records import CLEAN

CONDITION = f"{AXIS} 4"
FOLDS, REPEATS = 5, 5
WEAK = 0.1
"""An area under the curve that is shown to be less than 0.6 counts as luck."""

MARGIN = ("entropy_before", "base_confidence")
"""What a record says about how sure an answer is."""


def wrong_on_clean(runs: Runs) -> pl.DataFrame:
    """Return the soft twins' wrong answers to clean images, with `flipped`, whether blur sets them right."""
    scored = answers(runs, "blur").filter(pl.col("quality") == "soft", pl.col("error") == "")
    same = ["model", "sample_id"]
    blurred = scored.filter(pl.col("condition") == CONDITION).select(*same, flipped=pl.col("base_score") >= RIGHT)
    wrong = scored.filter(pl.col("condition") == CLEAN, pl.col("base_score") < RIGHT)
    return wrong.join(blurred, on=same, how="inner", maintain_order="left")


def answer(runs: Runs) -> Answer:
    """Predict flips from both; spectrum and margin alone, and redraws, stand beside it."""
    both, *alone = predicted(runs)
    findings = [both, *alone]
    if "redraws" in runs:
        findings.append(recurrence(runs))
    return Answer(verdict=both.verdict, main=both, findings=findings)


def predicted(runs: Runs) -> list[Finding]:
    """Return the area under the curve of predictions from spectrum and margin, and from each alone."""
    rows = wrong_on_clean(runs).join(runs["descriptors"], on="sample_id", how="inner", maintain_order="left")
    if min(rows["flipped"].sum(), (~rows["flipped"]).sum()) < 2 * FOLDS:
        raise NotMeasuredError("blur, with enough wrong answers")
    spectrum = [name for name in runs["descriptors"].columns if name != "sample_id"]
    named = {"spectrum and margin": [*spectrum, *MARGIN], "the spectrum": spectrum, "the margin": list(MARGIN)}
    images, flipped = numbered(rows["image"]), rows["flipped"].to_numpy()
    found = []
    for name, columns in named.items():
        predictions = out_of_fold(rows.select(columns).to_numpy().astype(np.float64), flipped, images)
        value = area_with_interval(predictions, flipped, images)
        size = {"n": len(rows), "images": len(np.unique(images))}
        found.append(by_interval(f"flips to right predicted from {name}: AUC", value, 0.5, WEAK, unit="", **size))
    return found


def out_of_fold(features: Floats, flipped: np.ndarray, images: np.ndarray) -> Floats:
    """Return predictions of a logistic regression for rows whose images it was not fitted on, averaged over repeats."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    total = np.zeros(len(flipped))
    for repeat in range(REPEATS):
        order = np.random.default_rng(repeat).permutation(images.max() + 1)
        ends = np.linspace(0, len(order), FOLDS + 1).astype(int)
        for start, end in pairwise(ends):
            held = np.isin(images, order[start:end])
            if not held.any() or len(set(flipped[~held])) < 2:
                continue
            fitted = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
            fitted.fit(features[~held], flipped[~held])
            # Folds differ in their base rate, which says nothing about a row.
            found = fitted.decision_function(features[held]) - fitted[-1].intercept_[0]
            total[held] += found / REPEATS
    return total


def areas(predictions: Floats, flipped: np.ndarray, weights: Floats) -> Floats:
    """Return by draw how often a flipped row is predicted above another, the area under the curve; ties count half.

    Args:
        predictions: one number per row.
        flipped: which rows are to be predicted above the others.
        weights: how often each row occurs, (draws, rows).
    """
    place = np.unique(predictions, return_inverse=True)[1]
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(place.max() + 1))
    above, below = (
        np.add.reduceat(weights[:, order] * chosen[order], starts, axis=1) for chosen in (flipped, ~flipped)
    )
    lower = below.cumsum(axis=1) - below / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = (above * lower).sum(axis=1) / (above.sum(axis=1) * below.sum(axis=1))
    return found


def area_with_interval(predictions: Floats, flipped: np.ndarray, images: np.ndarray) -> Estimate:
    """Return the area under the curve with an interval from a bootstrap over images."""
    drawn = bootstrap(images.max() + 1)[:, images]
    value = areas(predictions, flipped, np.ones((1, len(flipped))))[0]
    low, high = np.nanquantile(areas(predictions, flipped, drawn), [ALPHA / 2, 1 - ALPHA / 2])
    return Estimate(float(value), float(low), float(high))


def recurrence(runs: Runs) -> Finding:
    """Return how much more often a flip to right recurs under another draw of the degradation than chance.

    Chance is the share of wrong answers that one draw sets right, by severity. A question whose clean answer is wrong
    and of whose s draws k are right has k flips; each recurs under (k - 1) / (s - 1) of the other draws.
    """
    counts = drawn_right(runs["redraws"])
    severities = sorted(set(counts["severity"]))
    images, place = numbered(counts["image"]), numbered(counts["severity"])
    k, s = counts["right"].to_numpy().astype(np.float64), counts["draws"].to_numpy().astype(np.float64)
    terms = np.stack([k, k * (k - 1) / (s - 1), s], axis=1)
    sums = np.zeros((images.max() + 1, len(severities), 3))
    np.add.at(sums, (images, place), terms)

    def excess(totals: Floats) -> Floats:
        flips, again, draws = np.moveaxis(totals.reshape(-1, len(severities), 3), 2, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            by_chance = np.nansum(flips * flips / draws, axis=1)
            share: Floats = (again.sum(axis=1) - by_chance) / flips.sum(axis=1)
        return share

    value = resampled(sums.reshape(len(sums), -1), excess)
    size = {"n": len(counts), "images": len(sums)}
    return by_interval("a flip recurs under another draw, more often than by chance", value, 0.0, 0.05, **size)


def drawn_right(records: pl.DataFrame) -> pl.DataFrame:
    """Return for each question with a wrong clean answer, and severity, how many of several draws are right."""
    rows = records.filter(pl.col("error") == "")
    wrong = rows.filter(pl.col("degradation") == CLEAN, pl.col("base_score") < RIGHT)
    wrong = wrong.select("model", "sample_id").unique(maintain_order=True)
    drawn = rows.filter(pl.col("degradation") != CLEAN).join(
        wrong, on=["model", "sample_id"], maintain_order="left", how="semi"
    )
    counts = drawn.group_by("model", "sample_id", "image", "degradation", "severity", maintain_order=True).agg(
        right=(pl.col("base_score") >= RIGHT).sum(), draws=pl.len(), different=pl.col("image_sha256").n_unique()
    )
    counts = counts.filter(pl.col("draws") > 1, pl.col("different") == pl.col("draws"))
    if counts["right"].sum() == 0:
        raise NotMeasuredError("redraws, with a flip to right")
    return counts


def shares(counts: pl.DataFrame) -> Sequence[tuple[int, int, float, float]]:
    """Return by severity the number of wrong answers, of flips, the share that recurs, and the share by chance."""
    found = []
    for (severity,), rows in counts.group_by("severity", maintain_order=True):
        k, s = rows["right"].to_numpy().astype(np.float64), rows["draws"].to_numpy().astype(np.float64)
        flips = float(k.sum())
        again = float((k * (k - 1) / (s - 1)).sum() / flips) if flips else float("nan")
        found.append((int(severity), len(rows), again, flips / float(s.sum())))  # type: ignore[call-overload]
    return found
