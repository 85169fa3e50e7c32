"""Workers that are given jobs and tell how they fare: what all engines with several workers have in common."""

import traceback
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from vqttt.errors import EngineError, VQTTTError, in_a_line
from vqttt.study.plan import Job
from vqttt.study.worker import Desk, Setup


@dataclass(frozen=True)
class Ready:
    """A worker has loaded: what it would write to `run.json`, its model's name, and the questions of each task."""

    description: dict[str, Any]
    model: str
    questions: dict[str, int]

    @classmethod
    def at(cls, desk: Desk) -> "Ready":
        """Introduce the worker at a desk."""
        return cls(desk.description, desk.model.name, desk.questions)


@dataclass(frozen=True)
class Done:
    """So many records of the job are there."""

    records: int


@dataclass(frozen=True)
class Ended:
    """The job is done."""


@dataclass(frozen=True)
class Failed:
    """What the worker tried raised an error."""

    reason: str


@dataclass(frozen=True)
class Lost:
    """The worker is gone."""

    reason: str


Message = Ready | Done | Ended | Failed | Lost


class Worker(Protocol):
    """Another process with a desk."""

    def give(self, job: Job) -> None:
        """Have a job begun; its messages end with `Ended`, `Failed` or `Lost`."""

    def hear(self) -> Message:
        """Return the next message; waits for it."""

    def stop(self) -> None:
        """End the process, whatever it does."""


W = TypeVar("W", bound=Worker)


class Crew(Protocol[W]):
    """Where workers come from."""

    def hire(self) -> W:
        """Start a worker; its first message is `Ready`, `Failed` or `Lost`."""

    def wait(self, workers: Sequence[W]) -> Sequence[W]:
        """Wait until one or more have a message."""


class Limits(Protocol):
    """How many workers, and how much patience with them."""

    @property
    def workers(self) -> int:
        """Jobs at the same time."""

    @property
    def retries(self) -> int:
        """How often a lost job is begun again."""


def begin(setup: Setup) -> tuple[Desk | None, Message]:
    """Set up a desk, in a worker's process."""
    try:
        # One that is taken for dead may go on writing for a while: to files of its own.
        desk = Desk(setup, owner=uuid.uuid4().hex[:8])
    except Exception as error:
        return None, Failed(_reason(error))
    return desk, Ready.at(desk)


def work(desk: Desk, job: Job) -> Iterator[Message]:
    """Do a job, in a worker's process."""
    try:
        for records in desk.run(job):  # not `yield from`, for Ray sends to what it iterates over
            yield Done(records)
    except Exception as error:
        yield Failed(f"{job.what}: {_reason(error)}")
    else:
        yield Ended()


def dispatch(
    crew: Crew[W], rounds: Sequence[Sequence[Job]], ready: Callable[[Ready], None], limits: Limits
) -> Iterator[tuple[Job, int]]:
    """Have jobs done; as `vqttt.engines.execute` says.

    Jobs go to whoever is free, in order, so that those of one task stay together as far as balance allows. A lost
    worker is replaced and its job begun again; one that fails stops all, for what is done is kept.
    """
    idle: list[W] = []
    busy: dict[W, Job | None] = {}  # None while a worker loads
    losses = Counter[Job | None]()
    try:
        for _ in range(min(limits.workers, max(map(len, rounds)))):
            busy[crew.hire()] = None
        for jobs in rounds:
            queue = deque(jobs)
            while queue or any(busy.values()):
                while queue and idle:
                    worker = idle.pop(0)
                    busy[worker] = queue.popleft()
                    worker.give(busy[worker])  # type: ignore[arg-type]
                for worker in crew.wait(list(busy)):
                    job, message = busy[worker], worker.hear()
                    if isinstance(message, Failed):
                        raise EngineError(message.reason)
                    if isinstance(message, Done):
                        assert job is not None, message
                        yield job, message.records
                        continue
                    del busy[worker]
                    if isinstance(message, Lost):
                        worker.stop()
                        losses[job] += 1
                        if losses[job] > limits.retries:
                            what = job.what if job else "loading the model"
                            raise EngineError(
                                f"{what}: {losses[job]} workers were lost, the last one: {message.reason}"
                            )
                        queue.extendleft([job] if job else [])
                        busy[crew.hire()] = None
                        continue
                    idle.append(worker)
                    if isinstance(message, Ready):
                        ready(message)
    finally:
        for worker in (*idle, *busy):
            worker.stop()


def _reason(error: Exception) -> str:
    """Say what went wrong in a line; what nobody foresaw is worth its traceback besides."""
    if not isinstance(error, VQTTTError | OSError):
        traceback.print_exception(error)
    return in_a_line(error)
