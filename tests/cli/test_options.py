"""Options given twice, JSON that any parser reads, and what `vqttt list` shows."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_cli import vqttt
from vqttt import cli
from vqttt.cli.output import as_json
from vqttt.images.files import save_image
from vqttt.models import FAMILIES, MODELS, load_model

COMMANDS = {
    **{name: command for name, command in cli.typer.main.get_command(cli.app).commands.items() if name != "restorers"},
    "restorers install": cli.typer.main.get_command(cli.app).commands["restorers"].commands["install"],
}
SINGLE = [
    (name, max(option.opts, key=len), option.is_flag)
    for name, command in COMMANDS.items()
    for option in command.params
    if option.param_type_name == "option" and not option.multiple and not option.is_eager
]


@pytest.mark.parametrize(("command", "option", "flag"), SINGLE)
def test_what_may_be_given_once_is_refused_twice(
    command: str, option: str, flag: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = (option, option) if flag else (option, "one", f"{option}=two")
    assert vqttt(monkeypatch, *command.split(), *twice) == 2
    values = "" if flag else ": one, two"
    assert capsys.readouterr().err == f"vqttt: {option} may be given once; it was given 2 times{values}\n"


def test_lists_may_be_repeated_and_one_value_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arguments = ("study", "--model", "fake", "--task", "digits", "--limit", 4, "--degradation", "clean", "--dry-run")
    arguments += ("--method", "none", "--method", "tta")
    assert vqttt(monkeypatch, *arguments) == 0
    # A value that looks like an option belongs to the option before it; what follows -- is no option.
    assert vqttt(monkeypatch, "answer", "--model", "fake", "--", tmp_path / "--model", "--model") == 2


def test_json_has_no_numbers_that_json_lacks() -> None:
    value = {"a": math.nan, "b": [1.5, -math.inf, {"c": (math.inf, "nan")}], "d": None, "e": True}
    expected = {"a": None, "b": [1.5, None, {"c": [None, "nan"]}], "d": None, "e": True}
    assert json.loads(as_json(value), parse_constant=pytest.fail) == expected


def test_models_that_can_be_named_stand_apart_from_families(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vqttt(monkeypatch, "list", "models") == 0
    models, _, families = capsys.readouterr().out.partition("\n\n")
    assert [line.split()[0] for line in models.splitlines()] == list(MODELS)
    assert [line.split()[0] for line in families.splitlines()[1:]] == list(FAMILIES)
    assert vqttt(monkeypatch, "list", "models", "--json") == 0
    kinds = {row["name"]: row["kind"] for row in json.loads(capsys.readouterr().out)}
    assert kinds["embedded"] == "model" and kinds["llava"] == "model family"
    assert vqttt(monkeypatch, "bench", "--model", "llava") == 2
    assert "llava is a model family; give a checkpoint folder" in capsys.readouterr().err


@pytest.mark.parametrize(("encoding", "shown"), [("latin-1", b"gone\\u2192"), ("utf-8", "gone→".encode())])
def test_a_terminal_without_a_character_gets_its_code(encoding: str, shown: bytes, tmp_path: Path) -> None:
    code = "import sys; from vqttt.cli import main; sys.argv = ['vqttt', *sys.argv[1:]]; main()"
    save_image(np.zeros((20, 20, 3), np.uint8), tmp_path / "image.png")
    arguments = ["degrade", str(tmp_path / "image.png"), "--kind", "fog", "--out", str(tmp_path / "gone→.png")]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"}
    ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, env=environment)
    assert ran.returncode == 0 and ran.stderr == b""
    assert shown in ran.stdout


@pytest.mark.parametrize("command", ["bench", "clean-features", "analyse", "answer", "study", "tune"])
def test_loading_options_reach_the_model(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = {option.name for option in COMMANDS[command].params}
    assert {"dtype", "device", "attention", "bits", "revision"} <= names
    assert load_model("fake").name == "fake"
    if command == "bench":
        for model in ("fake", "proportions"):
            assert vqttt(monkeypatch, "bench", "--model", model, "--dtype", "float16", "--out", tmp_path / "o") == 2
            assert "takes no load options" in capsys.readouterr().err
        assert not (tmp_path / "o").exists()
