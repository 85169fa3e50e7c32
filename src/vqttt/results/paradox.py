"""The quality paradox in figures: is "no effect" a finding, does worse beat clean, and how much of it is chance.

Scores are 0 to 1 and count as right from 0.5 up, as in `stats`; frames of records are those of `stats`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from vqttt.results.statistics import ALPHA, Floats, equivalence, flips, holm, mcnemar, paired_difference
from vqttt.results.summary import clean_and_degraded
from vqttt.runs.records import CELL


def quality_effect(records: pl.DataFrame, by_category: bool = False) -> pl.DataFrame:
    """Compare the untuned model on degraded images with itself on the same images clean: the quality paradox.

    One row for each model, task (and category) and degraded condition: accuracies `clean` and `degraded`, their
    paired difference, counts of samples `helped` (wrong when clean, right when degraded) and `hurt`, McNemar's
    p-value and that of `equivalence`, both after Holm's correction over all rows (`p_holm`, `p_equal`), and a verdict:
    `hurts`, `helps`, `no effect`, which is a finding, or `undecided`, which is none. Empty if nothing can be compared.
    """
    parts = [name for name in CELL if name != "method"]
    keys = [*parts[:2], "category", *parts[2:]] if by_category else parts
    rows = []
    for group in clean_and_degraded(records).partition_by(keys, maintain_order=True):
        before, after = group["clean_score"].to_numpy(), group["base_score"].to_numpy()
        delta, (helped, hurt) = paired_difference(before, after), flips(before, after)
        rows.append(
            group.select(keys).row(0, named=True)
            | {"n": len(group), "clean": float(before.mean()), "degraded": float(after.mean())}
            | {"delta": delta.value, "ci_low": delta.low, "ci_high": delta.high, "helped": helped, "hurt": hurt}
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
    """Say, by model and task, what choosing the condition would gain the untuned model over clean images.

    Columns: accuracy when `clean`; the `best` degraded condition over all samples; what choosing gains, `delta`: the
    best condition of one half of the samples, drawn at random, is judged by the other half, both ways round, and need
    not be the same in both; and the accuracy of an `oracle` that takes for every sample the best of clean and all
    degraded images. The oracle uses labels, and luck: it grows with the number of conditions even where quality does
    nothing. Several seeds of a condition count by their mean.
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
    """Yield for each model and task the scores, (samples, 1 + conditions), clean first, of samples that have all."""
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


_CONDITION = ("degradation", "severity", "scale", "restorer")


def redraws(records: pl.DataFrame) -> pl.DataFrame:
    """Compare how often degrading makes a wrong answer right with how often drawing it anew does by itself.

    By model and task, over samples and conditions that were drawn with two seeds or more, each to another image:
    where nothing is random, no seed can tell. `corrected`: right when degraded, wrong when clean, as a share of all;
    `redrawn`: right under one seed and wrong under the other, averaged over ordered pairs of seeds; `delta`, the first
    less the second, with its interval. A paradox that is no more than luck has a difference of zero or less.
    `conditions`: how many of them are drawn at random. Empty where there is one seed, or none is.
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
        # Of s seeds a share p right: p (1 - p) s / (s - 1) of the ordered pairs are right first and wrong then.
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
