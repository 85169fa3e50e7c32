"""What the opening sentences of a report say, as facts; the template has the words."""

from typing import Any

import polars as pl

from vqttt.results import summary
from vqttt.runs.records import ALL, CELL, CLEAN, NONE


def findings(
    records: pl.DataFrame, overview: pl.DataFrame, effect: pl.DataFrame, choice: pl.DataFrame, drawn_anew: pl.DataFrame
) -> list[dict[str, Any]]:
    """Gather the facts about each model.

    Args:
        records: without restorers, or all with them.
        overview: `summary.overview` of the records.
        effect: `paradox.quality_effect` of the records.
        choice: `paradox.headroom` of the records.
        drawn_anew: `paradox.redraws` of the records.
    """
    return [
        _of_quality(part)
        | {"methods": _of(overview, part).filter(pl.col("task") == ALL, pl.col("method") != NONE).to_dicts()}
        | _of_conditions(_of(effect, part))
        | {"headroom": _of(choice, part).to_dicts(), "redraws": _of(drawn_anew, part).to_dicts()}
        for part in records.partition_by("model", maintain_order=True)
    ]


def what_was_run(records: pl.DataFrame) -> dict[str, Any]:
    """Say what the records cover."""
    samples = records.group_by("task", maintain_order=True).agg(pl.col("sample_id").n_unique())
    degraded = records.filter(pl.col("degradation") != CLEAN)
    lists = {name: records[name].unique(maintain_order=True).to_list() for name in ("model", "method", "restorer")}
    return lists | {
        "records": len(records),
        "tasks": samples.rows(),
        "degradations": degraded["degradation"].unique(maintain_order=True).to_list(),
        "clean": len(degraded) < len(records),
        "severities": degraded["severity"].unique().sort().to_list(),
        "seeds": records["seed"].unique().sort().to_list(),
    }


def _of_quality(records: pl.DataFrame) -> dict[str, Any]:
    pairs = summary.clean_and_degraded(records)
    found: dict[str, Any] = {"model": records["model"][0], "change": None, "records": len(records)}
    found |= {"failed": int((records["error"] != "").sum())}
    if not pairs.is_empty():
        means = pairs.group_by(CELL, maintain_order=True).agg(pl.col("clean_score", "base_score").mean())
        found |= {"change": summary.mean_of_cells(pairs, pl.col("base_score") - pl.col("clean_score"))}
        found |= {"clean": means["clean_score"].mean(), "degraded": means["base_score"].mean()}
        found |= {"samples": pairs.select("task", "sample_id").n_unique(), "conditions": len(means)}
        found |= {"seeds": pairs["seed"].n_unique(), "answers": len(pairs)}
    return found


def _of_conditions(effect: pl.DataFrame) -> dict[str, Any]:
    if effect.is_empty():
        return {"verdicts": {}, "extremes": []}
    verdicts = dict(effect["verdict"].value_counts(sort=True).rows())
    ordered = effect.sort("delta", "task", "degradation", "severity")
    extremes = [ordered.row(0, named=True), ordered.row(-1, named=True)] if len(ordered) > 1 else []
    return {"verdicts": verdicts, "helped": effect["helped"].sum(), "hurt": effect["hurt"].sum(), "extremes": extremes}


def _of(frame: pl.DataFrame, records: pl.DataFrame) -> pl.DataFrame:
    """Take the rows of the records' model, if there are any."""
    return frame.filter(pl.col("model") == records["model"][0]) if len(frame) else frame
