"""`python -m experiments.method.page` makes the tables and the figure of docs/method.md from the committed rows."""

import argparse
from collections.abc import Callable, Container
from functools import partial
from pathlib import Path

from experiments.markers import put
from experiments.method import drawings, tables
from experiments.method.plan import PHASES, SELECT, TTT, TUNED, select_changes, ttt_changes
from experiments.method.rows import ORACLE, RESULTS, Row, degraded, read, select
from experiments.method.targets import Rows, reached
from experiments.paradox.frames import NotMeasuredError

PAGE = Path("docs/method.md")
MISSING = "Not measured yet."

FIRST = (SELECT, TUNED, TTT, tables.AUTO, tables.MATCHED)
"""The methods of the first table."""


def first_table(rows: Rows) -> str:
    """Compare the two methods and restoring over all degradations."""
    return tables.comparison(_of(rows, "main", FIRST), "main")


def other_models(rows: Rows) -> str:
    """Compare methods and restoring on the models whose training images were not clean."""
    return tables.comparison(rows["models"], "models", split="model")


def _changes(rows: Rows, names: Container[str]) -> str:
    return tables.comparison(_of(rows, "ablations", names), "ablations")


def _of(rows: Rows, phase: str, methods: Container[str]) -> list[Row]:
    return select(rows[phase], lambda row: row["method"] in methods)


def _figure(rows: Rows, page: Path) -> str:
    """Draw the gains, and return what shows them on the page."""
    file = page.with_suffix("") / "gains.png"
    drawings.heatmap(select(rows["main"], degraded), file)
    return f"![Gain by degradation and severity]({file.parent.name}/{file.name})"


Part = Callable[[Rows], str]


def parts(page: Path) -> dict[str, Part]:
    """Return the parts of a page by the names of their markers; one raises NotMeasuredError if its rows are missing."""
    return {
        "headline": lambda rows: tables.headline(rows["main"]),
        "main": first_table,
        "again": lambda rows: tables.comparison(rows["again"], "again"),
        "targets": reached,
        "kinds": lambda rows: tables.by_kind(rows["main"], "main"),
        "spread": lambda rows: tables.spread(_of(rows, "main", FIRST), "main"),
        "gains": partial(_figure, page=page),
        "single": lambda rows: tables.by_degradation(rows["main"], "main"),
        "models": other_models,
        "baselines": lambda rows: tables.comparison(
            select(rows["baselines"], lambda row: row["method"] != ORACLE), "baselines"
        ),
        "oracle": lambda rows: tables.oracle(rows["baselines"], "baselines"),
        "streams": lambda rows: tables.comparison(rows["streams"], "streams", split="task"),
        "halves": lambda rows: tables.halves(rows["main"], "main"),
        "ablations-select": partial(_changes, names=select_changes(Path())),
        "ablations-ttt": partial(_changes, names=ttt_changes()),
        "tasks": lambda rows: tables.comparison(rows["tasks"], "tasks", split="task"),
    }


def write(rows: Rows, page: Path = PAGE) -> list[str]:
    """Write all parts of a page; return the names of those whose rows are missing, which say so."""
    missing = []
    for name, part in parts(page).items():
        try:
            text = part(rows)
        except NotMeasuredError:
            missing.append(name)
            text = MISSING
        put(page, name, text)
    return missing


def main(given: list[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m experiments.method.page", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="rows [experiments/method/results]")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page, which must exist [docs/method.md]")
    asked = parser.parse_args(given)
    rows = {phase: read(asked.results / f"{phase}.jsonl") for phase in PHASES}
    for name in write(rows, asked.out):
        print(f"not measured yet: {name}")


if __name__ == "__main__":
    main()
