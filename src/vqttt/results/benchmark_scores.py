"""What benchmarks report besides means, of every cell of a run, as a table (see `vqttt.scoring.aggregates`)."""

import polars as pl

from vqttt.results.tables import Table, label
from vqttt.runs.records import CELL
from vqttt.scoring.aggregates import AGGREGATES, aggregate

_ALWAYS = ("task", "degradation", "severity", "method")


def benchmark_table(records: pl.DataFrame) -> Table:
    """Tabulate the figures of each cell, of the untuned answers and of the method's; by strict scores."""
    asked = records.filter(pl.col("task").str.split(":").list.first().is_in(list(AGGREGATES)))
    keys = [name for name in CELL if name in _ALWAYS or asked[name].n_unique() > 1]
    rows = list[tuple[str, ...]]()
    for cell in asked.partition_by(CELL, maintain_order=True):
        fields = cell.select("sample_id", "category", "question_type", "reference", "answer", "score")
        untuned = fields.with_columns(cell["base_answer"].alias("answer"), cell["base_score"].alias("score"))
        before, after = (aggregate(cell["task"][0], part.to_dicts()) for part in (untuned, fields))
        named = cell.select(keys).row(0, named=True) | {"degradation": label(cell["degradation"][0])}
        rows += [(*map(str, named.values()), name, f"{before[name]:.1f}", f"{after[name]:.1f}") for name in after]
    return Table(
        title="Reported by the benchmarks",
        header=(*keys, "figure", "untuned", "with method"),
        rows=rows,
        keys=len(keys) + 1,
        note="As each benchmark defines them: percent, but for MME's and OCRBench's sums and for counts.",
    )
