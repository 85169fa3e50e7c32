"""Studies as TOML files: their settings, their own methods, and errors that name the line."""

from dataclasses import replace
from pathlib import Path

import pytest

from vqttt.errors import InputError, RunFolderError, VQTTTError
from vqttt.methods import METHODS
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
    assert config.models == ("fake",)
    assert config.tasks == ("digits",)
    assert config.severities == (1, 5)
    assert config.limit == 30
    assert config.degradations == PRESETS["paper"].degradations


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ('model = "fake"\nseverities = [1, 9]\n', "line 2", "severity 9 is out of range"),
        ('\n\nmethods = ["vq-tt"]', "line 3", "vq-ttt"),
        ('tasks = "digits"', "line 1", 'tasks must be a list, such as ["vq-mini"'),
        ("limit = true", "line 1", "limit must be a whole number, not True"),
        ("limit = 0", "line 1", "at least 1"),
        ("seed = 3", "line 1", "unknown study setting 'seed'; did you mean seeds"),
        ("seeds = 3", "line 1", "seeds must be a list, such as [0], not 3"),
        ('preset = "slow"', "line 1", "unknown preset 'slow'; known: quick, paper"),
        ("tasks = [1]", "line 1", "tasks must be a list of text"),
        ("tasks = [\n", "study.toml", "not TOML"),
        ('[load]\ndtype = "float8"', "line 2", "dtype 'float8' is not known"),
        ('[load]\nbits = "4"', "line 2", "bits must be a whole number, not '4'"),
        ('limit = 3\nload.precision = "high"', "line 2", "unknown load option 'precision'; did you mean revision"),
        ("limit = 3\nload = { bits = 5 }", "line 2", "bits 5 is not known; known: 0, 4, 8"),
        ('limit = 3\nload = "bfloat16"', "line 2", "load must be a table, such as [load]"),
        ("limit = 3\n\n[loads]\nbits = 4", "line 3", "unknown study setting 'loads'; did you mean load"),
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


MINE = """
[methods.none]

[methods.mine]
base = "vq-ttt"
steps = 3

[methods.mine.adapters]
lora_rank = 8

[methods.vq-select]
guard_ratio = 0.9
"""


def test_a_file_defines_methods_of_its_own(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, MINE))
    assert config.methods == ("none", "mine", "vq-select")
    assert config.method_settings == {
        "mine": {"base": "vq-ttt", "steps": 3, "adapters": {"lora_rank": 8}},
        "vq-select": {"guard_ratio": 0.9},
    }
    specs = config.method_specs
    assert specs["mine"] == METHODS["vq-ttt"].changed({"steps": 3, "adapters": {"lora_rank": 8}})
    assert specs["mine"].config.adapters.lora_rank == 8
    assert specs["vq-select"].config.guard_ratio == 0.9
    in_python = StudyConfig(
        tasks=config.tasks, degradations=config.degradations, severities=config.severities, limit=config.limit,
        methods=config.methods, method_settings=config.method_settings,
    )  # fmt: skip
    assert in_python == config


def test_methods_of_ones_own_are_part_of_a_study_only_where_they_run(tmp_path: Path) -> None:
    listed = read_config(write(tmp_path, 'methods = ["none", "vq-select"]'))
    tables = read_config(write(tmp_path, "[methods.none]\n[methods.vq-select]"))
    assert tables == listed
    assert "method_settings" not in listed.described()
    own = read_config(write(tmp_path, MINE))
    assert own.digest != replace(own, method_settings={**own.method_settings, "mine": {"base": "vq-ttt"}}).digest
    fewer = replace(own, methods=("none", "vq-select"))
    assert list(fewer.described()["method_settings"]) == ["vq-select"]
    assert replace(own, methods=("none",)).described() == replace(listed, methods=("none",)).described()


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("[methods.mine]\nsteps = 3", "line 1", "need a base"),
        ('[methods.mine]\nsteps = 3\nbase = "vq-tt"', "line 3", "did you mean vq-ttt"),
        ('[methods.mine]\nbase = "vq-ttt"\n\nstepz = 3', "line 4", "stepz"),
        ('[methods.mine]\nbase = "vq-ttt"\n\nsteps = "3"', "line 4", "steps must be"),
        ('[methods.a]\nbase = "vq-ttt"\n[methods.mine]\nbase = "vq-ttt"\nsteps = "3"', "line 5", "steps must be"),
        ('[methods.mine]\nbase = "vq-ttt"\n[methods.mine.adapters]\nrank = 8', "line 4", "rank"),
        ('[methods.mine]\nbase = "vq-ttt"\nadapters.rank = 8', "line 3", "rank"),
        ('limit = 3\n[methods]\nmine = { base = "vq-ttt", stepz = 3 }', "line 3", "stepz"),
        ("limit = 3\n[methods]\nmine = 3", "line 3", "methods.mine must be a table"),
        ('limit = 3\n[methods."my/own"]\nbase = "vq-ttt"', "line 2", "letters, digits"),
        ('limit = 3\n[methods.none]\nbase = "vq-ttt"', "line 2", "is the baseline"),
        ("[methods.vq-ttt-static]", "line 1", "vq-ttt"),
        ("limit = 3\n[methods]", "line 2", "methods must be a list, such as"),
        ('limit = 3\n[method_settings.mine]\nbase = "vq-ttt"', "line 2", "unknown study setting 'method_settings'"),
    ],
)
def test_an_error_in_a_method_says_where_it_is(tmp_path: Path, text: str, place: str, reason: str) -> None:
    with pytest.raises(InputError) as raised:
        read_config(write(tmp_path, text))
    assert f"study.toml, {place}: " in str(raised.value)
    assert reason in str(raised.value)


def test_a_run_with_methods_of_its_own_tells_what_it_is_a_run_of(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, MINE))
    RunFolder(tmp_path / "run").open({"config": config.described()}, ("config",))
    assert resumed(tmp_path / "run") == config


@pytest.mark.parametrize("limit", [None, 3])
def test_a_run_tells_what_it_is_a_run_of(tmp_path: Path, limit: int | None) -> None:
    config = replace(
        PRESETS["paper"], models=("a/b",), tasks=("digits",), limit=limit, load=LoadOptions(bits=4), scale="absolute"
    )
    RunFolder(tmp_path).open({"config": config.described()}, ("config",))
    assert resumed(tmp_path) == config


def test_what_cannot_be_resumed_says_why(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="holds no run to resume: nothing is there"):
        resumed(tmp_path / "none")
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(RunFolderError, match=r"it holds thesis\.tex; start one"):
        resumed(tmp_path)
    for text, reason in (
        ("{", "not readable"),
        ("{}", "has no configuration"),
        ('{"config": {"x": 1}}', "unknown study setting 'x'"),
    ):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(VQTTTError, match=reason):
            resumed(tmp_path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "none.toml")


def test_an_estimate_counts_and_times() -> None:
    config = StudyConfig(
        models=("fake",), tasks=("digits",), degradations=("clean", "fog"), severities=(1, 3), limit=50,
        methods=("none", "vq-select"),
    )  # fmt: skip
    counted = estimate(config)
    assert (counted.questions, counted.conditions, counted.methods) == ({"digits": 50}, 3, 2)
    assert (counted.cells, counted.records, counted.seconds) == (6, 300, None)
    timed = estimate(config, load_model)
    assert timed.seconds is not None and 0 < timed.seconds < 600
