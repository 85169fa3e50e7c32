"""What the tests of engines share: a study that takes a while, and how runs are compared."""

import time
from pathlib import Path

import polars as pl

from vqttt.models.fake import FakeModel
from vqttt.study import StudyConfig

STUDY = StudyConfig(
    model="fake",
    tasks=("digits", "vq-mini"),
    degradations=("clean", "fog", "gaussian_noise"),
    severities=(2, 5),
    methods=("none", "vq-ttt-static", "vq-ttt-episodic"),
    limit=12,
    batch=5,
)


class SlowModel(FakeModel):
    """One that takes its time, so that there is a middle of a job to be killed in."""

    def generate(self, inputs, max_new_tokens):
        time.sleep(0.05)
        return super().generate(inputs, max_new_tokens)


class HopelessModel(FakeModel):
    """One that breaks in a way that nobody foresaw."""

    def generate(self, inputs, max_new_tokens):
        raise KeyError("weights")


def records(folder: Path) -> pl.DataFrame:
    """All records, without the one column that no two runs share."""
    frames = [pl.read_parquet(path) for path in sorted((folder / "cells").glob("*.parquet"))]
    return pl.concat(frames).drop("seconds")


def examples(folder: Path) -> dict[str, str]:
    """All files of examples."""
    return {path.name: path.read_text() for path in (folder / "examples").iterdir()}


def assert_equal(one: Path, other: Path) -> None:
    """Two runs have the same records and examples, and left nothing behind."""
    assert records(one).equals(records(other))
    assert examples(one) == examples(other)
    assert not [path for path in one.rglob("*") if path.suffix in (".jsonl", ".part")]
