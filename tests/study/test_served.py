"""Studies of a served model: the same engine, what it sends counted, and nothing secret anywhere."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.support.command import vqttt
from tests.support.figures import without_drawing
from tests.support.servers import chat_server, counts
from vqttt.models import ServedOptions
from vqttt.runs.folder import RunFolder
from vqttt.runs.loading import load_records
from vqttt.study import StudyConfig, run
from vqttt.study.config_file import read_config
from vqttt.study.estimate import estimate

pytestmark = pytest.mark.usefixtures("no_server_environment")
STUDY = ("study", "--model", "openai:colors", "--task", "vq-mini", "--degradation", "clean,fog", "--severity", "3")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with chat_server() as running:
        yield running


@pytest.fixture
def no_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages of the reports have no figures: what is sent, counted and resumed does not depend on them."""
    without_drawing(monkeypatch)


def answers_of(folder: Path) -> pl.DataFrame:
    """The records, without what differs between any two runs."""
    return load_records(folder).drop("seconds", "peak_mib").sort("degradation", "method", "sample_id")


def test_a_study_counts_what_it_sends(url: str, tmp_path: Path, capsys, monkeypatch, no_drawings: None) -> None:
    given = (*STUDY, "--base-url", url, "--limit", 30, "--method", "none,vq-select", "--out", tmp_path / "run")
    assert vqttt(monkeypatch, *given) == 0
    shown, used = capsys.readouterr().out, RunFolder(tmp_path / "run").usage()
    records = answers_of(tmp_path / "run")
    untuned = records.filter(pl.col("method") == "none")
    assert len(records) == 120 and set(records["error"]) == {""} and untuned["entropy_before"].min() > 0
    assert 60 <= used["requests"] <= 180 and used["prompt_tokens"] == 15 * used["requests"]
    assert f"sent to servers: {used['requests']} requests" in shown


def test_without_a_method_a_study_takes_those_that_need_no_more(
    url: str, tmp_path: Path, monkeypatch, no_drawings: None
) -> None:
    assert vqttt(monkeypatch, *STUDY, "--base-url", url, "--limit", 5, "--out", tmp_path / "run") == 0
    assert set(load_records(tmp_path / "run")["method"]) == {"none", "vq-select"}


def test_a_study_stops_at_its_limit_and_goes_on(
    url: str, tmp_path: Path, capsys, monkeypatch, no_drawings: None
) -> None:
    given = (*STUDY, "--base-url", url, "--limit", 40, "--method", "none", "--restorer", "none,smooth")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert vqttt(monkeypatch, *given, "--out", whole) == 0
    assert vqttt(monkeypatch, *given, "--out", parts, "--max-requests", 70) == 1
    assert "--max-requests 70 is reached: 10 are left" in capsys.readouterr().err
    assert RunFolder(parts).usage()["requests"] == 60
    assert vqttt(monkeypatch, "study", "--resume", parts, "--concurrency", 3) == 0
    assert answers_of(parts).equals(answers_of(whole))
    assert RunFolder(parts).usage() == RunFolder(whole).usage()
    assert vqttt(monkeypatch, "study", "--resume", parts, "--max-pixels", 10) == 2


def test_a_limit_counts_the_looks_of_methods(url: str, tmp_path: Path, capsys, monkeypatch) -> None:
    given = (*STUDY, "--base-url", url, "--limit", 40, "--method", "none,vq-select", "--out", tmp_path / "run")
    assert vqttt(monkeypatch, *given, "--max-requests", 59) == 1
    assert "59 are left, and the next batch may need 60" in capsys.readouterr().err
    assert vqttt(monkeypatch, *given, "--max-requests", 60) == 1
    kept = [path for path in (tmp_path / "run" / "cells").glob("*.jsonl") if path.stat().st_size]
    assert len(kept) == 2, "a batch was finished, and can be resumed"


@pytest.mark.slow
def test_workers_stop_at_a_limit_as_one_does(url: str, tmp_path: Path, capsys, monkeypatch) -> None:
    given = (*STUDY, "--base-url", url, "--limit", 40, "--method", "none", "--workers", 2, "--out", tmp_path / "run")
    assert vqttt(monkeypatch, *given, "--max-requests", 20) == 1
    assert "goes on where it stopped" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_study_goes_on(url: str, tmp_path: Path, monkeypatch, no_drawings: None) -> None:
    given = (*STUDY, "--base-url", url, "--limit", "100", "--method", "none", "--concurrency", "1", "--out")
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "vqttt.cli", *given, str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 60
    while time.monotonic() < end and not any(path.stat().st_size for path in (killed / "cells").glob("*.jsonl")):
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert len(list((killed / "cells").glob("*.parquet"))) < 2, "it was killed on its way"
    for out in (killed, tmp_path / "whole"):
        assert vqttt(monkeypatch, *given, out) == 0
    assert answers_of(killed).equals(answers_of(tmp_path / "whole"))


def test_requests_that_fail_are_marked_and_counted(url: str, tmp_path: Path) -> None:
    file = tmp_path / "task.jsonl"
    questions = ["what color?", "broken [500*99]", "which color?", "refused [400*99]"]
    rows = [{"image": str(_image(tmp_path)), "question": text, "answer": "green"} for text in questions]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = StudyConfig(
        models=("openai:colors",),
        tasks=(f"jsonl:{file}",),
        degradations=("clean",),
        methods=("none", "vq-select"),
        served=ServedOptions(base_url=url),
    )
    records = load_records(run(config, tmp_path / "run")).sort("method", "sample_id")
    for n, error in enumerate(records["error"]):
        assert error.startswith(("", "the server gave no answer: ", "", "the server refused this: ")[n % 4])
        assert bool(error) == bool(n % 2)
    assert records["score"].to_list() == [1, 0, 1, 0] * 2
    assert counts(url)["seen"]["refused [400*99]"] == 1, "a refusal is not asked again"


def _image(folder: Path) -> Path:
    import numpy as np

    from vqttt.images.files import save_image

    path = folder / "green.png"
    save_image(np.full((20, 20, 3), (10, 200, 30), np.uint8), path)
    return path


def test_a_server_that_goes_down_ends_the_study_in_one_line(tmp_path: Path, capsys, monkeypatch) -> None:
    import vqttt.models.served.client as client

    monkeypatch.setattr(client, "RETRIES", 0)
    with chat_server() as url:
        config = StudyConfig(
            models=("openai:colors",),
            tasks=("vq-mini",),
            degradations=("clean",),
            methods=("none",),
            limit=60,
            served=ServedOptions(base_url=url),
        )
        run(config, tmp_path / "whole")
    given = (*STUDY, "--base-url", url, "--limit", "60", "--method", "none", "--out", tmp_path / "down")
    assert vqttt(monkeypatch, *given) == 2
    assert "cannot be asked" in capsys.readouterr().err and not (tmp_path / "down" / "cells").exists()


def test_no_secret_is_written_or_shown(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hush-hush")
    with chat_server("--key", "sk-hush-hush") as url:
        with_password = url.replace("http://", "http://someone:passw0rd@")
        given = (*STUDY, "--base-url", with_password, "--limit", 5, "--method", "none", "--out", tmp_path / "run")
        # The user name and password would take the place of the key, so this server refuses them.
        assert vqttt(monkeypatch, *given) in (0, 2)
        assert vqttt(monkeypatch, *(url if one == with_password else one for one in given)) in (0, 2)
    captured = capsys.readouterr()
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for secret in ("hush", "passw0rd"):
        assert secret not in captured.out + captured.err
        assert not any(secret.encode() in content for content in written)
    assert written


def test_a_file_describes_a_served_study(url: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f'model = "openai:colors"\n[served]\nbase_url = "{url}"\nconcurrency = 2\n')
    config = read_config(path)
    assert config.served == ServedOptions(base_url=url, concurrency=2)
    assert config.described()["served"] == {"base_url": url}, "how fast it is asked is no part of the study"


def test_a_dry_run_sends_nothing(url: str) -> None:
    before = counts(url)["seen"]
    config = StudyConfig(
        models=("openai:colors",),
        tasks=("vq-mini",),
        degradations=("clean", "fog"),
        severities=(1, 2),
        methods=("none", "vq-select", "tta", "likeliest"),
        limit=10,
        served=ServedOptions(base_url=url),
    )
    found = estimate(config, lambda name: pytest.fail(f"{name} was loaded"))
    assert found.requests == {"openai:colors": 10 * 3 * (1 + 2 + 11)} and found.seconds is None
    assert counts(url)["seen"] == before
