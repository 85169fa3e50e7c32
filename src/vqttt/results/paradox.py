"""The quality paradox: how often degraded images get better answers than clean ones, and whether it is chance.

All frames describe the untuned model. Scores are 0 to 1, and an answer counts as right from 0.5 up.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from vqttt.results.statistics import ALPHA, Floats, equivalence, flips, holm, mcnemar, paired_difference
from vqttt.results.summary import clean_and_degraded
from vqttt.runs.records import CELL

_CONDITION = ("degradation", "severity", "scale", "restorer")


def quality_effect(records: pl.DataFrame, by_category: bool = False) -> pl.DataFrame:
    """Compare the untuned model on degraded images with itself on the same images clean.

    One row for each model, task (and category) and degraded condition: accuracies `clean` and `degraded`, their
    paired difference `delta` with its interval, counts of answers that degradation corrected (`helped`) and broke
    (`hurt`), the `p_value` of McNemar's test, and two p-values after Holm's correction over all rows: `p_holm` of the
    same test and `p_equal` of `equivalence`. The verdict is `hurts`, `helps`, `no effect` (shown to be within the
    margin) or `undecided` (too few questions to tell). Empty if nothing can be compared.
    """
    parts = [name for name in CELL if name != "method"]
    keys = [*parts[:2], "category", *parts[2:]] if by_category else parts
    rows = []
    for group in clean_and_degraded(records).partition_by(keys, maintain_order=True):
        before, after = group["clean_score"].to_numpy(), group["base_score"].to_numpy()
        delta, flipped = paired_difference(before, after), flips(before, after)
        rows.append(
            group.select(keys).row(0, named=True)
            | {"n": len(group), "clean": float(before.mean()), "degraded": float(after.mean())}
            | {"delta": delta.value, "ci_low": delta.low, "ci_high": delta.high}
            | {"helped": flipped.corrected, "hurt": flipped.broken}
            | {"p_value": mcnemar(before, after), "p_equal": equivalence(before, after)}
        )
    if not rows:
        numbers = ("n", "clean", "degraded", "delta", "ci_low", "ci_high", "helped", "hurt", "p_value", "p_equal")
        return pl.DataFrame(schema=[*keys, *numbers, "p_holm", "verdict"])
    effect = pl.DataFrame(rows)
    effect = effect.with_columns(p_holm=holm(effect["p_value"].to_numpy()), p_equal=holm(effect["p_equal"].to_numpy()))
    side = pl.when(pl.col("helped") > pl.col("hurt")).then(pl.lit("helps")).otherwise(pl.lit("hurts"))
    same = pl.when(pl.col("p_equal") < ALPHA).then(pl.lit("no effect")).otherwise(pl.lit("undecided"))
    return effect.with_columns(verdict=pl.when(pl.col("p_holm") < ALPHA).then(side).otherwise(same))


def headroom(records: pl.DataFrame) -> pl.DataFrame:
    """Measure, by model and task, what choosing the condition could gain the untuned model over clean images.

    Columns: accuracy on `clean` images; the `best` degraded condition over all samples; `delta`, the gain from
    choosing: the best condition of a random half of the samples is scored on the other half, both ways round, and the
    two halves may choose different conditions; and the accuracy of an `oracle` that takes the best of the clean and
    all degraded versions of each sample. The oracle uses the labels, and benefits from luck: its accuracy grows with
    the number of conditions even if quality has no effect. Several seeds of a condition count by their mean.
    """
    rows = []
    for keys, scores, names in _grids(clean_and_degraded(records)):
        clean, degraded = scores[:, 0], scores[:, 1:]
        first = np.random.default_rng(0).permutation(len(scores)) % 2 == 0
        halves = [first, ~first]
        chosen = [int(degraded[half].mean(0).argmax()) for half in halves]
        change = np.concatenate(
            [degraded[~half, best] - clean[~half] for half, best in zip(halves, chosen, strict=True)]
        )
        gain = paired_difference(np.zeros(len(change)), change)
        best = names[int(degraded.mean(0).argmax())]
        rows.append(
            keys
            | {"n": len(scores), "conditions": len(names), "clean": clean.mean(), "best": best}
            | {"delta": gain.value, "ci_low": gain.low, "ci_high": gain.high, "oracle": scores.max(1).mean()}
        )
    return pl.DataFrame(rows)


def _grids(pairs: pl.DataFrame) -> Iterator[tuple[dict[str, Any], Floats, list[str]]]:
    """Yield keys, scores and names of the conditions for each model and task.

    Scores have the shape (samples, 1 + conditions), clean first; only samples that have every condition are included.
    """
    if pairs.is_empty():
        return
    condition = pl.format("{} {}", "degradation", "severity")
    pairs = pairs.with_columns(condition=condition)
    for group in pairs.partition_by(["model", "task"], maintain_order=True):
        of = group.group_by("sample_id", "condition", maintain_order=True).agg(
            pl.col("clean_score", "base_score").mean()
        )
        wide = of.pivot("condition", index=["sample_id", "clean_score"], values="base_score").drop_nulls()
        names = [name for name in wide.columns if name not in ("sample_id", "clean_score")]
        if len(wide) >= 4:
            keys = group.select("model", "task").row(0, named=True)
            yield keys, wide.select("clean_score", *names).to_numpy().astype(np.float64), names


def redraws(records: pl.DataFrame) -> pl.DataFrame:
    """Compare how often degradation corrects an answer with how often redrawing the same degradation does.

    One row for each model and task, over samples and conditions drawn with at least two seeds that gave different
    images; where a degradation involves no randomness, seeds cannot tell. `corrected`: share of answers that are wrong
    on the clean image and right on the degraded one. `redrawn`: share that are wrong under one seed and right under
    another, averaged over ordered pairs of seeds. `delta`: the first minus the second, with its interval; zero or less
    if the paradox is no more than luck. `conditions`: how many conditions are drawn at random. Empty if there is only
    one seed or no such condition.
    """
    pairs = clean_and_degraded(records)
    if pairs.is_empty() or pairs["seed"].n_unique() < 2:
        return pl.DataFrame()
    rows = []
    for group in pairs.partition_by(["model", "task"], maintain_order=True):
        drawn = group.group_by("sample_id", *_CONDITION, maintain_order=True).agg(
            right=(pl.col("base_score") >= 0.5).mean(),
            corrected=((pl.col("clean_score") < 0.5) & (pl.col("base_score") >= 0.5)).mean(),
            seeds=pl.col("seed").n_unique(),
            images=pl.col("image_sha256").n_unique(),
        )
        drawn = drawn.filter(pl.col("seeds") > 1, pl.col("images") == pl.col("seeds"))
        # If a share p of s seeds is right, p (1 - p) s / (s - 1) of the ordered pairs go from wrong to right.
        drawn = drawn.with_columns(
            redrawn=pl.col("right") * (1 - pl.col("right")) * pl.col("seeds") / (pl.col("seeds") - 1)
        )
        if drawn.is_empty():
            continue
        by_sample = drawn.group_by("sample_id", maintain_order=True).agg(pl.col("corrected", "redrawn").mean())
        excess = paired_difference(by_sample["redrawn"].to_numpy(), by_sample["corrected"].to_numpy())
        rows.append(
            group.select("model", "task").row(0, named=True)
            | {"n": len(by_sample), "conditions": drawn.select(_CONDITION).n_unique()}
            | {"seeds": int(drawn["seeds"].to_numpy().max())}
            | {"corrected": by_sample["corrected"].mean(), "redrawn": by_sample["redrawn"].mean()}
            | {"delta": excess.value, "ci_low": excess.low, "ci_high": excess.high}
        )
    return pl.DataFrame(rows)
