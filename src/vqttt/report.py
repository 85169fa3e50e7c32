"""The report of a run: records in, tables, figures and one HTML page out; what is computed is in `stats`.

Everything is made from the run folder alone, without torch, and the same records always give the same bytes.
"""

import json
import shlex
from collections.abc import Sequence
from dataclasses import fields
from itertools import chain, product, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from vqttt import figures, stats, tables
from vqttt.errors import RunFolderError
from vqttt.paradox import headroom, quality_effect, redraws, reliability, risk_coverage
from vqttt.perception import accuracy_by_quality, rank_correlations
from vqttt.remedies import by_degradation, remedies, without_restorers
from vqttt.reported import benchmark_table
from vqttt.runfolder import COLUMN_TYPES
from vqttt.stats import ALL, BASELINE, CLEAN, overview, summarise
from vqttt.tables import UNTUNED, Table, label, methods_of
from vqttt.types import Record

__all__ = ["console_tables", "load_records", "overview", "quality_effect", "summarise"]
__all__ += ["write_csv", "write_html", "write_latex", "write_markdown"]

_SCHEMA: dict[str, type[pl.DataType]] = {
    name: pl.Int64 if name in ("severity", "seed") else pl.String for name in stats.CELL
}
_SCHEMA |= {field.name: COLUMN_TYPES[field.type] for field in fields(Record) if isinstance(field.type, type)}

_LATER = ("base_format_score", "format_score")
"""Columns that older runs lack."""

if TYPE_CHECKING:
    import rich.table


def load_records(run: Path) -> pl.DataFrame:
    """Read the records of all finished cells, in order.

    Raises:
        RunFolderError: if there is no such folder, none of its cells is finished, or one cannot be read.
    """
    if not run.is_dir():
        raise RunFolderError(f"there is no run folder {run}")
    cells = []
    for file in sorted(run.glob("cells/*.parquet")):
        try:
            cell = pl.read_parquet(file)
            cell = cell.with_columns(pl.lit(None).alias(name) for name in _LATER if name not in cell.columns)
            cells.append(cell.select(pl.col(name).cast(kind) for name, kind in _SCHEMA.items()))
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise RunFolderError(f"cannot read {file} ({reason}); remove it and run the study again") from error
    records = pl.concat(cells) if cells else pl.DataFrame(schema=_SCHEMA)
    if records.is_empty():
        raise RunFolderError(f"{run} holds no finished cells; run `vqttt study --out {run}` first")
    return stats.in_order(records)


def console_tables(records: pl.DataFrame) -> list["rich.table.Table"]:
    """Return what a terminal should show of a run: the methods, accuracy by severity, and what failed, if anything."""
    plain = without_restorers(records)
    shown = [tables.overview_table(overview(plain), brief=True), tables.accuracy_table(summarise(records))]
    if records["restorer"].n_unique() > 1:
        shown.insert(1, tables.remedies_table(remedies(records), brief=True))
    if (records["error"] != "").any():
        shown.append(tables.errors_table(records))
    return [table.rich() for table in shown]


def write_csv(run: Path) -> Path:
    """Write `summary.csv`, one row a cell."""
    return _write(run / "summary.csv", summarise(load_records(run)).write_csv(float_precision=6))


def write_markdown(run: Path) -> Path:
    """Write `report.md`."""
    return _write(run / "report.md", "\n".join(table.markdown() for table in _filled(load_records(run))))


def write_latex(run: Path) -> Path:
    """Write `report.tex`, whose tables need the package booktabs."""
    return _write(run / "report.tex", "\n".join(table.latex() for table in _filled(load_records(run))))


def write_html(run: Path) -> Path:
    """Write `report.html`, a page that needs no other file.

    Raises:
        RunFolderError: as `load_records` does, or if another file of the run cannot be read or written.
    """
    from jinja2 import Environment, PackageLoader

    records = load_records(run)
    details = [_read_json(file) for file in sorted(run.glob("examples/*.json"))]
    about = _read_json(run / "run.json") if (run / "run.json").exists() else {}
    command = (about.get("config") or {}).get("command") or about.get("command") or ""
    plain = without_restorers(records)
    shown = {"categories": tables.category_table(plain), "calibration": tables.calibration_table(plain)}
    shown |= {"headroom": tables.headroom_table(headroom(plain)), "redraws": tables.redraws_table(redraws(plain))}
    shown |= {"errors": tables.errors_table(records), "cells": tables.cells_table(summarise(records))}
    shown |= {"by_degradation": tables.remedies_table(by_degradation(records), "Remedies by degradation")}
    shown |= {"benchmarks": benchmark_table(plain)}
    names = ("overview", "quality", "accuracy", "correlations", "remedies")
    # By its own name the template would not be taken for HTML, so escaping is asked for.
    page = Environment(loader=PackageLoader("vqttt"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {"label": label, "percent": tables.percent, "points": tables.points}
    html = page.get_template("report.html.j2").render(
        findings=[_findings(part) for part in plain.partition_by("model", maintain_order=True)],
        tables=shown | dict(zip(names, _main_tables(records), strict=True)),
        marks=figures.marks(methods_of(plain)),
        **_panels(plain),
        quality_charts=_quality_panels(plain),
        calibration_charts=_calibration_panels(plain),
        examples=_examples(details),
        kernels=_kernels(details),
        restored=sorted(set(plain["restorer"]) - {stats.BASELINE}),
        provenance=json.dumps(about, indent=2, ensure_ascii=False, sort_keys=True) if about else "",
        command=command if isinstance(command, str) else shlex.join(map(str, command)),
    )
    return _write(run / "report.html", html)


def _main_tables(records: pl.DataFrame) -> list[Table]:
    plain = without_restorers(records)
    return [
        tables.overview_table(overview(plain)),
        tables.quality_table(quality_effect(plain)),
        tables.accuracy_table(summarise(plain)),
        tables.correlation_table(rank_correlations(plain)),
        tables.remedies_table(remedies(records)),
    ]


def _filled(records: pl.DataFrame) -> list[Table]:
    every = (*_main_tables(records), benchmark_table(without_restorers(records)))
    return [table for table in every if table.rows]


def _findings(records: pl.DataFrame) -> dict[str, Any]:
    """Gather what the opening sentences about one model say."""
    pairs, verdicts = stats.clean_and_degraded(records), quality_effect(records)
    methods = overview(records).filter(pl.col("task") == ALL, pl.col("method") != BASELINE).to_dicts()
    found: dict[str, Any] = {"model": records["model"][0], "methods": methods, "change": None}
    if not pairs.is_empty():
        means = pairs.group_by(stats.CELL, maintain_order=True).agg(pl.col("clean_score", "base_score").mean())
        found |= {"change": stats.mean_of_cells(pairs, pl.col("base_score") - pl.col("clean_score"))}
        found |= {"clean": means["clean_score"].mean(), "degraded": means["base_score"].mean()}
        found |= {"samples": pairs.select("task", "sample_id").n_unique(), "conditions": len(means)}
        found |= {"seeds": pairs["seed"].n_unique(), "verdicts": verdicts["verdict"].to_list()}
        found |= {"helped": verdicts["helped"].sum(), "hurt": verdicts["hurt"].sum()}
    return found


def _panels(records: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Draw all charts, as lists of groups: a heading and the panels under it."""
    drawn, gains = figures.marks(methods_of(records)), stats.gains(records).filter(pl.col("method") != BASELINE)
    gains = gains.with_columns(pl.col("corrective", "destructive") / pl.col("records"))
    points = _accuracies(records)
    # The same axis for all panels of a kind, so that they can be compared by eye.
    limits = (100 * min(points["accuracy_low"]) - 2, 100 * max(points["accuracy_high"]) + 2)
    reach = 108 * max([0.02, *gains["ci_low"].abs(), *gains["ci_high"].abs()])
    flipped = 108 * max([0.02, *gains["corrective"], *gains["destructive"]])
    groups: dict[str, list[dict[str, Any]]] = {"accuracy": [], "gains": [], "flips": []}
    for model in records["model"].unique(maintain_order=True):
        whose = model if records["model"].n_unique() > 1 else ""
        tasks = records.filter(model=model)["task"].unique(maintain_order=True).to_list()
        for task in tasks:
            of_task, clean = points.filter(model=model, task=task), pl.col("degradation") == CLEAN
            names = of_task.filter(~clean)["degradation"].unique(maintain_order=True).to_list() or [CLEAN]
            panels = {name: of_task.filter(clean | (pl.col("degradation") == name)) for name in names}
            drawings = {name: figures.accuracy_panel(part, drawn, limits, label(name)) for name, part in panels.items()}
            groups["accuracy"].append({"heading": " · ".join(filter(None, (whose, task))), "panels": drawings})
        for kind, draw, limit in (("gains", figures.gain_panel, reach), ("flips", figures.flip_panel, flipped)):
            parts = {
                task: gains.filter(model=model, task=task) for task in (*([ALL] if len(tasks) > 1 else []), *tasks)
            }
            titles = {task: f"{task} tasks" if task == ALL else task for task in parts}
            drawings = {
                titles[task]: draw(part, drawn, limit, titles[task]) for task, part in parts.items() if len(part)
            }
            groups[kind] += [{"heading": whose, "panels": drawings}] if drawings else []
    return {f"{kind}_charts": charts for kind, charts in groups.items()}


def _quality_panels(records: pl.DataFrame) -> list[dict[str, Any]]:
    """Draw accuracy against measured quality, a panel for each task; as `_panels` does."""
    shares = accuracy_by_quality(records)
    if shares.is_empty():
        return []
    limits = (100 * min(shares["accuracy"]) - 4, 100 * max(shares["accuracy"]) + 4)
    groups = []
    for (model,), of_model in shares.group_by("model", maintain_order=True):
        tasks = of_model.partition_by("task", maintain_order=True, as_dict=True)
        drawings = {str(task): figures.quality_panel(part, limits, str(task)) for (task,), part in tasks.items()}
        groups.append({"heading": model if records["model"].n_unique() > 1 else "", "panels": drawings})
    return groups


def _calibration_panels(records: pl.DataFrame) -> list[dict[str, Any]]:
    """Draw reliability and risk against coverage on degraded pictures, two panels for each model."""
    groups = []
    drawn = figures.marks(methods_of(records))
    for (model,), cells in records.filter(pl.col("degradation") != CLEAN).group_by("model", maintain_order=True):
        answers = {
            methods_of(records)[0]: stats.untuned(cells).select(confidence="base_confidence", score="base_score")
        }
        for (method,), of_method in cells.filter(pl.col("method") != BASELINE).group_by("method", maintain_order=True):
            answers[str(method)] = of_method.select("confidence", "score")
        reliable = {name: reliability(part["confidence"], part["score"]) for name, part in answers.items()}
        risks = {name: risk_coverage(part["confidence"], part["score"]) for name, part in answers.items()}
        panels = {
            "Reliability": figures.reliability_panel(reliable, drawn),
            "Risk and coverage": figures.risk_panel(risks, drawn),
        }
        groups.append({"heading": model if records["model"].n_unique() > 1 else "", "panels": panels})
    return groups


def _accuracies(records: pl.DataFrame) -> pl.DataFrame:
    """Take the accuracy of every condition and method, with the untuned model's where the baseline was not run."""
    if BASELINE not in set(records["method"]):
        base = stats.untuned(records).with_columns(method=pl.lit(UNTUNED), score="base_score")
        records = pl.concat([base, records])
    keys = ["model", "task", "degradation", "severity", "method"]
    # With several seeds or restorers, means of accuracies and, wider than need be, of the ends of their intervals.
    return summarise(records).group_by(keys, maintain_order=True).agg(pl.col("^accuracy.*$").mean())


def _examples(details: Sequence[dict[str, Any]], most: int = 12) -> list[dict[str, Any]]:
    """Choose examples, as many corrective as destructive ones where there are, from as many tasks as possible."""
    turns = []
    details = _alternating(_alternating(details, "degradation"), "task")
    for flip in ("corrective", "destructive", "same"):
        of_cells = [[(cell, e) for e in cell.get("examples", ()) if e.get("flip") == flip] for cell in details]
        turns.append([pair for pair in chain(*zip_longest(*of_cells)) if pair])
    flipped = [pair for pair in chain(*zip_longest(*turns[:2])) if pair]
    chosen = [cell | e for cell, e in (flipped or turns[2])[:most]]
    for example, name in product(chosen, ("clean", "degraded", "filtered")):
        if not str(example.get(name)).startswith("data:image/webp;base64,"):
            example[name] = ""  # what is not a picture must not be loaded as one
    return chosen


def _alternating(cells: Sequence[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Reorder cells so that those alike in `key` do not stand together."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for cell in cells:
        groups.setdefault(cell.get(key), []).append(cell)
    return [cell for cell in chain(*zip_longest(*groups.values())) if cell]


def _kernels(details: Sequence[dict[str, Any]], most: int = 6) -> list[dict[str, Any]]:
    """Draw the kernels that have moved furthest from the identity."""
    cells = [(np.array(cell["kernel"], np.float64), cell) for cell in details if cell.get("kernel")]
    cells.sort(key=lambda pair: -figures.identity_distance(pair[0]))
    return [
        cell | {"src": figures.kernel_panel(kernel, "kernel")}
        for kernel, cell in cells[:most]
        if figures.identity_distance(kernel) > 1e-6
    ]


def _read_json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunFolderError(f"cannot read {file} ({error}); remove it and write the report again") from error
    return found if isinstance(found, dict) else {}


def _write(file: Path, text: str) -> Path:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunFolderError(f"cannot write {file}: {error.strerror}") from error
    return file
