"""What the tests of engines share: a study that takes a while, and how runs are compared."""

import time
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import polars as pl

from vqttt.models.fake import FakeTunableModel
from vqttt.study.config import StudyConfig

STUDY = StudyConfig(
    model="fake",
    tasks=("digits", "vq-mini"),
    degradations=("clean", "fog", "gaussian_noise"),
    severities=(2, 5),
    methods=("none", "vq-ttt", "vq-ttt-episodic"),
    limit=12,
    batch=5,
)


class SlowModel(FakeTunableModel):
    """One that takes its time, so that there is a middle of a job to be killed in."""

    def generate(self, inputs, max_new_tokens):
        time.sleep(0.1)
        return super().generate(inputs, max_new_tokens)


class HopelessModel(FakeTunableModel):
    """One that breaks in a way that nobody foresaw, where a method changes the images."""

    def with_pixels(self, inputs, pixels):
        raise KeyError("weights")


class Killer:
    """Progress that kills once two jobs are in their midst, so that a job is lost whichever worker dies."""

    def __init__(self, kill: Callable[[], None]) -> None:
        self.kill, self.killed = kill, False
        self.records, self.totals = defaultdict[str, int](int), [0]

    def __call__(self, done: int, total: int, what: str) -> None:
        self.records[what] += done - self.totals[-1]
        self.totals.append(done)
        if not self.killed and sum(10 <= count < 36 for count in self.records.values()) == 2:
            self.killed = True
            self.kill()

    def check(self, total: int) -> None:
        """Somebody was killed, a job begun again, and all was done."""
        assert self.killed
        assert any(after < before for before, after in pairwise(self.totals)), "no job was begun again"
        assert self.totals[-1] == total


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
