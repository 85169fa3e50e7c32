"""The facts that the opening sentences of a report state; the templates put them into words."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from vqttt.results import summary
from vqttt.results.paradox import UNINFORMATIVE
from vqttt.results.report.frames import Frames
from vqttt.results.report.remedies import Remedy, best, remedies
from vqttt.runs.records import CELL, CLEAN


def findings(frames: Frames) -> list[dict[str, Any]]:
    """Gather the facts about each model, in the order of the records.

    `change` is the effect of degradation with its interval, None if nothing can be compared; `helps` the row of the
    degraded condition that helps the model most beyond chance, or None; `remedies` what was tried; the rest as the
    functions below have it.
    """
    tried = remedies(frames)
    return [
        _quality_facts(records)
        | {"remedies": shown(of_model := [one for one in tried if one.model == model]), "tried": len(of_model)}
        | {"best": {kind: best(of_model, kind) for kind in ("", "method", "restorer")}}
        | _condition_facts(_of_model(frames.effect, model))
        | {"headroom": _of_model(frames.headroom, model).to_dicts()}
        | {"redraws": _of_model(frames.redraws, model).to_dicts()}
        for (model,), records in frames.records.group_by("model", maintain_order=True)
    ]


def shown(tried: list[Remedy]) -> list[Remedy]:
    """Choose what the findings list: methods and restorers alone, and both together only if that gains most."""
    top = best(tried)
    return [one for one in tried if one.kind != "both" or one is top]


def _quality_facts(records: pl.DataFrame) -> dict[str, Any]:
    """Return how quality affects one model; `change` is None if nothing can be compared."""
    pairs = summary.clean_and_degraded(records)
    facts: dict[str, Any] = {"model": records["model"][0], "change": None, "records": len(records)}
    facts |= {"failed": int((records["error"] != "").sum()), "accuracy": _accuracy(records)}
    facts |= {"on": "degraded" if (records["degradation"] != CLEAN).all() else "clean"}
    if not pairs.is_empty():
        means = pairs.group_by(CELL, maintain_order=True).agg(pl.col("base_score", "clean_score").mean())
        facts |= {"change": summary.mean_of_cells(pairs, pl.col("base_score") - pl.col("clean_score"))}
        facts |= {"clean": means["clean_score"].mean(), "degraded": means["base_score"].mean()}
        facts |= {"samples": pairs.select("task", "sample_id").n_unique(), "conditions": len(means)}
        facts |= {"seeds": pairs["seed"].n_unique(), "answers": len(pairs)}
    return facts


def _accuracy(records: pl.DataFrame) -> float:
    """Return the untuned model's mean accuracy over all cells; it means little unless all are clean or all degraded."""
    base = summary.untuned(records)
    means = base.group_by(CELL, maintain_order=True).agg(pl.col("base_score").mean())
    return float(means["base_score"].to_numpy().mean())


def _condition_facts(effect: pl.DataFrame) -> dict[str, Any]:
    """Return one model's conditions, their verdicts, the flips over all of them, and the worst and the best one."""
    if effect.is_empty():
        return {"rows": [], "verdicts": {}, "counts": "", "extremes": [], "helps": None}
    verdicts = dict(effect["verdict"].value_counts(sort=True).rows())
    ordered = effect.sort("delta", "task", "degradation", "severity", "seed").to_dicts()
    helpful = [row for row in ordered if row["verdict"] == "helps"]
    extremes = [ordered[0], ordered[-1]] if len(ordered) > 1 else []
    return {"rows": ordered, "verdicts": verdicts, "counts": verdict_counts(verdicts), "extremes": extremes} | {
        "helps": helpful[-1] if helpful else None,
        **{name: effect[name].sum() for name in ("corrective", "destructive")},
    }


def verdict_counts(verdicts: Mapping[str, int]) -> str:
    """Put the numbers of verdicts of `paradox.quality_effect` into words.

    >>> verdict_counts({"hurts": 10, "helps": 1, "undecided": 25})
    'of 36 conditions 10 lower accuracy, 1 raises it, 0 proven unchanged (within 2 points), 25 inconclusive'
    """
    total = sum(verdicts.values())
    hurts, helps = verdicts.get("hurts", 0), verdicts.get("helps", 0)
    parts = [
        f"of {total:,} condition{'' if total == 1 else 's'} {hurts:,} {'lowers' if hurts == 1 else 'lower'} accuracy",
        f"{helps:,} {'raises' if helps == 1 else 'raise'} it",
        f"{verdicts.get('no effect', 0):,} proven unchanged (within 2 points)",
        f"{verdicts.get('undecided', 0):,} inconclusive",
    ]
    if verdicts.get(UNINFORMATIVE):
        parts.append(f"{verdicts[UNINFORMATIVE]:,} uninformative (clean images answered no better than by guessing)")
    return ", ".join(parts)


def _of_model(frame: pl.DataFrame, model: object) -> pl.DataFrame:
    """Select the rows of a model; a frame without rows may lack the column."""
    return frame.filter(pl.col("model") == model) if len(frame) else frame


def what_was_run(records: pl.DataFrame) -> dict[str, Any]:
    """Return what the records cover; `tasks` has the name, the number of questions and that of images of each."""
    tasks = [(str(task), summary.counts(group)) for (task,), group in records.group_by("task", maintain_order=True)]
    degraded = records.filter(pl.col("degradation") != CLEAN)
    lists = {name: records[name].unique(maintain_order=True).to_list() for name in ("model", "method", "restorer")}
    return lists | {
        "records": len(records),
        "tasks": [(task, count["n"], count["images"]) for task, count in tasks],
        "degradations": degraded["degradation"].unique(maintain_order=True).to_list(),
        "clean": len(degraded) < len(records),
        "severities": degraded["severity"].unique().sort().to_list(),
        "seeds": records["seed"].unique().sort().to_list(),
    }
