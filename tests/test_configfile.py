"""A study as a file: what it says, and where it says what cannot be."""

from pathlib import Path

import pytest

from vqttt.configfile import read_config
from vqttt.errors import InputError
from vqttt.estimate import estimate
from vqttt.models import load_model
from vqttt.study import PRESETS, StudyConfig


def write(folder: Path, text: str) -> Path:
    file = folder / "study.toml"
    file.write_text(text)
    return file


def test_a_file_says_what_options_say(tmp_path: Path) -> None:
    file = write(tmp_path, 'preset = "paper"\nmodel = "fake"\ntasks = ["digits"]\nseverities = [1, 5]\nlimit = 30\n')
    config = read_config(file)
    assert config.model == "fake"
    assert config.tasks == ("digits",)
    assert config.severities == (1, 5)
    assert config.limit == 30
    assert config.degradations == PRESETS["paper"].degradations


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ('model = "fake"\nseverities = [1, 9]\n', "line 2", "severity 9 is out of range"),
        ('\n\nmethods = ["vq-tt"]', "line 3", "vq-ttt"),
        ('tasks = "digits"', "line 1", "tasks is a list"),
        ("limit = true", "line 1", "limit wants a number"),
        ("limit = 0", "line 1", "at least 1"),
        ("seeds = 3", "line 1", "a study has no 'seeds'"),
        ('preset = "slow"', "line 1", "quick, paper"),
        ("tasks = [1]", "line 1", "tasks wants text"),
        ("tasks = [\n", "study.toml", "not TOML"),
    ],
)
def test_an_error_says_where_it_is(tmp_path: Path, text: str, place: str, reason: str) -> None:
    with pytest.raises(InputError) as raised:
        read_config(write(tmp_path, text))
    assert place in str(raised.value)
    assert reason in str(raised.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "none.toml")


def test_an_estimate_counts_and_times() -> None:
    config = StudyConfig(
        model="fake", tasks=("digits",), degradations=("clean", "fog"), severities=(1, 3), methods=("none", "vq-ttt"),
        limit=50,
    )  # fmt: skip
    counted = estimate(config)
    assert (counted.questions, counted.conditions, counted.methods) == ({"digits": 50}, 3, 2)
    assert (counted.cells, counted.answers, counted.seconds) == (6, 300, None)
    timed = estimate(config, lambda: load_model("fake"))
    assert timed.seconds is not None and 0 < timed.seconds < 600
