"""The study file and the Python code of docs/scale.md work."""

import re
from pathlib import Path

import pytest

from vqttt.models import LoadOptions
from vqttt.runs.loading import load_records
from vqttt.study.config_file import read_config

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scale.md").read_text()


def test_the_file(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "study.toml").write_text(block)
    assert read_config(tmp_path / "study.toml").load == LoadOptions(dtype="bfloat16", revision="main")


@pytest.mark.slow
def test_the_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(block, "scale.md", "exec"), {"__name__": "__main__"})
    assert "vq-ttt" in capsys.readouterr().out
    one, other = (load_records(Path("runs") / name).drop("seconds", "peak_mib") for name in ("mine", "shared"))
    assert len(one) == 60
    assert one.equals(other)
