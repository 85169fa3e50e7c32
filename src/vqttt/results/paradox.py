"""The quality paradox: how often degraded images get better answers than clean ones, and whether it is chance.

All frames describe the untuned model. Scores are 0 to 1, and an answer counts as right from 0.5 up. `n` counts
questions and `images` the images that they ask about, which intervals and tests take for independent.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from vqttt.results.clusters import accuracy, equivalence, mcnemar, paired_difference
from vqttt.results.statistics import ALPHA, MARGIN, RIGHT, Floats, flips, holm
from vqttt.results.summary import chance, clean_and_degraded, counts, images
from vqttt.runs.records import CELL

UNINFORMATIVE = "uninformative"
"""The verdict on a condition in which the model has nothing to lose; see `quality_effect`."""

_EFFECT = (
    "n", "images", "clean", "clean_low", "clean_high", "degraded", "chance", "delta", "ci_low", "ci_high", "corrective",
    "destructive", "p_value", "p_equal", "verdict",
)  # fmt: skip
"""What `quality_effect` gives for each condition."""

_CONDITION = ("degradation", "severity", "scale", "restorer")


def quality_effect(records: pl.DataFrame, by_category: bool = False) -> pl.DataFrame:
    """Compare the untuned model on degraded images with itself on the same images clean.

    One row for each model, task (and category) and degraded condition: accuracies `clean` (with its interval,
    `clean_low` to `clean_high`) and `degraded`, the mean `chance` of guessing, the paired difference `delta` with its
    interval, counts of answers that degradation corrected (`corrective`) and broke (`destructive`), the `p_value` of
    McNemar's test, and two p-values after Holm's correction over all rows: `p_holm` of the same test and `p_equal` of
    `equivalence`. Empty if nothing can be compared.

    The verdict is `hurts` or `helps` if `p_holm` is below 0.05. Otherwise it is `uninformative` if the model has
    nothing to lose: if `clean_low` is not above the mean chance of guessing, where an unknown chance counts as 0, or
    not above the margin of `equivalence`. Otherwise it is `no effect` if `p_equal` is below 0.05, which shows a change
    within the margin, or `undecided`: too few questions to tell.
    """
    parts = [name for name in CELL if name != "method"]
    keys = [*parts[:2], "category", *parts[2:]] if by_category else parts
    rows = []
    for group in clean_and_degraded(records).partition_by(keys, maintain_order=True):
        before, after = group["clean_score"].to_numpy(), group["base_score"].to_numpy()
        of = images(group)
        clean, delta = accuracy(before, clusters=of), paired_difference(before, after, of)
        rows.append(
            group.select(keys).row(0, named=True)
            | counts(group)
            | {"clean": clean.value, "clean_low": clean.low, "clean_high": clean.high}
            | {"degraded": float(after.mean()), "chance": chance(group)}
            | {"delta": delta.value, "ci_low": delta.low, "ci_high": delta.high}
            | flips(before, after)._asdict()
            | {"p_value": mcnemar(before, after, of), "p_equal": equivalence(before, after, of)}
            | {"verdict": UNINFORMATIVE if clean.low <= max(_guessed(group), MARGIN) else ""}
        )
    if not rows:
        return pl.DataFrame(schema=[*keys, *_EFFECT, "p_holm"])
    effect = pl.DataFrame(rows, schema_overrides={"chance": pl.Float64})
    effect = effect.with_columns(p_holm=holm(effect["p_value"].to_numpy()), p_equal=holm(effect["p_equal"].to_numpy()))
    side = pl.when(pl.col("corrective") > pl.col("destructive")).then(pl.lit("helps")).otherwise(pl.lit("hurts"))
    same = pl.when(pl.col("p_equal") < ALPHA).then(pl.lit("no effect")).otherwise(pl.lit("undecided"))
    unsure = pl.when(pl.col("verdict") == UNINFORMATIVE).then(pl.lit(UNINFORMATIVE)).otherwise(same)
    return effect.with_columns(verdict=pl.when(pl.col("p_holm") < ALPHA).then(side).otherwise(unsure))


def _guessed(records: pl.DataFrame) -> float:
    """Return the mean probability of guessing, taken as 0 where it is not known."""
    known = records["chance"].fill_nan(None).fill_null(0.0).to_numpy() if "chance" in records.columns else np.zeros(1)
    return float(known.mean())


def headroom(records: pl.DataFrame) -> pl.DataFrame:
    """Measure, by model and task, what choosing the condition could gain the untuned model over clean images.

    Columns: accuracy on `clean` images; the `best` degraded condition over all samples; `delta`, the gain from
    choosing: the best condition of a random half of the images is scored on the other half, both ways round, and the
    two halves may choose different conditions; and the accuracy of an `oracle` that takes the best of the clean and
    all degraded versions of each sample. The oracle uses the labels, and benefits from luck: its accuracy grows with
    the number of conditions even if quality has no effect. Several seeds of a condition count by their mean.
    """
    rows = []
    for keys, scores, of, names in _grids(clean_and_degraded(records)):
        clean, degraded = scores[:, 0], scores[:, 1:]
        first = np.random.default_rng(0).permutation(of.max() + 1)[of] % 2 == 0
        halves = [first, ~first]
        chosen = [int(degraded[half].mean(0).argmax()) for half in halves]
        change = np.concatenate(
            [degraded[~half, best] - clean[~half] for half, best in zip(halves, chosen, strict=True)]
        )
        gain = paired_difference(np.zeros(len(change)), change, np.concatenate([of[~half] for half in halves]))
        best = names[int(degraded.mean(0).argmax())]
        rows.append(
            keys
            | {
                "n": len(scores),
                "images": int(of.max()) + 1,
                "conditions": len(names),
                "clean": clean.mean(),
                "best": best,
            }
            | {"delta": gain.value, "ci_low": gain.low, "ci_high": gain.high, "oracle": scores.max(1).mean()}
        )
    return pl.DataFrame(rows)


def _grids(pairs: pl.DataFrame) -> Iterator[tuple[dict[str, Any], Floats, NDArray[np.int64], list[str]]]:
    """Yield keys, scores, the samples' images and names of the conditions for each model and task.

    Scores have the shape (samples, 1 + conditions), clean first; only samples that have every condition are included.
    Images are numbered from 0 without gaps. A task needs four samples and two images.
    """
    if pairs.is_empty():
        return
    condition = pl.format("{} {}", "degradation", "severity")
    pairs = pairs.with_columns(pl.Series("image", images(pairs)), condition=condition)
    for group in pairs.partition_by(["model", "task"], maintain_order=True):
        means = group.group_by("sample_id", "condition", maintain_order=True).agg(
            pl.col("clean_score", "base_score").mean(), pl.col("image").first()
        )
        index = ["sample_id", "image", "clean_score"]
        wide = means.pivot("condition", index=index, values="base_score").drop_nulls()
        names = [name for name in wide.columns if name not in index]
        of = np.unique(wide["image"].to_numpy(), return_inverse=True)[1]
        if len(wide) >= 4 and of.max() > 0:
            keys = group.select("model", "task").row(0, named=True)
            yield keys, wide.select("clean_score", *names).to_numpy().astype(np.float64), of, names


def redraws(records: pl.DataFrame) -> pl.DataFrame:
    """Compare how often degradation corrects an answer with how often redrawing the same degradation does.

    One row for each model and task, over samples and conditions drawn with at least two seeds that gave different
    images; where a degradation involves no randomness, seeds cannot tell. `corrective_share`: share of answers that are
    wrong on the clean image and right on the degraded one. `redrawn_share`: share that are wrong under one seed and
    right under another, averaged over ordered pairs of seeds. `delta`: the first minus the second, with its interval;
    zero or less if the paradox is no more than luck. `conditions`: how many conditions are drawn at random. Empty if
    there is only one seed or no such condition.
    """
    pairs = clean_and_degraded(records)
    pairs = pairs.with_columns(pl.Series("image", images(pairs), pl.Int64))
    if pairs.is_empty() or pairs["seed"].n_unique() < 2:
        return pl.DataFrame()
    rows = []
    for group in pairs.partition_by(["model", "task"], maintain_order=True):
        drawn = group.group_by("sample_id", *_CONDITION, maintain_order=True).agg(
            pl.col("image").first(),
            right=(pl.col("base_score") >= RIGHT).mean(),
            corrective_share=((pl.col("clean_score") < RIGHT) & (pl.col("base_score") >= RIGHT)).mean(),
            seeds=pl.col("seed").n_unique(),
            draws=pl.col("image_sha256").n_unique(),
        )
        drawn = drawn.filter(pl.col("seeds") > 1, pl.col("draws") == pl.col("seeds"))
        # If a share p of s seeds is right, p (1 - p) s / (s - 1) of the ordered pairs go from wrong to right.
        drawn = drawn.with_columns(
            redrawn_share=pl.col("right") * (1 - pl.col("right")) * pl.col("seeds") / (pl.col("seeds") - 1)
        )
        if drawn.is_empty():
            continue
        shares = ("corrective_share", "redrawn_share")
        by_sample = drawn.group_by("sample_id", maintain_order=True).agg(pl.col("image").first(), pl.col(shares).mean())
        corrective, redrawn = (by_sample[name].to_numpy() for name in shares)
        excess = paired_difference(redrawn, corrective, by_sample["image"].to_numpy())
        rows.append(
            group.select("model", "task").row(0, named=True)
            | {
                "n": len(by_sample),
                "images": by_sample["image"].n_unique(),
                "conditions": drawn.select(_CONDITION).n_unique(),
            }
            | {"seeds": int(drawn["seeds"].to_numpy().max())}
            | {name: by_sample[name].mean() for name in shares}
            | {"delta": excess.value, "ci_low": excess.low, "ci_high": excess.high}
        )
    return pl.DataFrame(rows)
