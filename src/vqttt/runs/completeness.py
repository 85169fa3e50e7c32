"""Compare the records of a run with what its `run.json` plans, so that a part of a run is not read as the whole."""

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl

from vqttt.runs.loading import load_description, reading
from vqttt.runs.records import CELL, CLEAN, schema

_Cell = tuple[Any, ...]
"""The values of the columns `CELL` that identify a cell."""


@dataclass(frozen=True)
class _Found:
    """A cell that has records: how many there are, how many are planned, and the files that hold them."""

    cell: _Cell
    records: int
    planned: int
    files: Sequence[str]


def doubts(run: Path, name: str = "") -> list[str]:
    """Say in a sentence each in what a run departs from its plan; nothing if it does not, or if the plan is not known.

    Records of failed samples count, because a study does not make them again.

    Args:
        run: the run folder.
        name: what the reader calls the run; by default its path.

    Raises:
        RunFolderError: if a file of the run cannot be read.
    """
    description = load_description(run)
    if not _is_planned(description):
        return []
    counts, files = _recorded(run)
    planned = _planned(description, counts)
    if planned is None:
        return []
    found = [_Found(cell, counts[cell], planned.get(cell, 0), files[cell]) for cell in counts]
    return list(_sentences(found, planned, f"`vqttt study --resume {shlex.quote(name or str(run))}`"))


def _sentences(found: Sequence[_Found], planned: Mapping[_Cell, int], resume: str) -> Iterator[str]:
    """Say what is missing, and what of the cells is not as planned."""
    recorded = {one.cell: min(one.records, one.planned) for one in found}
    if any(count and cell not in recorded for cell, count in planned.items()):
        known = f"{sum(recorded.values()):,} of {sum(planned.values()):,}"
        yield f"The run is unfinished: {known} answers are recorded; {resume} goes on."
    again = f"delete {{them}} and {resume} answers anew"
    if few := [one for one in found if one.records < one.planned]:
        yield _on_cells(few, "has fewer records than planned", "have fewer records than planned", again)
    if many := [one for one in found if one.planned and one.records > one.planned]:
        yield _on_cells(many, "has more records than planned", "have more records than planned", again)
    if foreign := [one for one in found if one.cell not in planned]:
        yield _on_cells(foreign, "is not in the run's plan", "are not in the run's plan", "move {them} out of the run")


def _on_cells(cells: Sequence[_Found], one_is: str, many_are: str, advice: str) -> str:
    """Say what is wrong with some cells; the first is named by its files."""
    first, several = cells[0], len(cells) > 1
    files = " and ".join(f"`cells/{file}`" for file in first.files)
    number = f" ({first.records:,}, not {first.planned:,})" if first.planned else ""
    them = "such files" if several else "these files" if len(first.files) > 1 else "this file"
    which = f"{len(cells):,} cells {many_are}, the first in" if several else f"1 cell {one_is}:"
    return f"{which} {files}{number}; {advice.format(them=them)}."


def _recorded(run: Path) -> tuple[Counter[_Cell], dict[_Cell, list[str]]]:
    """Count the records of each cell, and name the files that hold them, in the order of the files."""
    counts, files = Counter[_Cell](), defaultdict[_Cell, list[str]](list)
    for file in sorted(run.glob("cells/*.parquet")):
        for *cell, count in _cells_of(file).iter_rows():
            counts[tuple(cell)] += count
            files[tuple(cell)].append(file.name)
    return counts, files


def _cells_of(file: Path) -> pl.DataFrame:
    """Return the cells that a file has records of, each with their number; a file of the study has one cell."""
    types = schema()
    with reading(file):
        frame = pl.read_parquet(file, columns=list(CELL)).select(pl.col(name).cast(types[name]) for name in CELL)
    return frame.group_by(CELL, maintain_order=True).len()


_LISTS = {"tasks": str, "degradations": str, "severities": int, "restorers": str, "methods": str, "seeds": int}
"""The lists of a study's configuration that span its grid, each with the type of its values."""


def _is_planned(description: Mapping[str, Any]) -> bool:
    """Tell whether `run.json` has all that its plan is made of; a run of an older version may lack some."""
    config, questions = description.get("config"), description.get("questions")
    if not isinstance(config, dict) or not isinstance(questions, dict) or not isinstance(config.get("scale"), str):
        return False
    if not all(_is_list(config.get(name), kind) for name, kind in _LISTS.items()):
        return False
    used = [of_task.get("used") for task in config["tasks"] if isinstance(of_task := questions.get(task), dict)]
    return len(used) == len(config["tasks"]) and all(isinstance(count, int) for count in used)


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(one, kind) for one in value)


def _planned(description: Mapping[str, Any], counts: Counter[_Cell]) -> dict[_Cell, int] | None:
    """Return how many records each cell is to have; None if the names of the models in records are not known."""
    models, config = _models(description, counts), description["config"]
    if models is None:
        return None
    conditions = [
        (degradation, severity)
        for degradation in config["degradations"]
        for severity in ([0] if degradation == CLEAN else config["severities"])
    ]
    grid = product(models, config["tasks"], conditions, config["restorers"], config["methods"], config["seeds"])
    return {
        (model, task, *condition, config["scale"], restorer, method, seed): description["questions"][task]["used"]
        for model, task, condition, restorer, method, seed in grid
    }


def _models(description: Mapping[str, Any], counts: Counter[_Cell]) -> list[str] | None:
    """Return the names that the models of a run have in records; None if they are not known.

    `run.json` has them if the run has several models. The name of an only one may differ from that in the
    configuration: then it is the one that most cells have.
    """
    config, weights = description["config"], description.get("weights")
    if _is_list(config.get("models"), str):
        known = isinstance(weights, dict) and len(weights) == len(config["models"])
        return list(weights) if known and isinstance(weights, dict) else None
    if not isinstance(config.get("model"), str):
        return None
    cells = Counter(cell[CELL.index("model")] for cell in counts)
    return [cells.most_common(1)[0][0] if cells and config["model"] not in cells else config["model"]]
