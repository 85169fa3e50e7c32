"""Dispatching jobs to several workers, and replacing workers that are lost: the same for every engine.

An engine provides a `Pool`, which starts workers in other processes. `start_worker` and `run_job` are what those
processes run.
"""

import traceback
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from vqttt.errors import EngineError, RequestsSpentError, VQTTTError, in_a_line
from vqttt.study.plan import Job
from vqttt.study.worker import Filled, Worker, WorkerSpec


@dataclass(frozen=True)
class Ready:
    """A worker has loaded what it needs.

    Attributes:
        description: the content of `run.json`, except for the command.
        questions: the number of questions of each task.
        models: the study's models, by name, with their names in records.
    """

    description: dict[str, Any]
    questions: dict[str, int]
    models: dict[str, str]

    @classmethod
    def of(cls, worker: Worker) -> "Ready":
        """Return the message of a worker that has loaded."""
        names = {name: facts.name for name, facts in worker.models.facts.items()}
        return cls(worker.description, worker.questions, names)


@dataclass(frozen=True)
class Finished:
    """The job is finished."""


@dataclass(frozen=True)
class Failed:
    """Loading, or the job, raised an error; `spent` if it is that no more requests may be sent to a server."""

    reason: str
    spent: bool = False


@dataclass(frozen=True)
class Lost:
    """The worker's process or machine is gone."""

    reason: str


Message = Ready | Filled | Finished | Failed | Lost


class RemoteWorker(Protocol):
    """A worker in another process, seen from this one."""

    def send(self, job: Job) -> None:
        """Send it a job. Its messages about the job end with `Finished`, `Failed` or `Lost`."""

    def receive(self) -> Message:
        """Wait for its next message and return it."""

    def stop(self) -> None:
        """End its process at once."""


W = TypeVar("W", bound=RemoteWorker)


class Pool(Protocol[W]):
    """Where an engine's workers run."""

    def start(self) -> W:
        """Start a worker. Its first message is `Ready`, `Failed` or `Lost`."""

    def wait(self, workers: Sequence[W]) -> Sequence[W]:
        """Wait until one or more workers have a message, and return them."""


class Limits(Protocol):
    """How many workers to start, and how often to replace a lost one."""

    @property
    def workers(self) -> int:
        """Maximum number of workers at a time."""

    @property
    def retries(self) -> int:
        """How often a job is started again after its worker was lost."""


def start_worker(spec: WorkerSpec) -> tuple[Worker | None, Message]:
    """Load what a worker needs, in the worker's process; None if that failed."""
    try:
        # A worker presumed dead may go on writing for a while: its files must be its own.
        worker = Worker(spec, owner=uuid.uuid4().hex[:8])
    except Exception as error:
        return None, Failed(_reason(error))
    return worker, Ready.of(worker)


def run_job(worker: Worker, job: Job) -> Iterator[Message]:
    """Run a job in the worker's process, and yield the messages about it."""
    try:
        yield from worker.run(job)
    except Exception as error:
        spent = isinstance(error, RequestsSpentError)
        yield Failed(_reason(error) if spent else f"{job.label}: {_reason(error)}", spent)
    else:
        yield Finished()


def _reason(error: Exception) -> str:
    """Describe an error in one line; print the traceback of one that nobody expects."""
    if not isinstance(error, VQTTTError | OSError):
        traceback.print_exception(error)
    return in_a_line(error)


def dispatch(
    pool: Pool[W], rounds: Sequence[Sequence[Job]], ready: Callable[[Ready], None], limits: Limits
) -> Iterator[tuple[Job, Filled]]:
    """Run jobs on a pool's workers; arguments, results and errors as for `vqttt.study.engines.execute`.

    Each job goes to the next idle worker, in order, so jobs of one model and task stay together as far as the balance
    allows. A lost worker is replaced and its job started again. A job that fails ends the study: its finished records
    are kept.
    """
    dispatcher = _Dispatcher(pool, ready, limits.retries)
    try:
        dispatcher.start_workers(min(limits.workers, max(map(len, rounds))))
        for jobs in rounds:
            yield from dispatcher.run_round(jobs)
    finally:
        dispatcher.stop_workers()


class _Dispatcher(Generic[W]):
    """The workers of a study, and what each of them is doing.

    Attributes:
        queue: jobs of this round that no worker has.
        idle: workers without a job.
        busy: the other workers, with their job; None while they load.
        losses: how many workers were lost over each job; under None, while loading.
    """

    def __init__(self, pool: Pool[W], ready: Callable[[Ready], None], retries: int) -> None:
        self.pool, self.ready, self.retries = pool, ready, retries
        self.queue = deque[Job]()
        self.idle: list[W] = []
        self.busy: dict[W, Job | None] = {}
        self.losses = Counter[Job | None]()

    def start_workers(self, count: int) -> None:
        for _ in range(count):
            self.busy[self.pool.start()] = None

    def stop_workers(self) -> None:
        for worker in (*self.idle, *self.busy):
            worker.stop()

    def run_round(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Filled]]:
        """Run jobs until all are finished; yield a job and how far it is whenever that changes."""
        self.queue.extend(jobs)
        while self.queue or any(self.busy.values()):
            self._assign_jobs()
            for worker in self.pool.wait(list(self.busy)):
                job, message = self.busy[worker], worker.receive()
                if isinstance(message, Filled):
                    assert job is not None, message
                    yield job, message
                else:
                    self._handle(worker, job, message)

    def _assign_jobs(self) -> None:
        while self.queue and self.idle:
            worker, job = self.idle.pop(0), self.queue.popleft()
            self.busy[worker] = job
            worker.send(job)

    def _handle(self, worker: W, job: Job | None, message: Message) -> None:
        """React to a message that ends what the worker was doing.

        Raises:
            EngineError: if the job failed, or too many workers were lost over it.
        """
        if isinstance(message, Failed):
            if message.spent:
                raise RequestsSpentError(message.reason)
            raise EngineError(message.reason)
        del self.busy[worker]
        if isinstance(message, Lost):
            worker.stop()
            self._replace(job, message.reason)
            return
        self.idle.append(worker)
        if isinstance(message, Ready):
            self.ready(message)

    def _replace(self, job: Job | None, reason: str) -> None:
        """Start a worker in place of a lost one, and put its job back at the front of the queue."""
        self.losses[job] += 1
        if self.losses[job] > self.retries:
            label = job.label if job else "loading"
            raise EngineError(f"{label}: {self.losses[job]} workers were lost; the last one: {reason}")
        if job:
            self.queue.appendleft(job)
        self.start_workers(1)
