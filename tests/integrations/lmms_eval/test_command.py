"""The command `lmms-eval` on a local task, against `vqttt study` on the same images."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch

from tests.integrations.lmms_eval.questions import TASKS, write
from vqttt.images.files import save_image
from vqttt.runs.loading import load_records
from vqttt.study.config import StudyConfig
from vqttt.study.runner import run
from vqttt.tasks import vq_mini

COUNT, BATCH = 120, 20
RUNS = {
    ("clean", "none"): "method=none",
    ("fog", "none"): "method=none,degradation=fog,severity=5",
    ("fog", "vq-select"): "method=vq-select,degradation=fog,severity=5",
}


def command(folder: Path, arguments: str, out: str, model: str = "vqttt") -> tuple[str, list[str], float]:
    """Run the command with its response cache; returns what it printed, the answers and the accuracy."""
    asked = ["--model", model, "--model_args", arguments, "--tasks", "scenes"]
    asked += ["--include_path", TASKS, "--log_samples", "--output_path", out, "--use_cache", "cache"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [Path(sys.executable).parent / "lmms-eval", *asked],
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    results = [json.loads(path.read_text()) for path in (folder / out).rglob("*_results.json")]
    assert len(results) == 1, done.stdout + done.stderr
    (samples,) = (folder / out).rglob("*_samples_scenes.jsonl")
    rows = sorted(map(json.loads, samples.read_text().splitlines()), key=lambda row: row["doc_id"])
    answers = [row["filtered_resps"] for row in rows]
    return done.stdout, answers, results[0]["results"]["scenes"]["accuracy,none"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("harness")
    write(made, COUNT)
    return made


@pytest.fixture(scope="module")
def ran(folder: Path):
    return {
        cell: command(folder, f"pretrained=embedded,{arguments}", "-".join(cell)) for cell, arguments in RUNS.items()
    }


@pytest.fixture(scope="module")
def studied(folder: Path) -> pl.DataFrame:
    """The records of a study of the same images, whose ids are those under which the plug-in draws."""
    lines = []
    for n, sample in enumerate(vq_mini.samples("test", COUNT)):
        save_image(sample.load(), folder / f"{n}.png")
        fields = {"id": f"scenes:{n}:0", "image": f"{n}.png"}
        lines.append(json.dumps(fields | {"question": sample.question, "answer": sample.answers[0]}))
    (folder / "scenes.jsonl").write_text("\n".join(lines))
    config = StudyConfig(
        tasks=(f"jsonl:{folder / 'scenes.jsonl'}",),
        degradations=("clean", "fog"),
        severities=(5,),
        methods=("none", "vq-select"),
        batch=BATCH,
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    run(config, folder / "study")
    torch.set_num_threads(threads)
    return load_records(folder / "study")


@pytest.mark.parametrize("cell", RUNS, ids="-".join)
def test_answers_and_accuracy_are_those_of_a_study(cell, ran, studied: pl.DataFrame) -> None:
    _, answers, accuracy = ran[cell]
    rows = {row["sample_id"]: row for row in studied.filter(degradation=cell[0], method=cell[1]).to_dicts()}
    expected = [rows[f"scenes:{n}:0"] for n in range(COUNT)]
    assert answers == [row["answer"] for row in expected]
    assert accuracy == pytest.approx(sum(row["score"] for row in expected) / COUNT)


def test_fog_costs_accuracy_and_tuning_changes_answers(ran) -> None:
    (_, clear, best), (_, foggy, worse), (_, tuned, _) = ran.values()
    assert best > worse + 0.1
    assert sum(a != b for a, b in zip(clear, foggy, strict=True)) > COUNT / 10
    assert sum(a != b for a, b in zip(foggy, tuned, strict=True)) > COUNT / 10
    said = ran["fog", "vq-select"][0]
    assert f"vqttt, scenes: {COUNT} answered" in said
    assert "none failed" in said


def test_the_response_cache_tells_settings_apart(folder: Path, ran) -> None:
    for said, _, _ in ran.values():  # all had one cache
        assert f"0 hits, {COUNT} misses" in said
    again, answers, accuracy = command(folder, f"pretrained=embedded,{RUNS['fog', 'vq-select']}", "again")
    assert f"all {COUNT} requests served from cache" in again
    assert (answers, accuracy) == ran["fog", "vq-select"][1:]
