"""`vqttt report` and `vqttt compare` of a run that was killed in the middle, or whose cells are not as planned."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.test_cli import vqttt
from tests.support.engines import STUDY
from tests.support.figures import without_drawing
from vqttt.models.fake import FakeTunableModel
from vqttt.results import report
from vqttt.results.report import Contents
from vqttt.runs.loading import load_records
from vqttt.study.runner import run

SHORT = replace(STUDY, tasks=("digits",), severities=(5,), degradations=("clean", "fog"), methods=("none", "tta"))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed when one of its two conditions was finished."""

    def stop(done: int, total: int, what: str) -> None:
        if done >= 30:
            raise KeyboardInterrupt

    folder = tmp_path_factory.mktemp("killed") / "run"
    with pytest.raises(KeyboardInterrupt):
        run(SHORT, folder, FakeTunableModel, stop)
    return folder


@pytest.fixture
def unfinished(killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    without_drawing(monkeypatch)
    return Path(shutil.copytree(killed, tmp_path / "run"))


def line(folder: Path) -> str:
    return f"The run is unfinished: 24 of 48 answers are recorded; `vqttt study --resume {folder}` goes on."


def test_a_report_says_that_its_run_is_unfinished(
    unfinished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for form in ("html", "markdown", "csv"):
        assert vqttt(monkeypatch, "report", unfinished, "--format", form) == 0
        said = capsys.readouterr()
        assert said.err.strip() == line(unfinished)
        assert all(Path(path).is_file() for path in said.out.splitlines()), "the output has paths only"
    page = (unfinished / "report.html").read_text()
    opening = page.partition('id="top"')[2].partition("<h1>")[0]
    assert f"24 of 48 answers are recorded; <code>vqttt study --resume {unfinished}</code> goes on." in opening
    assert ".doubt {" in page
    assert (unfinished / "report.md").read_text().startswith(f"{line(unfinished)}\n\n")
    assert str(report.for_terminal(Contents.of_run(unfinished))[0]).splitlines()[0] == line(unfinished)


def test_a_comparison_says_which_run_is_unfinished(
    unfinished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Path(shutil.copytree(unfinished, tmp_path / "whole"))
    run(SHORT, whole, FakeTunableModel)
    assert vqttt(monkeypatch, "compare", whole, unfinished) == 0
    shown = [row for row in capsys.readouterr().out.splitlines() if "unfinished" in row and row.startswith("/")]
    said = line(unfinished).removesuffix(".")
    assert shown[-1] == f"{unfinished}: {said[0].lower()}{said[1:]}"
    assert not any(row.startswith(f"{whole}:") for row in shown)


def test_a_study_says_at_its_end_that_a_cell_is_not_of_it(
    unfinished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = next(unfinished.glob("cells/*.parquet"))
    shutil.copy(cell, cell.with_name("again.parquet"))
    assert vqttt(monkeypatch, "study", "--resume", unfinished) == 0
    assert "1 cell has more records than planned" in capsys.readouterr().out


def test_the_report_of_a_finished_run_has_no_trace_of_doubts(unfinished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(SHORT, unfinished, FakeTunableModel)
    contents = Contents.of_run(unfinished)
    assert contents.doubts == ()
    page = report.write_html(unfinished).read_bytes()
    assert b"doubt" not in page
    assert page == report.write_html(unfinished, Contents(load_records(unfinished))).read_bytes()
