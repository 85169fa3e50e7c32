"""What the README tells people to type works."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from vqttt import cli
from vqttt.images.files import save_image
from vqttt.tasks import vq_mini

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [line[2:] for line in README.splitlines() if line.startswith("$ vqttt ") and "runs/quick" not in line]


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_image(vq_mini.samples("dev", 2)[1].load(), tmp_path / "photo.jpg")
    (block,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "study.toml").write_text(block)
    return tmp_path / "photo.jpg"


@pytest.mark.slow
def test_commands(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, for one works on what another wrote."""
    for command in COMMANDS:
        monkeypatch.setattr(sys, "argv", shlex.split(command, comments=True))
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert not stop.value.code, command


def test_python(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
    assert "base_answer" in capsys.readouterr().out


def test_make_targets_exist() -> None:
    named = set(re.findall(r"`make ([a-z-]+)`|\$ make ([a-z-]+)", README))
    makefile = (ROOT / "Makefile").read_text()
    assert named
    assert all(f"\n{one or other}: " in makefile for one, other in named)
