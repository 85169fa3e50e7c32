"""Write docs/columns.md, which says what each column of a run's tables means: `python -m experiments.columns`."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from vqttt.results.meanings import MODELS, QUALITY, SUMMARY
from vqttt.runs.records import meanings, schema

PAGE = Path(__file__).resolve().parent.parent / "docs" / "columns.md"

START = """# The columns of a run's tables

Made by `python -m experiments.columns`. A run folder holds one parquet file of records for each cell (one model, task,
condition, method and seed) and two tables made from them, or three if it has several models.
[statistics.md](statistics.md) explains the intervals and tests.
"""

KINDS = {pl.String: "text", pl.Float64: "number", pl.Int64: "whole number", pl.Boolean: "true or false"}


def page() -> str:
    """Return the page."""
    kinds = [KINDS[kind] for kind in schema().values()]
    records = [f"| `{name}` | {kind} | {text} |" for (name, text), kind in zip(meanings().items(), kinds, strict=True)]
    parts = [
        START,
        "## Records: `cells/*.parquet`\n\nOne row per answer.\n",
        "\n".join(["| column | type | meaning |", "|---|---|---|", *records]),
        "\n## Cells: `summary.csv`\n\nOne row per cell.\n",
        _table(SUMMARY),
        "\n## Conditions: `quality.csv`\n\nOne row for each task and degraded condition: the untuned model on degraded "
        "images against the\nsame images clean.\n",
        _table(QUALITY),
        "\n## Models: `models.csv`\n\nOnly if several models answered the same questions. One row for each pair of "
        "models (the first and each other\none), task, restorer, method and condition.\n",
        _table(MODELS),
    ]
    return "\n".join(parts) + "\n"


def _table(columns: Mapping[str, str]) -> str:
    rows = [f"| `{name}` | {text} |" for name, text in columns.items()]
    return "\n".join(["| column | meaning |", "|---|---|", *rows])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
