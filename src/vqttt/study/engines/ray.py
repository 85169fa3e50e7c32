"""On a Ray cluster: an actor for each worker, which holds a model for as many jobs as it lives through."""

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from vqttt.errors import EngineError, MissingExtraError
from vqttt.study.engines.dispatch import Lost, Message, begin, work
from vqttt.study.plan import Job
from vqttt.study.worker import Desk, Setup

if TYPE_CHECKING:
    from vqttt.study.engines import EngineOptions


@contextmanager
def connected(setup: Setup, options: "EngineOptions") -> Iterator["Cluster"]:
    """Connect to a cluster, unless this process is connected to one already, and leave it afterwards.

    Raises:
        MissingExtraError: if Ray is not installed.
        EngineError: if there is no cluster at the address.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("the engine ray needs Ray: pip install 'vqttt[ray]'") from error
    ours = not ray.is_initialized()
    if ours:
        _check(options.address)
        try:
            ray.init(address=options.address or None, logging_level="ERROR", log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise EngineError(
                f"no Ray cluster can be reached at {options.address or 'this machine'}: {error}"
            ) from error
    try:
        yield Cluster(setup, options.gpus_per_worker)
    finally:
        if ours:
            ray.shutdown()


def _check(address: str) -> None:
    """See that somebody listens at an address, for Ray would try for minutes.

    Raises:
        EngineError: if nobody does.
    """
    host, colon, port = address.rpartition(":")
    if "://" in address:
        raise EngineError(f"{address}: run vqttt on a node of the cluster, with --ray-address auto or HOST:PORT")
    if colon:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except (OSError, ValueError) as error:
            raise EngineError(f"no Ray cluster can be reached at {address}: {error}") from error


class Cluster:
    """A crew of actors, spread over the nodes."""

    def __init__(self, setup: Setup, gpus: float) -> None:
        """Say what an actor needs: a CPU, and so many GPUs."""
        import ray

        self.setup, self.needs = setup, {"CPU": 1.0} | ({"GPU": gpus} if gpus else {})
        self.actor = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0, scheduling_strategy="SPREAD")(_Actor)

    def hire(self) -> "_RayWorker":
        """Ask for an actor; it comes when a node has room.

        Raises:
            EngineError: if no node is large enough.
        """
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(node.get(name, 0) >= need for name, need in self.needs.items()) for node in nodes):
            needs, has = (
                " and ".join(f"{count:g} {name}" for name, count in one.items())
                for one in (self.needs, {name: max((n.get(name, 0) for n in nodes), default=0) for name in self.needs})
            )
            raise EngineError(f"no node of the cluster has {needs} for a worker; the most that one has is {has}")
        return _RayWorker(self.actor.remote(self.setup, str(Path.cwd())))

    def wait(self, workers: "Sequence[_RayWorker]") -> "list[_RayWorker]":
        """Wait for messages."""
        import ray

        heard, _ = ray.wait([worker.messages for worker in workers], num_returns=1)
        return [worker for worker in workers if any(worker.messages is one for one in heard)]


class _RayWorker:
    """An actor and the stream of its messages."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.messages = actor.begin.options(num_returns="streaming").remote()

    def give(self, job: Job) -> None:
        self.messages = self.actor.work.options(num_returns="streaming").remote(job)

    def hear(self) -> Message:
        import ray

        try:
            return cast("Message", ray.get(next(self.messages)))
        except (ray.exceptions.RayError, StopIteration) as error:
            return Lost(str(error).strip().partition("\n")[0] or "its stream of messages broke off")

    def stop(self) -> None:
        import ray

        with contextlib.suppress(Exception):  # it may be gone, and so may be the cluster
            ray.kill(self.actor)


class _Actor:
    """What runs on a node."""

    def __init__(self, setup: Setup, folder: str) -> None:
        with contextlib.suppress(OSError):
            os.chdir(folder)  # tasks and models may be named by relative paths
        self.setup = setup
        self.desk: Desk | None = None

    def begin(self) -> Iterator[Message]:
        self.desk, message = begin(self.setup)
        yield message

    def work(self, job: Job) -> Iterator[Message]:
        assert self.desk is not None, job
        yield from work(self.desk, job)
