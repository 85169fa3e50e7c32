"""A study as a file: what it says, and where it says what cannot be."""

from dataclasses import replace
from pathlib import Path

import pytest

from vqttt.errors import InputError, RunFolderError, VQTTTError
from vqttt.models import LoadOptions, load_model
from vqttt.runs.folder import RunFolder
from vqttt.study.config import PRESETS, StudyConfig
from vqttt.study.config_file import read_config
from vqttt.study.estimate import estimate
from vqttt.study.runner import resumed


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
        ("seed = 3", "line 1", "a study has no 'seed'"),
        ("seeds = 3", "line 1", "seeds is a list"),
        ('preset = "slow"', "line 1", "quick, paper"),
        ("tasks = [1]", "line 1", "tasks wants text"),
        ("tasks = [\n", "study.toml", "not TOML"),
        ('[load]\ndtype = "float8"', "line 2", "dtype 'float8' is not known"),
        ('[load]\nbits = "4"', "line 2", "bits wants a number"),
        ('limit = 3\nload.precision = "high"', "line 2", "load has no 'precision'; it has dtype"),
        ("limit = 3\nload = { bits = 5 }", "line 2", "bits 5 is not known; known: 0, 4, 8"),
        ('limit = 3\nload = "bfloat16"', "line 2", "load is a table"),
        ("limit = 3\n\n[loads]\nbits = 4", "line 3", "a study has no 'loads'"),
    ],
)
def test_an_error_says_where_it_is(tmp_path: Path, text: str, place: str, reason: str) -> None:
    with pytest.raises(InputError) as raised:
        read_config(write(tmp_path, text))
    assert place in str(raised.value)
    assert reason in str(raised.value)


def test_how_a_checkpoint_is_loaded_is_part_of_a_study(tmp_path: Path) -> None:
    plain = read_config(write(tmp_path, "limit = 9"))
    halved = read_config(write(tmp_path, 'limit = 9\n[load]\ndtype = "bfloat16"\nrevision = "main"'))
    assert halved.load == LoadOptions(dtype="bfloat16", revision="main")
    assert halved.digest != plain.digest
    assert "load" not in plain.described(), "a run from before there were such options must go on"


@pytest.mark.parametrize("limit", [None, 3])
def test_a_run_tells_what_it_is_a_run_of(tmp_path: Path, limit: int | None) -> None:
    config = replace(
        PRESETS["paper"], model="a/b", tasks=("digits",), limit=limit, load=LoadOptions(bits=4), scale="absolute"
    )
    RunFolder(tmp_path).open({"config": config.described()}, ("config",))
    assert resumed(tmp_path) == config


def test_what_cannot_be_resumed_says_why(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="holds no run to resume: nothing is there"):
        resumed(tmp_path / "none")
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(RunFolderError, match=r"it holds thesis\.tex; begin one"):
        resumed(tmp_path)
    for text, reason in (("{", "not readable"), ("{}", "says no configuration"), ('{"config": {"x": 1}}', "no 'x'")):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(VQTTTError, match=reason):
            resumed(tmp_path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "none.toml")


def test_an_estimate_counts_and_times() -> None:
    config = StudyConfig(
        model="fake", tasks=("digits",), degradations=("clean", "fog"), severities=(1, 3), methods=("none", "vq-select-restore"),
        limit=50,
    )  # fmt: skip
    counted = estimate(config)
    assert (counted.questions, counted.conditions, counted.methods) == ({"digits": 50}, 3, 2)
    assert (counted.cells, counted.answers, counted.seconds) == (6, 300, None)
    timed = estimate(config, lambda: load_model("fake"))
    assert timed.seconds is not None and 0 < timed.seconds < 600
