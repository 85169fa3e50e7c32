"""`vqttt tune`: what it writes and says, and when it writes nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.command import vqttt
from vqttt.images.files import save_image
from vqttt.methods import METHODS
from vqttt.methods.stream import StreamMethod
from vqttt.tuning import tuned_file

TUNE = ("tune", "--model", "fake", "--task", "digits", "--degradation", "fog")


def test_it_says_what_was_learned_and_how_to_apply_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tuned.safetensors"
    more = ("--limit", 10, "--method", "vq-ttt", "--restorer", "auto", "--seed", 3)
    assert vqttt(monkeypatch, *TUNE, *more, "--out", out) == 0
    said = capsys.readouterr().out
    assert "learned: the kernel's largest parameter moved by" in said
    assert "on these 10 samples of digits, while learning: 10 tuned on (100%)" in said and "% untuned" in said
    assert f"--model fake --method vq-ttt --tuned {out}" in said
    assert said.splitlines()[-1] == str(out)
    assert tuned_file.read(out)[1]["method"] == "vq-ttt"
    other = tmp_path / "other"
    other.touch()
    assert out.stat().st_mode == other.stat().st_mode, "a file like any other: colleagues may read it"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("--limit", 0), "--limit must be at least 1, not 0"),
        (("--batch", -3), "--batch must be at least 1, not -3"),
        (("--severity", 7), "--severity must be from 1 to 5, not 7"),
        (("--seed", -1), "--seed must be at least 0, not -1"),
        (("--restorer", "autoo"), "did you mean auto"),
    ],
)
def test_what_cannot_be_is_refused(
    more: tuple[Any, ...], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert vqttt(monkeypatch, *TUNE, *more, "--out", tmp_path / "x") == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_folder_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert vqttt(monkeypatch, *TUNE, "--out", tmp_path) == 2
    assert f"{tmp_path} is a folder; give the name of a file to write" in capsys.readouterr().err


def table(tmp_path: Path, broken: int, sound: int) -> Path:
    """Questions about images, of which some are not images."""
    (tmp_path / "bad.png").write_bytes(b"no image")
    save_image(np.full((32, 32, 3), 90, np.uint8), tmp_path / "good.png")
    rows = [
        {"id": f"{kind}{n}", "image": f"{kind}.png", "question": "what color?", "answer": "red"}
        for kind, count in (("bad", broken), ("good", sound))
        for n in range(count)
    ]
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return file


def test_without_any_sample_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    file, out = table(tmp_path, broken=3, sound=0), tmp_path / "x.safetensors"
    assert vqttt(monkeypatch, "tune", "--model", "fake", "--task", f"jsonl:{file}", "--out", out) == 2
    said = capsys.readouterr().err
    assert "3" in said and "bad.png" in said
    assert not out.exists()


def test_samples_that_fail_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    file, out = table(tmp_path, broken=2, sound=3), tmp_path / "x.safetensors"
    assert vqttt(monkeypatch, "tune", "--model", "fake", "--task", f"jsonl:{file}", "--out", out) == 0
    said = capsys.readouterr()
    assert "2 of 5 samples could not be used" in said.err
    assert "on these 3 samples" in said.out and out.exists()


@pytest.mark.parametrize("failing", ["raises", "learns nothing"])
def test_where_nothing_is_learned_nothing_is_written(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    kind: type[StreamMethod] = METHODS["vq-ttt"].kind  # type: ignore[assignment]

    def attempts(*given: Any, **more: Any) -> list[Any]:
        if failing == "raises":
            raise RuntimeError("out of memory")
        return []

    monkeypatch.setattr(kind, "attempts", attempts)
    out = tmp_path / "x.safetensors"
    assert vqttt(monkeypatch, *TUNE, "--limit", 4, "--method", "vq-ttt", "--out", out) == 2
    said = capsys.readouterr().err
    wanted = {
        "raises": "none of the 4 samples could be used, so nothing was learned; the method failed: RuntimeError",
        "learns nothing": "nothing was learned from 4 samples: every update was undone",
    }
    assert wanted[failing] in said
    assert not out.exists()


def test_a_method_with_settings_of_ones_own_is_tuned_and_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, photo = tmp_path / "tuned.safetensors", tmp_path / "photo.png"
    save_image(np.full((32, 32, 3), 200, np.uint8), photo)
    own = ("--method", "vq-ttt", "--set", "vq-ttt.steps=3", "--set", "vq-ttt.adapters.lora_rank=2")
    assert vqttt(monkeypatch, *TUNE, *own, "--limit", 10, "--out", out) == 0
    assert "--method vq-ttt --set vq-ttt.steps=3 --set vq-ttt.adapters.lora_rank=2 --tuned" in capsys.readouterr().out
    ask = ("answer", photo, "what color?", "--model", "fake", "--tuned", out, "--method", "vq-ttt")
    assert vqttt(monkeypatch, *ask, *own[2:]) == 0
    assert vqttt(monkeypatch, *ask) == 2
    assert "was tuned with other settings of vq-ttt: steps is 3, not 1" in capsys.readouterr().err
    assert vqttt(monkeypatch, *TUNE, "--method", "vq-ttt", "--set", "vq-ttt.stepz=3", "--out", out) == 2
    assert capsys.readouterr().err.startswith("vqttt: --set vq-ttt.stepz=3: ")


def test_a_file_that_cannot_be_written_is_said_before_any_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (("tune", "--task", "digits", "--model", "fake"), ("bench", "--model", "fake")):
        assert vqttt(monkeypatch, *command, "--out", "/proc/nothing/here") == 2
        assert "/proc/nothing/here cannot be written" in capsys.readouterr().err
