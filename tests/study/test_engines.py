"""Where a study runs changes nothing but the time it takes."""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from tests.support.engines import STUDY, HopelessModel, Killer, SlowModel, assert_equal
from vqttt.errors import EngineError, InputError, UnknownNameError
from vqttt.models.fake import FakeTunableModel
from vqttt.study.engines import EngineOptions
from vqttt.study.engines.dispatch import Failed, Finished, Lost, Message, Ready, dispatch
from vqttt.study.plan import Job, rounds
from vqttt.study.runner import IDENTITY, run
from vqttt.study.worker import Filled, Worker, WorkerSpec

SHORT = replace(STUDY, tasks=("digits",), severities=(5,))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(run(STUDY, tmp_path_factory.mktemp("alone") / "run"))


def test_two_workers_write_what_one_does(tmp_path: Path, alone: Path, one_thread: None) -> None:
    run(STUDY, tmp_path / "run", engine=EngineOptions(workers=2))
    assert_equal(tmp_path / "run", alone)


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(tmp_path: Path, alone: Path, one_thread: None) -> None:
    killer = Killer(tmp_path, lambda: os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL))
    run(STUDY, tmp_path / "run", killer.load, killer, engine=EngineOptions(workers=2))
    killer.check(2 * 5 * 3 * 12)
    assert_equal(tmp_path / "run", alone)


@pytest.mark.slow
def test_a_study_interrupted_with_two_workers_is_resumed_by_one(tmp_path: Path, alone: Path, one_thread: None) -> None:
    def stop(done: int, total: int, what: str) -> None:
        if done >= 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(STUDY, tmp_path / "run", SlowModel, stop, engine=EngineOptions(workers=2))
    assert not multiprocessing.active_children()
    run(STUDY, tmp_path / "run")
    assert_equal(tmp_path / "run", alone)


@pytest.mark.slow
def test_what_goes_wrong_in_a_worker_is_said_here(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EngineError, match=r"digits .*KeyError: 'weights'"):
        run(SHORT, tmp_path / "run", HopelessModel, engine=EngineOptions(workers=2))
    assert "in to_image" in capfd.readouterr().err, "the traceback is needed to fix it"
    with pytest.raises(UnknownNameError, match="unknown model 'fak'; did you mean fake"):
        run(replace(SHORT, models=("fak",)), tmp_path / "run", engine=EngineOptions(workers=2))
    assert not multiprocessing.active_children()


def test_a_worker_wrongly_taken_for_dead_spoils_nothing(tmp_path: Path, alone: Path) -> None:
    spec = WorkerSpec(config=STUDY, out=str(tmp_path / "shared"), load=FakeTunableModel)
    slow, replacement = Worker(spec, "a"), Worker(spec, "b")
    slow.folder.open(slow.description | {"command": ""}, IDENTITY)
    job = rounds(STUDY)[0][1]
    first, second = slow.run(job), replacement.run(job)
    for _ in range(4):
        next(first)
    for _ in range(5):
        next(second)
    list(first)
    list(second)
    cells = sorted(path.name for path in (tmp_path / "shared" / "cells").iterdir())
    assert len(cells) == 3
    for name in cells:
        ours, theirs = (pl.read_parquet(run / "cells" / name) for run in (tmp_path / "shared", alone))
        assert ours.drop("seconds", "peak_mib").equals(theirs.drop("seconds", "peak_mib"))


class ScriptedWorker:
    """A worker whose messages about each job are given."""

    def __init__(self, script: Callable[[Job], list[Message]]) -> None:
        self.script = script
        self.messages: list[Message] = [Ready({}, {"t": 4}, {"fake": "fake"})]
        self.stopped = False

    def send(self, job: Job) -> None:
        self.messages = self.script(job)

    def receive(self) -> Message:
        return self.messages.pop(0)

    def stop(self) -> None:
        self.stopped = True


class ScriptedPool:
    def __init__(self, script: Callable[[Job], list[Message]]) -> None:
        self.script, self.started = script, list[ScriptedWorker]()

    def start(self) -> ScriptedWorker:
        self.started.append(ScriptedWorker(self.script))
        return self.started[-1]

    def wait(self, workers: list[ScriptedWorker]) -> list[ScriptedWorker]:
        return [worker for worker in workers if worker.messages]


def test_jobs_are_sent_in_rounds_and_started_again_when_lost() -> None:
    tries, order = Counter[str](), []

    def script(job: Job) -> list[Message]:
        tries[job.task] += 1
        order.append(job.task)
        return (
            [Filled(records=2), Lost("gone")] if job.task == "b" and tries["b"] < 3 else [Filled(records=4), Finished()]
        )

    pool, ready = ScriptedPool(script), []
    jobs = [[Job(model="fake", task=name, seed=0) for name in "abc"], [Job(model="fake", task="last", seed=0)]]
    events = list(dispatch(pool, jobs, ready.append, EngineOptions(workers=2, retries=2)))
    assert tries == {"a": 1, "b": 3, "c": 1, "last": 1}
    assert order[-1] == "last"
    assert [filled.records for job, filled in events if job.task == "b"] == [2, 2, 4]
    assert len(pool.started) == 4 and all(worker.stopped for worker in pool.started)
    assert len(ready) == 4


@pytest.mark.parametrize(
    ("message", "reason"),
    [(Lost("exit code -9"), "3 workers were lost; the last one: exit code -9"), (Failed("no"), "no")],
)
def test_too_many_losses_or_a_failure_end_the_study(message: Message, reason: str) -> None:
    pool = ScriptedPool(lambda job: [message])
    with pytest.raises(EngineError, match=reason):
        list(dispatch(pool, [[Job(model="fake", task="a", seed=0)]], lambda _: None, EngineOptions(retries=2)))
    assert all(worker.stopped for worker in pool.started)


def test_options_that_cannot_be() -> None:
    with pytest.raises(UnknownNameError, match="did you mean ray"):
        EngineOptions(name="rai")
    for wrong in ({"workers": 0}, {"retries": -1}, {"gpus_per_worker": 1.0}, {"address": "auto"}):
        with pytest.raises(InputError):
            EngineOptions(**wrong)
