"""What the tests of engines share: a study, models that are slow or broken, and how runs are compared."""

import os
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import polars as pl

from vqttt.models.fake import FakeTunableModel
from vqttt.study.config import StudyConfig

STUDY = StudyConfig(
    models=("fake",),
    tasks=("digits", "vq-mini"),
    degradations=("clean", "fog", "gaussian_noise"),
    severities=(2, 5),
    methods=("none", "vq-ttt", "vq-ttt-episodic"),
    limit=12,
    batch=5,
)


class SlowModel(FakeTunableModel):
    """A model that is slow enough for a study to be stopped in the middle."""

    def generate(self, inputs, max_new_tokens):
        time.sleep(0.1)
        return super().generate(inputs, max_new_tokens)


class HeldModel(FakeTunableModel):
    """A model that stops in the middle of its first job until a worker has been killed, for two minutes at most.

    So both workers are in a job when that happens, however unequal they are. A worker whose parent process is gone
    stays stopped: when a node of Ray's dies, its workers live on for a moment, in which one could finish its job.
    """

    def __init__(self, killed: Path, name: str) -> None:
        """Take the file that tells that a worker has been killed."""
        super().__init__(name)
        self.killed, self.passes, self.parent = killed, 0, os.getppid()

    def generate(self, inputs, max_new_tokens):
        self._hold()
        return super().generate(inputs, max_new_tokens)

    def generate_with_gradient(self, inputs, max_new_tokens):
        self._hold()
        return super().generate_with_gradient(inputs, max_new_tokens)

    def _hold(self) -> None:
        self.passes += 1
        end = time.monotonic() + 120
        while self.passes > 4 and self._waits() and time.monotonic() < end:
            time.sleep(0.02)

    def _waits(self) -> bool:
        return not self.killed.exists() or os.getppid() != self.parent


class HopelessModel(FakeTunableModel):
    """A model that raises an unexpected error as soon as a job makes examples."""

    def to_image(self, pixels):
        raise KeyError("weights")


class Killer:
    """A progress callback that kills a worker once two jobs are half done, so that one is lost whoever dies.

    Attributes:
        load: loads a model that waits for that (see `HeldModel`).
    """

    def __init__(self, folder: Path, kill: Callable[[], None]) -> None:
        self.kill, self.killed = kill, folder / "killed"
        self.load = partial(HeldModel, self.killed)
        self.records, self.totals = defaultdict[str, int](int), [0]

    def __call__(self, done: int, total: int, what: str) -> None:
        self.records[what] += done - self.totals[-1]
        self.totals.append(done)
        if not self.killed.exists() and sum(10 <= count < 36 for count in self.records.values()) == 2:
            self.kill()
            self.killed.touch()

    def check(self, total: int) -> None:
        """A worker was killed, its job was started again, and everything was finished."""
        assert self.killed.exists()
        assert any(after < before for before, after in pairwise(self.totals)), "no job was started again"
        assert self.totals[-1] == total


def records(folder: Path) -> pl.DataFrame:
    """All records, without the column that differs from run to run."""
    frames = [pl.read_parquet(path) for path in sorted((folder / "cells").glob("*.parquet"))]
    return pl.concat(frames).drop("seconds", "peak_mib")


def examples(folder: Path) -> dict[str, str]:
    """The content of all example files, by name."""
    return {path.name: path.read_text() for path in (folder / "examples").iterdir()}


def assert_equal(one: Path, other: Path) -> None:
    """Two runs have the same records and examples, and left no temporary files."""
    assert records(one).equals(records(other))
    assert examples(one) == examples(other)
    assert not [path for path in one.rglob("*") if path.suffix in (".jsonl", ".part")]
