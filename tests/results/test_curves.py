"""The curves of accuracy against quality: what they cover, and how they are drawn."""

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.figures import with_quick_fonts
from tests.support.fuzzing import examples
from tests.support.runs import write_cell
from tests.support.several_models import MODELS, SEVERITIES, write_models
from vqttt.results import report
from vqttt.results.figures.curves import apart
from vqttt.results.report.contents import Contents
from vqttt.results.report.curves import _curve
from vqttt.runs.loading import load_records


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    return Contents(load_records(write_models(tmp_path_factory.mktemp("run"), examples=False)))


def test_every_model_has_a_curve_from_clean_to_the_worst(contents: Contents) -> None:
    for facts in contents.findings:
        curve = _curve(contents.frames, facts)
        assert curve is not None
        assert curve.mean["severity"].to_list() == [0, *SEVERITIES]
        assert (curve.mean["accuracy_low"] < curve.mean["accuracy"]).all()
        assert (curve.mean["accuracy"] < curve.mean["accuracy_high"]).all()
        assert curve.mean["accuracy"][0] == pytest.approx(facts["clean"])
        assert curve.mean["accuracy"][1:].mean() == pytest.approx(facts["degraded"])
        assert set(curve.each["degradation"]) == set(MODELS["embedded"])
    assert list(contents.curves) == list(MODELS)


def test_lines_are_named_for_what_helps_and_what_was_tried(contents: Contents) -> None:
    clean, soft = (_curve(contents.frames, facts) for facts in contents.findings)
    assert clean is not None and [line.name for line in clean.lines] == ["vq-ttt", "auto"]  # nothing helps it
    assert soft is not None and [line.name for line in soft.lines] == ["gaussian blur", "vq-ttt", "auto"]
    blur = soft.each.filter(degradation="gaussian_blur")["accuracy"].to_list()
    assert soft.lines[0].points["accuracy"].to_list() == blur
    records = contents.records.filter(model="embedded-soft", method="vq-ttt", severity=5)
    assert soft.lines[1].points["accuracy"][-1] == pytest.approx(records["score"].mean())


def test_axes_are_the_same_and_fit_the_data(contents: Contents) -> None:
    shown = [panel.inline() for panel in contents.curves.values()]
    ticks = [[line for line in svg.splitlines() if "text-anchor: end" in line] for svg in shown]
    assert ticks[0] and [line.partition(">")[2] for line in ticks[0]] == [line.partition(">")[2] for line in ticks[1]]
    lowest = contents.frames.cells["accuracy"].min()
    assert 0 < 100 * lowest - min(int(line.partition(">")[2].partition("<")[0]) for line in ticks[0]) + 10 < 30


def test_a_degradation_that_lacks_a_severity_is_left_out(tmp_path: Path) -> None:
    for degradation, severity in (("clean", 0), ("fog", 1), ("fog", 3), ("snow", 3)):
        write_cell(tmp_path, "digits", degradation, severity, "none")
    contents = Contents(load_records(tmp_path))
    curve = _curve(contents.frames, contents.findings[0])
    assert curve is not None and set(curve.each["degradation"]) == {"fog"}
    fog = contents.records.filter(degradation="fog", severity=3)["base_score"].mean()
    assert curve.mean["accuracy"].to_list()[-1] == pytest.approx(fog)


def test_a_remedy_that_was_run_in_part_is_not_drawn(contents: Contents) -> None:
    part = contents.records.filter(
        (pl.col("method") == "none") | (pl.col("severity") != 5) | (pl.col("degradation") != "gaussian_noise")
    )
    fewer = Contents(part)
    curve = _curve(fewer.frames, fewer.findings[0])
    assert curve is not None and [line.name for line in curve.lines] == ["auto"]


@pytest.mark.parametrize("conditions", [[("clean", 0)], [("fog", 3)], [("clean", 0), ("fog", 3)]])
def test_a_curve_takes_two_points(tmp_path: Path, conditions: list[tuple[str, int]]) -> None:
    for degradation, severity in conditions:
        write_cell(tmp_path, "digits", degradation, severity, "none")
    assert len(Contents(load_records(tmp_path)).curves) == (len(conditions) == 2)


def test_curves_are_written_as_files(contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_quick_fonts(monkeypatch)
    untuned = contents.records.filter((pl.col("method") == "none") & (pl.col("restorer") == "none"))
    # One degradation at one severity: the other figures of a larger run would take most of the time.
    few = (pl.col("degradation") == "clean") | (pl.col("degradation") == "gaussian_blur") & (pl.col("severity") == 5)
    one = Contents(untuned.filter(few))
    names = {file.name for file in report.write_figures(tmp_path, one).iterdir()}
    assert {"curve-embedded.svg", "curve-embedded-soft.pdf"} <= names


@examples(100)
@given(st.lists(st.floats(0, 100), max_size=8), st.floats(0.1, 20))
def test_names_stand_apart_in_their_order(places: list[float], gap: float) -> None:
    moved = apart(places, gap, (0.0, 100.0))
    order = sorted(range(len(places)), key=lambda i: places[i])
    for lower, upper in pairwise(order):
        assert moved[upper] - moved[lower] >= gap - 1e-6
    room = gap * (len(places) - 1) <= 100
    assert not room or all(-1e-6 <= place <= 100 + 1e-6 for place in moved)
    far = all(abs(places[b] - places[a]) >= gap for a, b in pairwise(order))
    assert not far or moved == pytest.approx(places)
