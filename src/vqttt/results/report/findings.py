"""The facts that the opening sentences of a report state; the templates put them into words."""

from typing import Any

import polars as pl

from vqttt.results import summary
from vqttt.results.report.frames import Frames
from vqttt.runs.records import ALL, CELL, CLEAN, NONE


def findings(frames: Frames) -> list[dict[str, Any]]:
    """Gather the facts about each model."""
    return [
        _quality_facts(records)
        | {
            "methods": _of_model(frames.overview, model)
            .filter(pl.col("task") == ALL, pl.col("method") != NONE)
            .to_dicts()
        }
        | _condition_facts(_of_model(frames.effect, model))
        | {"headroom": _of_model(frames.headroom, model).to_dicts()}
        | {"redraws": _of_model(frames.redraws, model).to_dicts()}
        for (model,), records in frames.records.group_by("model", maintain_order=True)
    ]


def _quality_facts(records: pl.DataFrame) -> dict[str, Any]:
    """Return how quality affects one model; `change` is None if nothing can be compared."""
    pairs = summary.clean_and_degraded(records)
    facts: dict[str, Any] = {"model": records["model"][0], "change": None, "records": len(records)}
    facts |= {"failed": int((records["error"] != "").sum())}
    if not pairs.is_empty():
        means = pairs.group_by(CELL, maintain_order=True).agg(pl.col("clean_score", "base_score").mean())
        facts |= {"change": summary.mean_of_cells(pairs, pl.col("base_score") - pl.col("clean_score"))}
        facts |= {"clean": means["clean_score"].mean(), "degraded": means["base_score"].mean()}
        facts |= {"samples": pairs.select("task", "sample_id").n_unique(), "conditions": len(means)}
        facts |= {"seeds": pairs["seed"].n_unique(), "answers": len(pairs)}
    return facts


def _condition_facts(effect: pl.DataFrame) -> dict[str, Any]:
    """Return the verdicts of one model's conditions, the flips over all of them, and the worst and the best one."""
    if effect.is_empty():
        return {"verdicts": {}, "extremes": []}
    verdicts = dict(effect["verdict"].value_counts(sort=True).rows())
    ordered = effect.sort("delta", "task", "degradation", "severity")
    extremes = [ordered.row(0, named=True), ordered.row(-1, named=True)] if len(ordered) > 1 else []
    return {"verdicts": verdicts, "extremes": extremes} | {
        name: effect[name].sum() for name in ("corrective", "destructive")
    }


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
