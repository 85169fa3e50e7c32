"""Engines: where the jobs of a study are done. They decide how fast its records come, never what they are."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from vqttt.errors import InputError, UnknownNameError
from vqttt.study.engines import local
from vqttt.study.engines.dispatch import Ready, dispatch
from vqttt.study.plan import Job
from vqttt.study.worker import Setup

__all__ = ["ENGINES", "EngineOptions", "Ready", "execute"]

ENGINES = ("local", "ray")


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How a study is run.

    Attributes:
        name: `local`, on this machine, or `ray`, on a Ray cluster.
        workers: jobs done at the same time, each by a process that holds a model. With one, the local engine works in
            the process that calls.
        address: of the Ray cluster, such as `auto` or `10.0.0.1:6379`; empty for Ray's own choice (RAY_ADDRESS, or
            else a cluster on this machine that ends with the study).
        gpus_per_worker: that Ray keeps for each worker; a fraction lets workers share one.
        retries: how often a job is begun again whose worker was lost.
    """

    name: str = "local"
    workers: int = 1
    address: str = ""
    gpus_per_worker: float = 0.0
    retries: int = 2

    def __post_init__(self) -> None:
        """Reject what cannot be."""
        if self.name not in ENGINES:
            raise UnknownNameError("engine", self.name, ENGINES)
        if self.workers < 1:
            raise InputError(f"workers must be at least 1, not {self.workers}")
        for name in ("gpus_per_worker", "retries"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative, as {getattr(self, name)} is")
        if self.name == "local" and (self.address or self.gpus_per_worker):
            raise InputError("an address and gpus_per_worker are for the engine ray; local workers take a GPU each")


def execute(
    options: EngineOptions, setup: Setup, rounds: Sequence[Sequence[Job]], ready: Callable[[Ready], None]
) -> Generator[tuple[Job, int], None, None]:
    """Do all jobs of a round, then those of the next; yields a job and how many of its records there are by now.

    `ready` is called for every worker that has loaded what it needs, before it is given a job.

    Raises:
        EngineError: if a worker fails, or is lost too often, or there is nothing to run workers on.
        MissingExtraError: if Ray is not installed.
    """
    if options.name == "ray":
        from vqttt.study.engines import ray

        with ray.connected(setup, options) as cluster:
            yield from dispatch(cluster, rounds, ready, options)
    elif options.workers == 1:
        yield from local.in_process(setup, rounds, ready)
    else:
        yield from dispatch(local.Processes(setup, options.workers), rounds, ready, options)
