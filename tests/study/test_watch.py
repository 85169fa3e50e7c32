"""A study in which nothing is answered stops with the reason; one with a few failures goes on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.support.engines import STUDY
from vqttt.errors import EngineError, InputError, VQTTTError
from vqttt.images.files import save_image
from vqttt.methods import VQTTT
from vqttt.models.fake import FakeTunableModel
from vqttt.runs.loading import load_records
from vqttt.study.engines import EngineOptions
from vqttt.study.runner import run

CONFIG = replace(STUDY, tasks=("digits", "vq-mini"), degradations=("clean", "fog"), severities=(5,), limit=60, batch=20)


class Unusable(FakeTunableModel):
    """A checkpoint that cannot answer anything."""

    asked = 0

    def ask(self, images, questions, max_new_tokens):
        type(self).asked += 1
        raise ValueError("patch_size is missing")


class Late(FakeTunableModel):
    """A model that only answers questions with the word digit."""

    def ask(self, images, questions, max_new_tokens):
        if not all("digit" in question for question in questions):
            raise ValueError("too hard")
        return super().ask(images, questions, max_new_tokens)


REASON = "all failed with: the model cannot answer this: ValueError: patch_size is missing"


def test_a_model_that_cannot_answer_anything_stops_the_study_at_once(tmp_path: Path) -> None:
    Unusable.asked = 0
    with pytest.raises(InputError, match=f"digits clean: not one of .* answers succeeded.*{REASON}"):
        run(CONFIG, tmp_path / "run", Unusable)
    assert 0 < Unusable.asked <= 21, "it is not asked more than one batch, together and one by one"
    run(replace(CONFIG, seeds=(1,), limit=4, methods=("none",)), tmp_path / "run", FakeTunableModel)
    assert (load_records(tmp_path / "run")["error"] == "").all(), "nothing of the failed study is left"


def test_so_does_one_that_has_a_single_batch(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"not one of 3 answers succeeded.*{REASON}"):
        run(replace(CONFIG, limit=3, methods=("none",)), tmp_path / "run", Unusable)


def test_so_it_does_in_workers(tmp_path: Path) -> None:
    with pytest.raises(VQTTTError, match=REASON) as raised:
        # A task and a method that are quickly ready, because every process loads them. There are so many questions that
        # no worker is through with a cell before the study is told of the first batch.
        quick = replace(CONFIG, tasks=("easy-vqa",), methods=("none",), limit=3000)
        run(quick, tmp_path / "run", Unusable, engine=EngineOptions(workers=2))
    assert not isinstance(raised.value, EngineError)
    assert not (tmp_path / "run" / "run.json").exists()


def test_cells_that_workers_finish_without_an_answer_are_forgotten(tmp_path: Path) -> None:
    short = replace(CONFIG, tasks=("easy-vqa",), methods=("none",), limit=3)
    with pytest.raises(VQTTTError, match=REASON):
        run(short, tmp_path / "run", Unusable, engine=EngineOptions(workers=2))
    run(short, tmp_path / "run", FakeTunableModel)
    assert (load_records(tmp_path / "run")["error"] == "").all(), "the same command starts afresh"


def test_a_task_that_fails_after_another_was_answered_is_marked(tmp_path: Path) -> None:
    run(replace(CONFIG, limit=20, methods=("none",)), tmp_path / "run", Late)
    failed = load_records(tmp_path / "run").group_by("task").agg((pl.col("error") != "").mean())
    shares = dict(failed.iter_rows())
    assert shares["digits"] < 0.5 and shares["vq-mini"] == 1.0


def test_a_study_whose_only_method_always_fails_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self, inputs, base):
        raise RuntimeError("no gradient")

    monkeypatch.setattr(VQTTT, "answer", fail)
    with pytest.raises(InputError, match="all failed with: the method failed: RuntimeError: no gradient"):
        run(replace(CONFIG, methods=("vq-ttt",)), tmp_path / "one", FakeTunableModel)
    run(replace(CONFIG, methods=("vq-ttt", "none"), limit=20), tmp_path / "two", FakeTunableModel)


def test_missing_images_stop_a_study_with_the_main_reason(tmp_path: Path) -> None:
    rows = [{"image": f"{n}.png", "question": "what?", "answer": "red"} for n in range(4)]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = replace(CONFIG, tasks=(f"jsonl:{tmp_path / 'q.jsonl'}",), methods=("none",))
    with pytest.raises(InputError, match=r"1 of them failed with: .*0\.png: no such file"):
        run(config, tmp_path / "run", FakeTunableModel)
    save_image(np.full((20, 20, 3), 200, np.uint8), tmp_path / "1.png")
    run(config, tmp_path / "run", FakeTunableModel)
    assert (load_records(tmp_path / "run")["error"] != "").sum() == 6


def test_a_finished_run_without_any_answer_is_no_success(tmp_path: Path) -> None:
    config = replace(CONFIG, limit=3, methods=("none",), degradations=("clean",), tasks=("digits",))
    run(config, tmp_path / "run", FakeTunableModel)
    run(config, tmp_path / "run", FakeTunableModel)  # all of it is there already, and answered
    (cell,) = (tmp_path / "run" / "cells").iterdir()
    pl.read_parquet(cell).with_columns(error=pl.lit("out of memory")).write_parquet(cell)
    with pytest.raises(InputError, match=r"not one answer of the run succeeded.*all failed with: out of memory"):
        run(config, tmp_path / "run", FakeTunableModel)
