"""The Ray engine: every worker is an actor on a Ray cluster, and keeps its model loaded from job to job."""

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vqttt.errors import EngineError, MissingExtraError
from vqttt.study.engines.dispatch import Lost, Message, run_job, start_worker
from vqttt.study.plan import Job
from vqttt.study.worker import Worker, WorkerSpec

if TYPE_CHECKING:
    from vqttt.study.engines import EngineOptions


@contextmanager
def connected(spec: WorkerSpec, options: "EngineOptions") -> Iterator["ActorPool"]:
    """Connect to a cluster and disconnect at the end; a connection that this process already has is left alone.

    Raises:
        MissingExtraError: if Ray is not installed.
        EngineError: if no cluster answers at the address.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("the engine ray needs Ray: pip install 'vqttt[ray]'") from error
    ours = not ray.is_initialized()
    if ours:
        _check_address(options.address)
        try:
            ray.init(address=options.address or None, logging_level="ERROR", log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise EngineError(
                f"no Ray cluster can be reached at {options.address or 'this machine'}: {error}"
            ) from error
    try:
        yield ActorPool(spec, options.gpus_per_worker)
    finally:
        if ours:
            ray.shutdown()


def _check_address(address: str) -> None:
    """Check that something listens at an address; Ray itself would retry for minutes.

    Raises:
        EngineError: if nothing does.
    """
    host, colon, port = address.rpartition(":")
    if "://" in address:
        raise EngineError(f"{address}: run vqttt on a node of the cluster, with --ray-address auto or HOST:PORT")
    if colon:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except (OSError, ValueError) as error:
            raise EngineError(f"no Ray cluster can be reached at {address}: {error}") from error


class ActorPool:
    """Workers in actors, spread over the nodes of the cluster."""

    def __init__(self, spec: WorkerSpec, gpus: float) -> None:
        """Define an actor, which needs one CPU and `gpus` GPUs."""
        import ray

        self.spec, self.needs = spec, {"CPU": 1.0} | ({"GPU": gpus} if gpus else {})
        self.actor = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0, scheduling_strategy="SPREAD")(_Actor)

    def start(self) -> "_RemoteActor":
        """Request an actor, which starts when a node has room for it.

        Raises:
            EngineError: if no node is large enough.
        """
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(node.get(name, 0) >= need for name, need in self.needs.items()) for node in nodes):
            most = {name: max((node.get(name, 0) for node in nodes), default=0) for name in self.needs}
            raise EngineError(
                f"a worker needs {_resources(self.needs)}, but no node of the cluster has more than {_resources(most)}"
            )
        return _RemoteActor(self.actor.remote(self.spec, str(Path.cwd())))

    def wait(self, workers: "Sequence[_RemoteActor]") -> "list[_RemoteActor]":
        """Wait for messages."""
        import ray

        readable, _ = ray.wait([worker.messages for worker in workers], num_returns=1)
        return [worker for worker in workers if any(worker.messages is one for one in readable)]


def _resources(counts: Mapping[str, float]) -> str:
    return " and ".join(f"{count:g} {name}" for name, count in counts.items())


class _RemoteActor:
    """An actor, and the stream of its messages about its current job."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.messages = actor.start.options(num_returns="streaming").remote()

    def send(self, job: Job) -> None:
        self.messages = self.actor.run.options(num_returns="streaming").remote(job)

    def receive(self) -> Message:
        import ray

        try:
            return cast("Message", ray.get(next(self.messages)))
        except (ray.exceptions.RayError, StopIteration) as error:
            return Lost(str(error).strip().partition("\n")[0] or "its stream of messages ended early")

    def stop(self) -> None:
        import ray

        with contextlib.suppress(Exception):  # the actor, or the whole cluster, may be gone already
            ray.kill(self.actor)


class _Actor:
    """A worker on a node of the cluster."""

    def __init__(self, spec: WorkerSpec, folder: str) -> None:
        with contextlib.suppress(OSError):
            os.chdir(folder)  # tasks and models may be given by relative paths
        self.spec = spec
        self.worker: Worker | None = None

    def start(self) -> Iterator[Message]:
        self.worker, message = start_worker(self.spec)
        yield message

    def run(self, job: Job) -> Iterator[Message]:
        assert self.worker is not None, job
        yield from run_job(self.worker, job)
