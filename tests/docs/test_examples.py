"""The programs in examples/ run as they are, are short, and show what they say."""

import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from vqttt import Answerer, save_image

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    monkeypatch.chdir(tmp_path)


def ran(name: str, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Run an example as a program, in this process; return its names."""
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    return runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def right_answers(shown: str) -> tuple[int, int]:
    """The right answers untuned and with the method, of an example that counts them."""
    (found,) = re.findall(r"(\d+) right untuned, (\d+) right with vq-select\n", shown)
    return int(found[0]), int(found[1])


def test_they_are_short_and_all_are_tested() -> None:
    tested = set(re.findall(r'ran\(\s*"(\w+\.py)"', Path(__file__).read_text()))
    assert {path.name for path in EXAMPLES.iterdir() if path.suffix == ".py"} == tested
    assert all(len((EXAMPLES / name).read_text().splitlines()) < 60 for name in tested)


def test_a_camera_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ran("camera_loop.py", monkeypatch=monkeypatch)
    shown = capsys.readouterr().out
    untuned, right = right_answers(shown)
    assert shown.startswith("starts from nothing\n") and right > untuned
    assert len(re.findall(r"^\w+ -> \w+: .+, \d+ ms$", shown, re.MULTILINE)) >= right - untuned
    saved = Path("camera.safetensors").read_bytes()
    ran("camera_loop.py", monkeypatch=monkeypatch)
    assert capsys.readouterr().out.startswith("goes on from camera.safetensors\n")
    assert len(Path("camera.safetensors").read_bytes()) > len(saved), "it has learned more"


def test_a_batch_job_loses_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    ran("batch_job.py", monkeypatch=monkeypatch)
    lines = [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()]
    assert len(lines) == 21 and sum("answer" in line for line in lines) == 20
    (failed,) = [line for line in lines if "error" in line]
    assert failed["image"] == "notes.png" and "not an image" in failed["error"]
    right = [line[key] == line["image"][3:-4] for key in ("untuned", "answer") for line in lines if "answer" in line]
    assert sum(right[20:]) > sum(right[:20])


def test_a_batch_job_takes_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    save_image(np.full((40, 40, 3), 90, np.uint8), tmp_path / "one.png")
    (tmp_path / "two.jpg").write_bytes(b"")
    ran("batch_job.py", str(tmp_path), "how many?", monkeypatch=monkeypatch)
    lines = [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()]
    assert {line["image"]: "error" in line for line in lines} == {"one.png": False, "two.jpg": True}


@pytest.mark.parametrize("name", [path.name for path in EXAMPLES.glob("*.py")])
def test_help_and_unknown_arguments_run_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for argument, code in (("--help", 0), ("--nonsense", 2)):
        with pytest.raises(SystemExit) as ended:
            ran(name, argument, monkeypatch=monkeypatch)
        assert ended.value.code == code and not list(Path().iterdir())
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["nosuch", "empty", "file"])
@pytest.mark.parametrize("question", [[], ["how many?"]])
def test_a_batch_job_refuses_what_has_no_images(
    folder: str, question: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    Path("file").touch()
    with pytest.raises(SystemExit) as ended:
        ran("batch_job.py", folder, *question, monkeypatch=monkeypatch)
    shown = capsys.readouterr().err
    assert ended.value.code == 2 and shown.startswith(f"{folder}: no folder with") and shown.count("\n") == 1
    assert not Path("answers.jsonl").exists()


def test_what_cannot_be_asked_or_read_is_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_image(np.full((40, 40, 3), 90, np.uint8), tmp_path / "one.png")
    Path("camera.safetensors").write_text("damaged")
    for name, arguments in (("batch_job.py", (str(tmp_path), "\udcff?")), ("camera_loop.py", ())):
        with pytest.raises(SystemExit) as ended:
            ran(name, *arguments, monkeypatch=monkeypatch)
        assert ended.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_a_model_of_your_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    names = ran("own_model.py", monkeypatch=monkeypatch)
    untuned, right = right_answers(capsys.readouterr().out)
    assert right > untuned
    tuned = Answerer(names["my_model"], settings={"tries": 2}, tuned="my_model.safetensors")  # type: ignore[arg-type]
    image = np.full((60, 60, 3), (30, 200, 30), np.uint8)
    assert tuned.answer(image, "what color is the patch?").answer == "green"
