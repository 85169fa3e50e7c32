"""Engines: where the jobs of a study run. They decide how fast its records come, never what they are."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from vqttt.errors import InputError, UnknownNameError
from vqttt.study.engines import local
from vqttt.study.engines.dispatch import Ready, dispatch
from vqttt.study.plan import Job
from vqttt.study.worker import Filled, WorkerSpec

__all__ = ["ENGINES", "EngineOptions", "Ready", "execute"]

ENGINES = ("local", "ray")


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """Where and how a study runs.

    Attributes:
        name: `local`, on this machine, or `ray`, on a Ray cluster.
        workers: number of jobs that run at the same time, each in a process that holds a model of its own. With one
            worker, the local engine runs in the calling process.
        address: of the Ray cluster, such as `auto` or `10.0.0.1:6379`. Empty: RAY_ADDRESS if it is set, otherwise a
            new cluster on this machine that ends with the study.
        gpus_per_worker: GPUs that Ray reserves per worker; a fraction lets workers share one.
        retries: how often a job is started again after its worker was lost.
    """

    name: str = "local"
    workers: int = 1
    address: str = ""
    gpus_per_worker: float = 0.0
    retries: int = 2

    def __post_init__(self) -> None:
        """Reject invalid values."""
        if self.name not in ENGINES:
            raise UnknownNameError("engine", self.name, ENGINES)
        if self.workers < 1:
            raise InputError(f"workers must be at least 1, not {self.workers}")
        for name in ("gpus_per_worker", "retries"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative, but is {getattr(self, name)}")
        if self.name == "local" and (self.address or self.gpus_per_worker):
            raise InputError(
                "an address and gpus_per_worker are only for the engine ray; local workers share this machine's GPUs"
            )


def execute(
    options: EngineOptions, spec: WorkerSpec, rounds: Sequence[Sequence[Job]], ready: Callable[[Ready], None]
) -> Generator[tuple[Job, Filled], None, None]:
    """Run all jobs of a round, then those of the next; yield a job and how far it is.

    `ready` is called for every worker that has loaded what it needs, before its first job.

    Raises:
        EngineError: if a worker fails or is lost too often, or there is nothing to run workers on.
        MissingExtraError: if Ray is not installed.
    """
    if options.name == "ray":
        from vqttt.study.engines import ray

        with ray.connected(spec, options) as pool:
            yield from dispatch(pool, rounds, ready, options)
    elif options.workers == 1:
        yield from local.in_process(spec, rounds, ready)
    else:
        yield from dispatch(local.ProcessPool(spec, options.workers), rounds, ready, options)
