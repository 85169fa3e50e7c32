"""Figures: numbers fit their cells, colours and axes fit the data, and nothing that does not change takes room."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.figures import with_quick_fonts, without_drawing
from tests.support.fuzzing import examples
from tests.support.runs import CONDITIONS, METHODS, TASKS, write_cell
from vqttt.results import figures
from vqttt.results.report import Contents, write_figures, write_html
from vqttt.results.report.groups import without_flat
from vqttt.runs.loading import load_records

SEVERITIES = (1, 2, 3, 4, 5)


def changes(deltas: list[float]) -> pl.DataFrame:
    rows = [
        {"degradation": "fog", "severity": s, "delta": d, "beyond": True}
        for s, d in zip(SEVERITIES, deltas, strict=False)
    ]
    return pl.DataFrame(rows, schema_overrides={"delta": pl.Float64})


def heat(deltas: list[float]) -> figures.HeatMap:
    return figures.heat_map(changes(deltas), ["fog"], SEVERITIES, figures.reach_of(deltas), "digits")


def drawn(panel: figures.Panel) -> Any:
    """Draw a panel as `Panel` does, and return matplotlib's figure."""
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style.context(["default", figures.STYLE]):
        figure = Figure(figsize=(panel.width, panel.height))
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, panel.columns, squeeze=False)[0]
        edges = {"left": panel.left / panel.width, "right": 1 - 0.14 / panel.width}
        figure.subplots_adjust(**edges, bottom=(panel.foot + 0.46) / panel.height, top=1 - 0.3 / panel.height)
        panel.paint(*axes)
        figure.canvas.draw()
    return figure


def test_every_number_fits_into_its_cell_of_a_heat_map() -> None:
    figure = drawn(heat([-1.0, 1.0, -0.885, 0.0, 0.5]).panel())
    for axes in figure.axes:
        wide = axes.get_window_extent().width / (axes.get_xlim()[1] - axes.get_xlim()[0])
        texts = [text for text in axes.texts if text.get_text() != "points"]
        assert len(texts) == 5
        assert all(text.get_window_extent().width < 0.96 * wide for text in texts), [t.get_text() for t in texts]
    assert "−100.0*" in [text.get_text() for text in figure.axes[0].texts]


@examples(100)
@given(st.lists(st.floats(-1, 1), min_size=5, max_size=5))
def test_colours_are_in_proportion_and_the_legend_has_their_numbers(deltas: list[float]) -> None:
    found = heat(deltas)
    shades = [spot.shade for spot in found.spots[0] if spot]
    assert np.allclose(np.array(shades) * found.reach, deltas) and max(map(abs, shades)) <= 1 + 1e-9
    texts = [spot.text.replace("−", "-") for spot in found.legend]
    assert np.allclose([float(text) for text in texts], [100 * found.reach * share for share in (-1, -0.5, 0, 0.5, 1)])
    assert all(text.lstrip("+-").isdigit() for text in texts), texts


def test_a_change_beyond_the_strongest_shade_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the strongest shade stands for 0\.2"):
        figures.heat_map(changes([0.1, -0.3]), ["fog"], SEVERITIES, 0.2, "digits")


@examples(100)
@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 20))
@example(4.0, 4.000000000000005, 0.0)
def test_axes_fit_their_data(one: float, other: float, least: float) -> None:
    low, high = sorted((one, other))
    start, end = figures.around(low, high, least)
    assert start < low and end > high and end - start >= least
    assert end - start <= max(1.11 * max(high - low, least), 2.1)


def test_percentages_have_no_ticks_outside_0_to_100(run: Contents) -> None:
    for section in ("accuracy", "headroom", "calibration", "quality_correlation"):
        for panel in (one for group in run.charts[section] for one in (*group.panels, *group.calm)):
            for axes in drawn(panel).axes:
                for label, ticks in ((axes.get_xlabel(), axes.get_xticks()), (axes.get_ylabel(), axes.get_yticks())):
                    if label in ("accuracy (%)", "confidence (%)"):
                        assert len(ticks) > 1 and min(ticks) >= 0 and max(ticks) <= 100, (section, label, ticks)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    return Contents(load_records(idle_run(tmp_path_factory.mktemp("run"))))


def idle_run(run: Path) -> Path:
    """Write a run of two models in which one method changes nothing on digits and another nothing anywhere."""
    for model in ("one", "two"):
        for task in TASKS:
            for degradation, severity in CONDITIONS:
                for method in (*METHODS[:2], "idle", "lazy"):
                    write_cell(run, task, degradation, severity, method, model=model)
                    if method == "idle" or (method == "lazy" and task == "digits"):
                        _undo(run / "cells" / f"{task}-{degradation}-{severity}-{method}-{model}.parquet")
    return run


def _undo(file: Path) -> None:
    pl.read_parquet(file).with_columns(score="base_score", answer="base_answer").write_parquet(file)


def test_what_changes_nothing_is_a_sentence_and_no_panel(run: Contents) -> None:
    for section in ("gains", "flips"):
        first, *groups = run.charts[section]
        assert not first.panels
        assert set(first.flat) == {
            f"{text} ({model})."
            for model in ("one", "two")
            for text in ("idle changed nothing", "lazy changed nothing on digits")
        }
        legends = {panel.title: set(panel.legend) for group in groups for panel in group.panels}
        assert legends == {"all tasks": {"vq-ttt", "lazy"}, "digits": {"vq-ttt"}, "shapes": {"vq-ttt", "lazy"}}
    maps = {method: [one for group in groups for one in group.maps] for method, groups in run.gain_heat_maps.items()}
    assert maps["idle"] == [] and len(maps["vq-ttt"]) == 6 and len(maps["lazy"]) == 4


def test_the_page_folds_what_changes_nothing(run: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_drawing(monkeypatch)
    page = write_html(tmp_path, run).read_text()
    gains = page.partition('id="gains"')[2].partition('id="flips"')[0]
    assert "<summary>vq-ttt</summary>" in gains and "<summary>idle</summary>" not in gains
    assert "idle changed nothing (one). idle changed nothing (two)." in gains


def test_a_method_with_the_baseline_s_accuracy_is_not_drawn_again(run: Contents) -> None:
    group = next(group for group in run.charts["accuracy"] if group.heading == "one · digits")
    assert group.flat == [f"{name} has the accuracy of none everywhere, and is not drawn." for name in ("idle", "lazy")]
    assert set(group.panels[0].legend) == {"none", "vq-ttt"}


def test_nothing_is_flat_where_anything_changes() -> None:
    rows = [("m", "t", "a", 0), ("m", "t", "a", 1), ("m", "t", "b", 0), ("m", "t", "b", 0)]
    frame = pl.DataFrame(rows, ("model", "task", "method", "flips"), orient="row")
    left, flat = without_flat(frame, "method", pl.col("flips") == 0)
    assert left["method"].to_list() == ["a", "a"] and flat == ["b changed nothing."]


def test_panels_within_the_margin_are_folded_but_written_to_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_drawing(monkeypatch)
    with_quick_fonts(monkeypatch)
    for degradation, severity in CONDITIONS[:3]:
        write_cell(tmp_path, "digits", degradation, severity, "none")
        if degradation != "clean":
            file = tmp_path / "cells" / f"digits-{degradation}-{severity}-none.parquet"
            pl.read_parquet(tmp_path / "cells" / "digits-clean-0-none.parquet").with_columns(
                degradation=pl.lit(degradation), severity=pl.lit(severity).cast(pl.Int64)
            ).write_parquet(file)
    contents = Contents(load_records(tmp_path))
    ((_, panels, _, calm),) = contents.charts["accuracy"]
    assert not panels and [panel.title for panel in calm] == ["gaussian noise"]
    assert "<summary>Within 2 points throughout: gaussian noise</summary>" in write_html(tmp_path).read_text()
    assert (write_figures(tmp_path) / "accuracy-digits-gaussian-noise.svg").exists()


def test_quality_measures_are_small_multiples_with_one_axis(run: Contents) -> None:
    groups = run.charts["quality_correlation"]
    assert [group.heading for group in groups] == sorted(TASKS)
    for group in groups:
        assert [panel.title for panel in group.panels[:3]] == ["PSNR", "SSIM", "MS-SSIM"] and len(group.panels) == 6
        assert all(set(panel.legend) == {"one", "two"} for panel in group.panels)
        assert len({drawn(panel).axes[0].get_ylim() for panel in group.panels}) == 1


def test_marks_are_stable_and_differ() -> None:
    few, many = figures.line_marks(["b", "a"]), figures.line_marks(["a", "b", "c"])
    assert few.items() <= many.items() and len(set(many.values())) == 3


def test_costs_that_differ_much_have_a_logarithmic_axis() -> None:
    marks = figures.marks(["none", "fast", "slow"])
    rows = [("none", 1.0), ("fast", 2.0), ("slow", 22.0)]
    frame = pl.DataFrame(rows, ("method", "cost"), orient="row").with_columns(delta=0.1, ci_low=0.05, ci_high=0.15)
    far = drawn(figures.cost_panel(frame, marks, (0, 20), 22.0, "")).axes[0]
    near = drawn(figures.cost_panel(frame[:2], marks, (0, 20), 2.0, "")).axes[0]
    assert (far.get_xscale(), near.get_xscale()) == ("log", "linear")
    assert all(axes.get_xlim()[0] < cost < axes.get_xlim()[1] for axes, cost in ((far, 1), (far, 22), (near, 2)))
