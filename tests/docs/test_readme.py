"""The examples of README.md and docs/usage.md run: the Python code, and every `$ vqttt` command, in their order.

Those of the section on served models run in `test_readme_served.py`.
"""

import re
import shlex
import sys
from pathlib import Path

import pytest

from vqttt import cli
from vqttt.images.files import save_image
from vqttt.study.config import StudyConfig
from vqttt.study.runner import run
from vqttt.tasks import vq_mini

ROOT = Path(__file__).resolve().parents[2]
README, USAGE = ((ROOT / page).read_text() for page in ("README.md", "docs/usage.md"))
HERE = re.sub(r"^## Served models\n.*?(?=^## )", "", README, flags=re.DOTALL | re.MULTILINE)
COMMANDS = [line[2:] for line in (HERE + USAGE).splitlines() if line.startswith("$ vqttt ")]


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with the image and the study file that the pages take for granted."""
    monkeypatch.chdir(tmp_path)
    save_image(vq_mini.samples("dev", 2)[1].load(), tmp_path / "photo.jpg")
    (block,) = re.findall(r"```toml\n(.*?)```", USAGE, re.DOTALL)
    (tmp_path / "study.toml").write_text(block)
    return tmp_path / "photo.jpg"


@pytest.fixture
def runs(photo: Path) -> None:
    """Make the two run folders that the pages report on and compare; those of the fake model serve as well."""
    for name, methods in (("quick", ("none", "vq-ttt")), ("mine", ("none", "vq-ttt-episodic"))):
        config = StudyConfig(
            models=("fake",),
            tasks=("digits",),
            degradations=("clean", "fog"),
            severities=(5,),
            methods=methods,
            limit=8,
        )
        run(config, photo.parent / "runs" / name)


@pytest.mark.slow
def test_commands(runs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(COMMANDS) > 12
    for command in COMMANDS:
        monkeypatch.setattr(sys, "argv", shlex.split(command, comments=True))
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert not stop.value.code, command


def test_python(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", HERE, re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
    assert re.fullmatch(r".+ -> .+\n", capsys.readouterr().out)
