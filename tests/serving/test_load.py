"""`vqttt bench --server`: what a server under load is measured to do."""

import json
from pathlib import Path

import pytest

from tests.support.command import vqttt
from tests.support.serving import server_in_process


def test_a_server_under_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "load.json"
    with server_in_process(method="none") as (url, _):
        asked = ("bench", "--server", url, "--model", "fake", "--method", "none,vq-select")
        assert vqttt(monkeypatch, *asked, "--rate", 20, "--clients", 4, "--seconds", 1, "--out", out) == 0
    shown = capsys.readouterr().out.splitlines()
    rows = json.loads(out.read_text())
    assert [(row["method"], row["rate"]) for row in rows] == [
        ("none", 20),
        ("vq-select", 20),
        ("none", None),
        ("vq-select", None),
    ]
    assert all(row["throughput"] > 0 and row["failed"] == 0 and 0 < row["p50"] <= row["p99"] for row in rows)
    assert all(row["of_plain"] == 1 for row in rows if row["method"] == "none")
    assert rows[2]["looks"] == 1 < rows[3]["looks"]
    assert shown[-2].startswith("the server's own work")
    assert max(map(len, shown[:-2])) <= 80 and any(line.split()[-1:] == ["certain"] for line in shown)
    assert vqttt(monkeypatch, "bench", "--server", url, "--clients", 0, "--out", out) == 2
    assert "must be at least 1" in capsys.readouterr().err
