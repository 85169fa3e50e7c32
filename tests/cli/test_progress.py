"""How far a study is, on a terminal and in a log."""

import re

import pytest

from vqttt.cli.progress import LogLines, study_progress


def test_a_log_gets_a_line_every_ten_seconds_and_the_time_that_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter(range(0, 4000, 4))
    lines = LogLines(lambda: next(clock))
    for done in range(100, 111):  # 100 are done when it starts, as in a study that is resumed; one every four seconds
        lines(done, 2110, f"fog {done % 2}")
    assert capsys.readouterr().err.splitlines() == [
        "fog 1: 103 of 2,110 answers, 2:13:48 left",
        "fog 0: 106 of 2,110 answers, 2:13:36 left",
        "fog 1: 109 of 2,110 answers, 2:13:24 left",
    ]


def test_a_log_bears_answers_that_are_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter((0, 20, 40))
    lines = LogLines(lambda: next(clock))
    for done in (20, 0, 40):
        lines(done, 60, "clean")
    assert capsys.readouterr().err.splitlines() == [
        "clean: 0 of 60 answers",
        "clean: 40 of 60 answers, 0:00:40 left",
    ]


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes Rich take any stream for a terminal
    monkeypatch.setenv("COLUMNS", "100")
    with study_progress("loading embedded") as advance:
        advance(30, 60, "embedded fog 3")
    bars = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    assert "loading embedded" in bars
    assert re.search(r"embedded fog 3 .*30/60 elapsed 0:00:0\d left", bars)
