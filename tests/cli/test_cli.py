"""The command line as a person meets it: one clear line for every mistake, and never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pytest

from tests.support.figures import with_quick_fonts, without_drawing
from vqttt import cli
from vqttt.cli import options, studies
from vqttt.cli.lists import Kind
from vqttt.cli.runs import Format
from vqttt.images.files import load_image, save_image
from vqttt.images.quality import METRICS

GOLDENS = Path(__file__).parent.parent / "goldens"


def vqttt(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["vqttt", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    save_image(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8), path)
    return path


def test_help_is_quick_and_imports_no_torch() -> None:
    def measure() -> float:
        # Of processor time, for a busy machine would say nothing of vqttt.
        began = os.times()
        subprocess.run([sys.executable, "-m", "vqttt.cli", "--help"], check=True, capture_output=True)
        ended = os.times()
        return ended.children_user + ended.children_system - began.children_user - began.children_system

    assert any(measure() < 0.5 for _ in range(5))
    code = "import sys, vqttt.cli; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


COMMANDS = (
    "",
    "study",
    "answer",
    "analyse",
    "degrade",
    "restore",
    "quality",
    "restorers install",
    "models check",
    "list",
    "report",
    "compare",
    "tune",
    "clean-features",
    "bench",
    "serve",
)
HELP_OF_EACH = """
import os, runpy, sys
import typer.rich_utils, vqttt.cli  # what every command imports to show its help

for command in sys.argv[1:]:
    if not os.fork():
        sys.argv = ["", *command.split(), "--help"]
        runpy.run_module("vqttt.cli", run_name="__main__", alter_sys=True)  # as `python -m` does
    status = os.wait()[1]
    assert status == 0, (command, status)
    print(end="\\0", flush=True)
"""


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """What each command shows as its help, in a process that no other command has been in: a fork of a fresh one."""
    environment = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "PATH": "/usr/bin:/bin"}
    environment |= {"PYTHONPATH": str(Path(cli.__file__).parents[2])}
    arguments = [sys.executable, "-c", HELP_OF_EACH, *COMMANDS]
    shown = subprocess.run(arguments, check=True, capture_output=True, text=True, env=environment).stdout
    return dict(zip(COMMANDS, shown.split("\0")[:-1], strict=True))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_as_documented(command: str, helps: dict[str, str], regenerate_goldens: bool) -> None:
    shown = helps[command]
    golden = GOLDENS / f"{'-'.join(['help', *command.split()])}.txt"
    if regenerate_goldens:
        golden.write_text(shown)
    assert shown == golden.read_text()


@pytest.mark.parametrize("kind", list(Kind))
def test_lists(kind: Kind, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert vqttt(monkeypatch, "list", kind, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert all(row["name"] and row["summary"] for row in rows)


def test_degrade_and_gallery(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.png"
    assert vqttt(monkeypatch, "degrade", image, "--kind", "snow", "--severity", 4, "--out", out) == 0
    first = load_image(out)
    assert first.shape == (40, 60, 3)
    assert vqttt(monkeypatch, "degrade", image, "--kind", "snow", "--severity", 4, "--out", out) == 0
    assert np.array_equal(first, load_image(out))
    assert vqttt(monkeypatch, "degrade", image, "--gallery", "--out", out) == 0
    assert load_image(out).shape[0] > 6 * 40


def test_restore_and_gallery(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.png"
    assert vqttt(monkeypatch, "restore", image, "--restorer", "median", "--out", out) == 0
    assert load_image(out).shape == (40, 60, 3)
    assert not np.array_equal(load_image(out), load_image(image))
    assert vqttt(monkeypatch, "restore", image, "--restorer", "lanczos", "--out", out) == 0
    assert load_image(out).shape == (80, 120, 3)
    assert vqttt(monkeypatch, "restore", image, "--gallery", "--out", out) == 0
    assert load_image(out).shape[0] > 10 * 200


def test_auto_says_what_it_guessed(
    image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    restore = ("restore", image, "--out", image.with_name("out.png"))
    assert vqttt(monkeypatch, *restore) == 0
    assert capsys.readouterr().err.startswith("auto: noise of ")
    assert vqttt(monkeypatch, *restore, "--restorer", "median") == 0
    assert capsys.readouterr().err == ""


def test_a_large_image_is_announced_before_it_is_restored(capsys: pytest.CaptureFixture[str]) -> None:
    large, small = np.empty((3000, 4000, 3), np.uint8), np.empty((300, 400, 3), np.uint8)
    options.say_how_long(large, "auto")
    assert capsys.readouterr().err == "auto, 12 megapixels: up to 36 s and 0.7 GB\n"
    options.say_how_long(small, "auto")
    options.say_how_long(large, "median")
    assert capsys.readouterr().err == ""


def test_quality(image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert vqttt(monkeypatch, "quality", image, "--json") == 0
    assert json.loads(capsys.readouterr().out).keys() == {"sharpness", "noise_level"}
    assert vqttt(monkeypatch, "quality", image, "--reference", image, "--json") == 0
    measured = json.loads(capsys.readouterr().out)
    assert list(measured) == list(METRICS) and measured["psnr"] == 100
    assert vqttt(monkeypatch, "quality", image, "--reference", image) == 0
    assert capsys.readouterr().out.startswith("psnr                  100.000  peak signal")


def test_answer(image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert vqttt(monkeypatch, "answer", image, "what color?", "--model", "fake", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    wanted = {"answer", "base_answer", "entropy_before", "entropy_after", "steps", "rolled_back", "seconds"}
    assert wanted <= set(printed)
    assert vqttt(monkeypatch, "answer", image, "what color?", "--model", "fake", "--method", "none") == 0
    said = capsys.readouterr()
    assert said.out.strip() == printed["base_answer"] and said.err.startswith("left untuned; entropy ")


def test_analyse(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("analyse", image, "what color is the circle?", "--severity", 5, "--layer", "2,3")
    out = tmp_path / "analysis.png"
    assert vqttt(monkeypatch, *asked, "--method", "vq-ttt", "--out", out) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert load_image(out).shape[1] > 1000
    assert vqttt(monkeypatch, *asked, "--restorer", "dehaze", "--method", "none", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in printed["rows"]] == ["clean", "fog 5", "dehaze, none"]
    assert np.array(printed["rows"][0]["relative"]).shape == (8, 8)
    assert printed["rows"][1]["relative"] != printed["rows"][2]["relative"]


def test_what_was_tuned_answers_frozen(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tuned.safetensors"
    tune = ("tune", "--model", "fake", "--task", "digits", "--limit", 20, "--degradation", "fog", "--out", out)
    assert vqttt(monkeypatch, *tune) == 0
    assert out.stat().st_size < 64_000
    capsys.readouterr()
    answer = ("answer", image, "what color?", "--model", "fake", "--json")
    assert vqttt(monkeypatch, *answer, "--tuned", out) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 0
    assert vqttt(monkeypatch, *answer, "--tuned", tmp_path / "nothing") == 2
    assert "there is no file" in capsys.readouterr().err
    assert vqttt(monkeypatch, *answer, "--tuned", out, "--method", "none") == 2
    assert "learns nothing that could be saved" in capsys.readouterr().err


def test_clean_features_come_from_a_folder_of_images(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "clean.safetensors"
    command = ("clean-features", tmp_path, "--model", "fake", "--out", out)
    assert vqttt(monkeypatch, *command) == 2
    assert "at least 2" in capsys.readouterr().err
    save_image(load_image(image)[:, ::-1], tmp_path / "other.png")
    assert vqttt(monkeypatch, *command) == 0
    assert out.stat().st_size > 0
    assert vqttt(monkeypatch, "clean-features", image, "--out", out) == 2


def test_bench_writes_ratios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.json"
    arguments = ("bench", "--model", "fake", "--method", "none,vq-select", "--batch", 2, "--repeats", 9)
    assert vqttt(monkeypatch, *arguments, "--out", out) == 0
    none, ours = json.loads(out.read_text())
    assert (none["method"], ours["method"]) == ("none", "vq-select")
    assert none["ratio"] == pytest.approx(none["seconds"] / none["plain_seconds"])
    assert 0.3 < none["ratio"] < 3 < ours["ratio"]
    shown = capsys.readouterr().out
    assert "vq-select" in shown and max(map(len, shown.splitlines()[:-1])) <= 80, "names are whole on a narrow terminal"
    assert vqttt(monkeypatch, "bench", "--model", "fake", "--method", "none", "--batch", "1,2", "--out", out) == 0
    assert [row["batch"] for row in json.loads(out.read_text())] == [1, 2]
    assert vqttt(monkeypatch, "bench", "--model", "fake", "--batch", 0, "--out", out) == 2


def test_study_and_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with_quick_fonts(monkeypatch)
    out = tmp_path / "run"
    arguments = ("study", "--model", "fake", "--task", "digits", "--limit", 10, "--degradation", "clean",
                 "--degradation", "fog", "--severity", 3, "--out", out)  # fmt: skip
    assert vqttt(monkeypatch, *arguments) == 0
    assert "digits" in capsys.readouterr().out
    assert (out / "report.html").is_file()
    header = (out / "summary.csv").read_text().splitlines()[0]
    assert header.startswith("model,task,degradation,severity,restorer,method,n,images,accuracy,")
    assert {"delta", "ci_low", "ci_high", "p_value"} <= set(header.split(","))
    for form in Format:
        assert vqttt(monkeypatch, "report", out, "--format", form) == 0
        assert all(Path(line).exists() for line in capsys.readouterr().out.splitlines())


def test_a_study_from_a_file_tried_run_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_drawing(monkeypatch)
    file = tmp_path / "study.toml"
    file.write_text('model = "fake"\ntasks = ["digits"]\ndegradations = ["fog"]\nseverities = [3]\nlimit = 10\n')
    arguments = ("study", "--config", file, "--out")
    assert vqttt(monkeypatch, *arguments, tmp_path / "none", "--dry-run") == 0
    assert "conditions: 1, methods: 3, seeds: 1, cells: 3, answers: 30" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()
    assert vqttt(monkeypatch, *arguments, tmp_path / "a", "--method", "none") == 0
    assert vqttt(monkeypatch, *arguments, tmp_path / "b", "--method", "tta") == 0
    capsys.readouterr()
    assert vqttt(monkeypatch, "compare", tmp_path / "a", tmp_path / "b") == 0
    assert "none → tta" in capsys.readouterr().out
    assert vqttt(monkeypatch, "compare", tmp_path / "a", tmp_path / "missing") == 2


def test_methods_of_a_file_are_known_to_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_drawing(monkeypatch)
    file, out = tmp_path / "study.toml", tmp_path / "run"
    file.write_text(
        'model = "fake"\ntasks = ["digits"]\ndegradations = ["fog"]\nseverities = [3]\nlimit = 10\n'
        '[methods.none]\n[methods.mine]\nbase = "vq-ttt"\nsteps = 3\n'
    )
    assert vqttt(monkeypatch, "study", "--config", file, "--dry-run") == 0
    assert "methods: 2, " in capsys.readouterr().out
    assert vqttt(monkeypatch, "study", "--config", file, "--method", "tta,mine", "--out", out) == 0
    assert sorted(path.stem.split("~")[3] for path in (out / "cells").iterdir()) == ["mine", "tta"]
    assert vqttt(monkeypatch, "study", "--resume", out) == 0
    assert vqttt(monkeypatch, "study", "--method", "mine", "--out", tmp_path / "other") == 2
    assert "unknown method 'mine'" in capsys.readouterr().err


def test_lists_take_commas_and_repetition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = '{"image": "gone.png", "question": "what?", "answer": "red"}\n'
    for name in ("a,b.jsonl", "c.jsonl"):
        (tmp_path / name).write_text(rows)
    asked = (
        "study",
        "--model",
        "fake",
        "--limit",
        2,
        "--dry-run",
        "--severity",
        "1,3",
        "--severity",
        5,
        "--seed",
        "0,1",
    )
    asked += ("--task", f"digits,jsonl:{tmp_path}/a,b.jsonl", "--task", f"jsonl:{tmp_path}/c.jsonl")
    asked += ("--method", "none, vq-ttt", "--method", "tta", "--degradation", "fog,snow", "--restorer", "none,median")
    assert vqttt(monkeypatch, *asked) == 0
    printed = capsys.readouterr().out
    assert "conditions: 12, methods: 3, seeds: 2, cells: 216, answers: 288" in printed
    assert "a,b.jsonl: 1 questions" in printed and "c.jsonl: 1 questions" in printed


@pytest.mark.parametrize(
    ("values", "paths", "expected"),
    [
        (None, False, None),
        ([], True, None),
        (["a,b", "c"], False, ("a", "b", "c")),
        (["a, b ,c"], True, ("a", "b", "c")),
        (["pyiqa:a,pyiqa:b"], False, ("pyiqa:a", "pyiqa:b")),
        (["jsonl:a,b.jsonl"], True, ("jsonl:a,b.jsonl",)),
        (["a,jsonl:b,c.jsonl", "d,e"], True, ("a", "jsonl:b,c.jsonl", "d", "e")),
        (["none,some/folder,with,commas"], True, ("none", "some/folder,with,commas")),
    ],
)
def test_commas_split_all_but_paths(values: list[str] | None, paths: bool, expected: tuple[str, ...] | None) -> None:
    assert options.names(values, paths=paths) == expected


def test_a_study_is_resumed_by_its_folder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_drawing(monkeypatch)
    out = tmp_path / "run"
    arguments = ("study", "--model", "fake", "--task", "digits", "--limit", 6, "--degradation", "fog",
                 "--severity", 3, "--method", "none", "--out", out)  # fmt: skip
    assert vqttt(monkeypatch, *arguments) == 0
    (cell,) = (out / "cells").iterdir()
    cell.unlink()
    assert vqttt(monkeypatch, "study", "--resume", out) == 0
    assert cell.is_file()
    assert vqttt(monkeypatch, "study", "--resume", out, "--limit", 5, "--preset", "quick") == 2
    assert "leave out preset, limit" in capsys.readouterr().err
    assert vqttt(monkeypatch, "study", "--resume", tmp_path) == 2
    assert "holds no run to resume: it holds run;" in capsys.readouterr().err


def test_a_study_at_an_address_is_reported_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_quick_fonts(monkeypatch)
    arguments = ("study", "--model", "fake", "--task", "digits", "--limit", 6, "--degradation", "fog",
                 "--severity", 3, "--method", "none", "--out", "memory://of-cli/run")  # fmt: skip
    assert vqttt(monkeypatch, *arguments) == 0
    assert "memory://of-cli/run/report.html" in capsys.readouterr().out
    assert vqttt(monkeypatch, "report", "memory://of-cli/run", "--format", "figures") == 0
    assert capsys.readouterr().out.strip() == "memory://of-cli/run/figures"
    assert vqttt(monkeypatch, "compare", "memory://of-cli/run", "memory://of-cli/run") == 0
    files = fsspec.filesystem("memory")
    assert files.cat_file("/of-cli/run/report.html").strip().startswith(b"<!doctype html>")
    files.rm("/of-cli", recursive=True)


def test_version_and_bare_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert vqttt(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("vqttt 0.")
    assert vqttt(monkeypatch) == 2
    printed = capsys.readouterr()
    assert "degrade" in printed.out
    assert "vqttt:" not in printed.err


def test_an_interrupted_study_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(studies, "_run", interrupt)
    assert vqttt(monkeypatch, "study", "--model", "fake", "--out", tmp_path / "run") == 130
    assert "run the same command again to resume" in capsys.readouterr().err


MISTAKES = {
    "a missing image": ("answer", "gone.png", "what?", "--model", "fake"),
    "a text for an image": ("answer", "text.png", "what?", "--model", "fake"),
    "a cut image": ("degrade", "cut.png", "--kind", "fog", "--out", "o.png"),
    "an empty question": ("answer", "good.png", " ", "--model", "fake"),
    "an analysis of an empty question": ("analyse", "good.png", " ", "--out", "o.png"),
    "an analysis of a missing image": ("analyse", "gone.png", "what?", "--out", "o.png"),
    "an analysis that goes nowhere": ("analyse", "good.png", "what?"),
    "a figure of an unknown format": ("analyse", "good.png", "what?", "--out", "o.gif"),
    "a figure in no folder": ("analyse", "good.png", "what?", "--out", "gone/o.png"),
    "an analysis of an unknown method": ("analyse", "good.png", "what?", "--method", "vq-tt", "--json"),
    "an analysis of an unknown degradation": ("analyse", "good.png", "what?", "--degradation", "snw", "--json"),
    "an analysis of several forward passes": ("analyse", "good.png", "what?", "--method", "tta", "--json"),
    "an analysis of a layer that is none": ("analyse", "good.png", "what?", "--layer", "4", "--json"),
    "an analysis of a layer before the first": ("analyse", "good.png", "what?", "--layer", "0", "--json"),
    "an analysis of a model that shows nothing": ("analyse", "good.png", "what?", "--model", "fake", "--json"),
    "an unknown method": ("answer", "good.png", "what?", "--model", "fake", "--method", "vq-tt"),
    "an unknown model": ("answer", "good.png", "what?", "--model", "embeded"),
    "a folder that is no model": ("answer", "good.png", "what?", "--model", "."),
    "an unknown degradation": ("degrade", "good.png", "--kind", "snw", "--out", "o.png"),
    "a severity out of range": ("degrade", "good.png", "--kind", "snow", "--severity", "9", "--out", "o.png"),
    "no kind": ("degrade", "good.png", "--out", "o.png"),
    "an unknown restorer": ("restore", "good.png", "--restorer", "medain", "--out", "o.png"),
    "a restorer that needs the degradation": ("restore", "good.png", "--restorer", "matched", "--out", "o.png"),
    "a restorer's missing weights": ("restore", "good.png", "--restorer", "spandrel:gone.pth", "--out", "o.png"),
    "no restorer of that name to install": ("restorers", "install", "maxim-denoisin"),
    "a package that is none": ("restorers", "install", "maxim-denoising", "--package", "text.png"),
    "a measure of nobody": ("quality", "good.png", "--metric", "psnr"),
    "a measure that is not installed": ("quality", "good.png", "--metric", "pyiqa:musiq"),
    "a missing reference": ("quality", "good.png", "--reference", "gone.png"),
    "an unknown restorer in a study": ("study", "--model", "fake", "--restorer", "medain", "--out", "run"),
    "missing weights in a study": ("study", "--model", "fake", "--restorer", "spandrel:gone.pth", "--out", "run"),
    "an unknown format": ("degrade", "good.png", "--kind", "snow", "--out", "o.xyz"),
    "an unknown task": ("study", "--model", "fake", "--task", "vq-mni", "--out", "run"),
    "a missing jsonl": ("study", "--model", "fake", "--task", "jsonl:gone.jsonl", "--out", "run"),
    "an unknown scale": ("study", "--model", "fake", "--scale", "huge", "--out", "run"),
    "a run folder that is none": ("report", "."),
    "a folder in use": ("study", "--model", "fake", "--task", "digits", "--out", "."),
    "an unknown command": ("stdy",),
    "an unknown list": ("list", "cats"),
    "no arguments": ("degrade",),
    "a number that is none": ("study", "--limit", "many"),
    "a list of numbers that is none": ("study", "--model", "fake", "--severity", "1,two", "--out", "run"),
    "an empty item of a list": ("study", "--model", "fake", "--method", "none,,tta", "--out", "run"),
    "a layer that is no number": ("analyse", "good.png", "what?", "--layer", "1,last", "--json"),
    "an old method": ("study", "--model", "fake", "--method", "vq-ttt-static", "--out", "run"),
    "a method that learns nothing to save": ("tune", "--task", "digits", "--method", "none", "--out", "tuned"),
    "a method that the model cannot do": ("answer", "good.png", "what?", "--model", "fake-plain", "--method", "vq-ttt"),
    "a study that the model cannot do": ("study", "--model", "fake-plain", "--task", "digits", "--out", "run"),
    "nothing to resume": ("study", "--resume", "."),
    "no workers": ("study", "--model", "fake", "--workers", "0", "--out", "run"),
    "an unknown engine": ("study", "--model", "fake", "--engine", "rya", "--out", "run"),
    "an address that nobody knows": ("study", "--model", "fake", "--out", "s4://bucket/run"),
    "a format for a model that has one": ("study", "--model", "fake", "--task", "digits", "--bits", "4", "--out", "r"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_one_clear_line(
    mistake: str, image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(image.parent)
    image.rename("good.png")
    Path("text.png").write_text("not an image")
    Path("cut.png").write_bytes(Path("good.png").read_bytes()[:900])
    before = set(Path().iterdir())
    assert vqttt(monkeypatch, *MISTAKES[mistake]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = [line for line in printed.err.splitlines() if line.startswith("vqttt: ")]
    assert len(lines) == 1
    assert "Traceback" not in printed.err
    assert len(lines[0]) > 20
    assert set(Path().iterdir()) == before, "something was written"
