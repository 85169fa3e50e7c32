"""The one order of degradations, in every table and figure."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.runs import METHODS, TASKS, scored_records, write_cell
from vqttt.results.order import by_harm, ordered
from vqttt.results.report import Contents
from vqttt.results.tables import label
from vqttt.runs.loading import load_records

HARM = {"fog": 0.5, "snow": 1.0, "blur": 0.5, "frost": -0.25}
"""The share of answers that each degradation breaks."""


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    run = tmp_path_factory.mktemp("run")
    conditions = (("clean", 0), ("snow", 3), ("snow", 5), ("gaussian_noise", 1), ("gaussian_noise", 3), ("fog", 3))
    for task in TASKS:
        for degradation, severity in conditions:
            for method in METHODS[:2]:
                write_cell(run, task, degradation, severity, method)
    return Contents(load_records(run))


def test_the_most_harmful_comes_first_and_names_decide_between_equals() -> None:
    clean = [1.0] * 6 + [0.0] * 2
    base = {("clean", 0): clean}
    for name, share in HARM.items():
        right = round(6 - 8 * share)
        base[name, 3] = [1.0] * max(0, right) + [0.0] * (8 - max(0, right))
    records = scored_records({(*condition, "none"): scores for condition, scores in base.items()}, base)
    assert by_harm(records) == ["clean", "snow", "blur", "fog", "frost"]
    assert by_harm(records.filter(pl.col("degradation") != "clean")) == ["blur", "fog", "frost", "snow"]


@given(st.lists(st.tuples(st.sampled_from("mn"), st.sampled_from("abcd"), st.integers(1, 5)), min_size=1))
def test_sorting_keeps_all_rows_blocks_and_the_order_within(rows: list[tuple[str, str, int]]) -> None:
    frame = pl.DataFrame(rows, ("model", "degradation", "severity"), orient="row").with_row_index("at")
    frame = frame.select("model", "degradation", "severity", "at")
    result = ordered(frame, ["c", "a"])
    assert sorted(result["at"]) == list(range(len(rows)))
    models = frame["model"].unique(maintain_order=True).to_list()
    place = {"c": 0, "a": 1}
    keys = [(models.index(model), place.get(name, 2), at) for model, name, _, at in result.rows()]
    assert keys == sorted(keys)


def orders(contents: Contents) -> Iterator[tuple[str, list[str]]]:
    """Yield each place that lists degradations, with the degradations in its order."""
    for name in ("quality", "accuracy", "cells", "benchmarks"):
        table = contents.tables[name]
        column = table.header.index("degradation") if table.rows else 0
        for task in TASKS:
            yield name, [row[column] for row in table.rows if task in row]
    for groups in (contents.quality_heat_maps, *contents.gain_heat_maps.values()):
        for heat in (one for group in groups for one in group.maps):
            yield "heat map", list(map(label, heat.rows))
    for group in contents.charts["accuracy"]:
        yield "accuracy", [panel.title for panel in group.panels]
    for section in ("forest", "quality_flips", "gains", "flips"):
        for panel in (one for group in contents.charts[section] for one in group.panels):
            yield section, [text.rstrip("0123456789 ") for text in row_labels(panel)]


def row_labels(panel) -> list[str]:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    panel.paint(axes)
    return [text.get_text() for text in axes.get_yticklabels()]


def test_every_table_and_figure_has_the_same_order(contents: Contents) -> None:
    order = list(map(label, contents.frames.order))
    by_name = sorted(order, key=lambda name: (name != "clean", name))
    assert order != by_name, "these records must tell the order from that of names"
    seen = set()
    for where, names in orders(contents):
        places = [order.index(name) for name in names]
        assert places == sorted(places), where
        seen.add(where)
    assert {"quality", "accuracy", "cells", "heat map", "forest", "quality_flips", "gains", "flips"} <= seen


def test_csv_has_the_same_order(contents: Contents, tmp_path: Path) -> None:
    from vqttt.results import report

    cells = pl.read_csv(report.write_csv(tmp_path, contents))
    names = cells.filter(pl.col("task") == TASKS[0])["degradation"].unique(maintain_order=True).to_list()
    assert names == contents.frames.order
