"""A study gives the same records however often it is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import save_file
from spandrel.architectures.Compact import Compact

from tests.support.command import vqttt
from tests.support.figures import without_drawing
from vqttt.errors import InputError, RunFolderError, UnknownNameError
from vqttt.images.files import save_image
from vqttt.images.restorers import fingerprint
from vqttt.methods import METHODS, VQTTT
from vqttt.models import load_model
from vqttt.models.fake import FakeTunableModel
from vqttt.results.paradox import redraws
from vqttt.results.report import write_html
from vqttt.runs.loading import load_records
from vqttt.runs.records import Record
from vqttt.study.config import PRESETS, StudyConfig
from vqttt.study.estimate import estimate
from vqttt.study.plan import Cell, conditions
from vqttt.study.runner import run
from vqttt.tasks import load_task
from vqttt.types import Condition

SMALL = StudyConfig(
    models=("fake",),
    tasks=("digits",),
    degradations=("clean", "gaussian_noise"),
    severities=(2, 5),
    methods=("none", "vq-select", "vq-ttt-episodic"),
    limit=12,
    batch=5,
)

RESTORED = ("none", "matched", "clahe")


def quiet(done: int, total: int, what: str) -> None: ...


def records(folder: Path) -> pl.DataFrame:
    frames = [pl.read_parquet(path) for path in sorted((folder / "cells").glob("*.parquet"))]
    return pl.concat(frames).drop("seconds", "peak_mib")


def examples(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (folder / "examples").iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "whole"
    run(SMALL, folder, FakeTunableModel, quiet)
    return folder


def test_every_cell_holds_every_sample(whole: Path) -> None:
    frame = records(whole)
    assert len(frame) == 3 * 3 * 12
    counted = frame.group_by("degradation", "severity", "method").len()
    assert counted["len"].to_list() == [12] * 9
    assert not list((whole / "cells").glob("*.jsonl"))
    description = json.loads((whole / "run.json").read_text())
    assert description["config"]["limit"] == 12
    assert len(description["weights"]) == 64


def test_methods_see_the_same_images_and_untuned_answers(whole: Path) -> None:
    frame = records(whole)
    shared = frame.group_by("degradation", "severity", "sample_id").agg(
        pl.col("image_sha256").n_unique(), pl.col("base_answer").n_unique(), pl.col("entropy_before").n_unique()
    )
    assert shared.select(pl.exclude("degradation", "severity", "sample_id").max()).row(0) == (1, 1, 1)


def test_running_again_changes_nothing(whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file()}
    calls = []
    run(SMALL, whole, FakeTunableModel, lambda done, total, what: calls.append((done, total)))
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file()} == before
    assert calls[-1] == (108, 108)


def test_progress_reaches_its_total(tmp_path: Path) -> None:
    calls = []
    run(SMALL, tmp_path / "run", FakeTunableModel, lambda done, total, what: calls.append((done, total)))
    assert calls[-1] == (108, 108)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


@pytest.mark.parametrize("stop_after", [1, 4, 8, 11, 15, 20])
def test_a_stopped_run_resumes_to_the_same_records(whole: Path, tmp_path: Path, stop_after: int) -> None:
    def stop(done: int, total: int, what: str) -> None:
        stop.calls += 1
        if stop.calls == stop_after:
            raise KeyboardInterrupt

    stop.calls = 0
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(SMALL, folder, FakeTunableModel, stop)
    for unfinished in (folder / "cells").glob("*.jsonl"):  # as if the kill had fallen into a write
        with unfinished.open("a") as file:
            file.write('{"sample_id": "digits-te')
    run(SMALL, folder, FakeTunableModel, quiet)
    assert records(folder).equals(records(whole))


@pytest.mark.slow
def test_kill_dash_nine_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill the real command three times, then let it finish here; compare with a run that was left alone."""
    command = [
        "study", "--model", "fake", "--task", "vq-mini", "--limit", "60",
        "--degradation", "fog", "--degradation", "snow", "--severity", "3", "--out",
    ]  # fmt: skip
    killed = 0
    for wait in (0.2, 0.5, 1.0):
        process = subprocess.Popen(
            [sys.executable, "-m", "vqttt.cli", *command, str(tmp_path / "killed")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while (
            not list(tmp_path.glob("killed/cells/*.jsonl")) and process.poll() is None and time.monotonic() < deadline
        ):
            time.sleep(0.01)
        time.sleep(wait * 0.3)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed, "the run was over before it could be killed"
    without_drawing(monkeypatch)
    for name in ("killed", "alone"):
        assert vqttt(monkeypatch, *command, tmp_path / name) == 0
    assert records(tmp_path / "killed").equals(records(tmp_path / "alone"))


def test_a_different_study_is_not_overwritten(whole: Path) -> None:
    with pytest.raises(RunFolderError, match=r"holds a different study \(config: seeds is \[0\], not \[1\]\)"):
        run(replace(SMALL, seeds=(1,)), whole, FakeTunableModel, quiet)


def test_a_run_killed_at_its_very_start_goes_on(tmp_path: Path, whole: Path) -> None:
    (tmp_path / "run" / "cells").mkdir(parents=True)
    (tmp_path / "run" / "run.json.part").write_text("{")
    run(SMALL, tmp_path / "run", FakeTunableModel, quiet)
    assert records(tmp_path / "run").equals(records(whole))


def test_examples_survive_a_kill_before_the_end_of_a_cell(tmp_path: Path, whole: Path) -> None:
    for key in (path.stem for path in (whole / "examples").iterdir()):
        shutil.copytree(whole, tmp_path / "run", dirs_exist_ok=True)
        if key.endswith("~quality"):
            (tmp_path / "run" / "examples" / f"{key}.json").unlink()
            key = key.removesuffix("~quality")
        finished = tmp_path / "run" / "cells" / f"{key}.parquet"
        if "episodic" in key:
            columns = [field.name for field in fields(Record)]
            rows = pl.read_parquet(finished).select(columns).rows(named=True)
            finished.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        finished.unlink()
        run(SMALL, tmp_path / "run", FakeTunableModel, quiet)
        assert examples(tmp_path / "run") == examples(whole)


def test_examples_show_the_flips_that_records_tell_of(whole: Path) -> None:
    frame = pl.concat([pl.read_parquet(path) for path in (whole / "cells").glob("*.parquet")])
    clean = {row["sample_id"]: row for row in frame.filter(degradation="clean", method="none").to_dicts()}
    shown = 0
    for cell in map(json.loads, examples(whole).values()):
        keys = ("degradation", "severity", "method")
        rows = {row["sample_id"]: row for row in frame.filter(**{key: cell[key] for key in keys}).to_dicts()}
        for example in cell["examples"]:
            row, before = rows[example["sample_id"]], clean[example["sample_id"]]
            gain = {
                "corrective": row["score"] - row["base_score"],
                "destructive": row["base_score"] - row["score"],
                "helped": row["base_score"] - before["base_score"],
                "hurt": before["base_score"] - row["base_score"],
                "same": row["steps"],
            }
            assert gain[example["flip"]] > 0
            assert example["base_answer"] == row["base_answer"]
            assert ("how" in example) == ("filtered" in example) == (cell["method"] != "none")
            assert example.get("clean_answer", before["base_answer"]) == before["base_answer"]
            shown += 1
    assert shown > 5


def test_several_seeds_are_cells_of_their_own_and_tell_luck_from_effect(tmp_path: Path, whole: Path) -> None:
    run(replace(SMALL, seeds=(0, 1)), tmp_path / "both", FakeTunableModel, quiet)
    run(replace(SMALL, seeds=(1,)), tmp_path / "second", FakeTunableModel, quiet)
    alone = pl.concat([records(whole), records(tmp_path / "second")])
    order = ["seed", "method", "degradation", "severity", "sample_id"]
    assert records(tmp_path / "both").sort(order).equals(alone.sort(order))
    assert examples(tmp_path / "both") == examples(whole) | examples(tmp_path / "second")
    assert redraws(load_records(tmp_path / "both"))["seeds"].to_list() == [2]


def test_a_method_that_fails_marks_its_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self, inputs, base):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(VQTTT, "answer", fail)
    run(replace(SMALL, methods=("vq-ttt", "none")), tmp_path / "run", FakeTunableModel, quiet)
    frame = records(tmp_path / "run")
    assert (frame.filter(method="none")["error"] == "").all()
    assert set(frame.filter(method="vq-ttt")["error"]) == {"the method failed: RuntimeError: out of memory"}


def test_batches_that_failed_are_no_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their score falls to 0, and the method cannot show what it did."""

    def fail(self, inputs, base, **learn):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(VQTTT, "attempts", fail)
    config = replace(SMALL, tasks=("vq-mini",), limit=40, methods=("none", "vq-ttt"), degradations=("gaussian_noise",))
    run(config, tmp_path / "run", FakeTunableModel, quiet)
    failed = records(tmp_path / "run").filter(method="vq-ttt").filter(pl.col("error") != "")
    assert (failed["base_score"] > failed["score"]).any()
    (shown,) = {text for name, text in examples(tmp_path / "run").items() if "vq-ttt~" in name and "-5~" in name}
    assert json.loads(shown)["examples"] == []


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunFolderError, match="not a run folder"):
        run(SMALL, tmp_path, FakeTunableModel, quiet)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError):
        run(SMALL, tmp_path / "file" / "below", FakeTunableModel, quiet)


def test_seeds_change_images_and_order_does_not(tmp_path: Path, whole: Path) -> None:
    run(replace(SMALL, seeds=(1,)), tmp_path / "other", FakeTunableModel, quiet)
    mine, other = (
        frame.filter(degradation="gaussian_noise")["image_sha256"]
        for frame in map(records, (whole, tmp_path / "other"))
    )
    assert not set(mine) & set(other)
    run(
        replace(SMALL, methods=("vq-select",), degradations=("gaussian_noise",)),
        tmp_path / "part",
        FakeTunableModel,
        quiet,
    )
    part = records(whole).filter(degradation="gaussian_noise", method="vq-select")
    assert records(tmp_path / "part").equals(part)


def test_a_failing_sample_is_marked_and_the_rest_runs(tmp_path: Path) -> None:
    save_image(np.full((20, 30, 3), 200, np.uint8), tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"not an image")
    rows = [{"image": name, "question": "what color?", "answer": "red"} for name in ("good.png", "bad.png", "good.png")]
    (tmp_path / "q.jsonl").write_text("\n".join(["{oops", *map(json.dumps, rows)]))
    config = replace(SMALL, tasks=(f"jsonl:{tmp_path / 'q.jsonl'}",), limit=None)
    run(config, tmp_path / "run", FakeTunableModel, quiet)
    frame = records(tmp_path / "run").filter(method="vq-select", degradation="clean").sort("sample_id")
    assert [bool(error) for error in frame["error"]] == [True, False, True, False]
    assert "line 1" in frame["error"][0]
    assert "bad.png" in frame["error"][2]
    assert frame["score"][0] == 0


def test_a_model_that_chokes_on_one_sample_answers_the_others(tmp_path: Path) -> None:
    class Choking(FakeTunableModel):
        def encode(self, images, questions):
            if any("sum" in question for question in questions):
                raise ValueError("too hard")
            return super().encode(images, questions)

    config = replace(SMALL, tasks=("vq-mini",), limit=None, degradations=("clean",), methods=("none",), batch=50)
    tasks = load_task("vq-mini", 50)
    run(replace(config, limit=50), tmp_path / "run", Choking, quiet)
    frame = records(tmp_path / "run")
    hard = {sample.id for sample in tasks if "sum" in sample.question}
    assert hard
    assert set(frame.filter(pl.col("error") != "")["sample_id"]) == hard


def test_a_full_disk_loses_nothing(tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, real, calls = tmp_path / "run", os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 12:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run(SMALL, folder, FakeTunableModel, quiet)
    monkeypatch.setattr(os, "fsync", real)
    run(SMALL, folder, FakeTunableModel, quiet)
    assert records(folder).equals(records(whole))


def test_unknown_names_are_caught_before_anything_runs() -> None:
    with pytest.raises(UnknownNameError, match="did you mean snow"):
        replace(SMALL, degradations=("snwo",))
    with pytest.raises(UnknownNameError, match="vq-ttt"):
        replace(SMALL, methods=("vqttt",))
    with pytest.raises(InputError, match="severity 6"):
        replace(SMALL, severities=(6,))
    with pytest.raises(InputError, match="limit"):
        replace(SMALL, limit=0)
    with pytest.raises(InputError, match="seeds"):
        replace(SMALL, seeds=())


def test_a_method_that_needs_more_than_the_model_offers_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    config = replace(SMALL, models=("fake-plain",), methods=("none", "vq-ttt"), degradations=("clean",))
    with pytest.raises(InputError, match="fake-plain"):
        run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="fake-plain"):
        estimate(config, load_model)
    run(replace(config, methods=("none",)), tmp_path / "run")
    assert (records(tmp_path / "run")["error"] == "").all()


def test_a_method_of_ones_own_runs_under_its_name(tmp_path: Path) -> None:
    own = {"same": {"base": "vq-ttt"}, "longer": {"base": "vq-ttt", "steps": 3}}
    config = replace(SMALL, degradations=("gaussian_noise",), methods=("vq-ttt", *own), method_settings=own)
    run(config, tmp_path / "run", FakeTunableModel)
    frame = records(tmp_path / "run")
    registered, same, longer = (frame.filter(method=name).drop("method") for name in config.methods)
    assert same.equals(registered)
    assert longer["steps"].max() == 3
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["methods"]
    assert settings["same"] == settings["vq-ttt"] == json.loads(json.dumps(METHODS["vq-ttt"].settings()))
    assert settings["longer"]["steps"] == 3
    with pytest.raises(RunFolderError, match="holds a different study"):
        run(
            replace(config, method_settings=own | {"longer": {"steps": 4, "base": "vq-ttt"}}),
            tmp_path / "run",
            FakeTunableModel,
        )


def test_grid_and_presets() -> None:
    quick = PRESETS["quick"]
    assert quick.methods == ("none", "vq-select", "vq-ttt")
    assert quick.models == ("embedded", "embedded-soft")
    assert PRESETS["paper"].methods == ("none", "vq-ttt", "vq-ttt-episodic")
    assert len(conditions(quick)) == 2 * (1 + 3 * 2)
    assert quick.limit is not None
    assert quick.limit >= 200
    assert len(conditions(PRESETS["paper"])) == 1 + 8 * 5
    keys = {
        Cell(model=model, task=task, condition=Condition(), method="none", seed=0).key
        for model in ("a/b", "a-b")
        for task in ("jsonl:x/y.jsonl", "jsonl:x-y.jsonl")
    }
    assert len(keys) == 4
    assert not any("/" in key for key in keys)


def test_restorers_are_columns_of_the_grid(tmp_path: Path) -> None:
    config = replace(SMALL, degradations=("clean", "impulse_noise"), severities=(4,), methods=("none",))
    config = replace(config, restorers=RESTORED)
    run(config, tmp_path / "run", FakeTunableModel, quiet)
    frame = records(tmp_path / "run")
    assert len(frame) == 2 * 3 * 12
    noisy = {name: frame.filter(degradation="impulse_noise", restorer=name).sort("sample_id") for name in RESTORED}
    assert noisy["matched"]["psnr"].mean() > noisy["none"]["psnr"].mean() + 3
    assert not set(noisy["matched"]["image_sha256"]) & set(noisy["none"]["image_sha256"])
    clean = {name: frame.filter(degradation="clean", restorer=name).sort("sample_id") for name in RESTORED}
    assert clean["matched"]["image_sha256"].equals(clean["none"]["image_sha256"])
    identity = json.loads((tmp_path / "run" / "run.json").read_text())["restorers"]
    assert identity == {"none": "", "matched": fingerprint("matched"), "clahe": ""}

    page = write_html(tmp_path / "run").read_text()
    assert "Restorers and methods" in page and "matched" in page


def test_a_restorer_whose_weights_changed_is_another_study(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "net.safetensors"
    config = replace(SMALL, degradations=("fog",), severities=(3,), methods=("none",), limit=2)
    config = replace(config, restorers=(f"spandrel:{weights}",))
    with pytest.raises(InputError, match="no such file"):
        run(config, tmp_path / "run", FakeTunableModel, quiet)
    assert not (tmp_path / "run").exists()
    for changed in (False, True):
        save_file(Compact(num_feat=4, num_conv=1, upscale=1).state_dict(), weights)
        if changed:
            with pytest.raises(RunFolderError, match=r"different study \(restorers"):
                run(config, tmp_path / "run", FakeTunableModel, quiet)
        else:
            run(config, tmp_path / "run", FakeTunableModel, quiet)
            assert (records(tmp_path / "run")["error"] == "").all()
