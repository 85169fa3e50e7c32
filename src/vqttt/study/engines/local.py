"""The local engine: jobs run in this process, or in several on this machine, each with its own GPU or share of CPUs."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import cast

from vqttt.study.engines.dispatch import Lost, Message, Ready, run_job, start_worker
from vqttt.study.plan import Job
from vqttt.study.worker import Filled, Worker, WorkerSpec


def in_process(
    spec: WorkerSpec, rounds: Sequence[Sequence[Job]], ready: Callable[[Ready], None]
) -> Iterator[tuple[Job, Filled]]:
    """Run all jobs in this process, one after another; raises as `Worker` does."""
    worker = Worker(spec)
    ready(Ready.of(worker))
    for jobs in rounds:
        for job in jobs:
            for filled in worker.run(job):
                yield job, filled


class ProcessPool:
    """Workers in processes of this machine."""

    def __init__(self, spec: WorkerSpec, workers: int) -> None:
        """Prepare for `workers` processes; GPUs are distributed among them unless the study names a device."""
        self.spec = spec
        self.workers = workers
        self.gpus = [] if spec.config.load.device else _gpus()
        self.started: list[_Process] = []

    def start(self) -> "_Process":
        """Start a process on the GPU that the fewest processes use."""
        in_use = [process.gpu for process in self.started if process.alive]
        gpu = min(self.gpus, key=in_use.count, default="")
        self.started.append(_Process(self.spec, self.workers, gpu))
        return self.started[-1]

    def wait(self, workers: "Sequence[_Process]") -> "list[_Process]":
        """Wait for messages."""
        readable = wait([worker.connection for worker in workers])
        return [worker for worker in workers if worker.connection in readable]


class _Process:
    """A worker in a process that ends with this one."""

    def __init__(self, spec: WorkerSpec, workers: int, gpu: str) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would share CUDA, and locks held by threads
        self.gpu = gpu
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, spec, workers, gpu), daemon=True)
        self.process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    def send(self, job: Job) -> None:
        try:
            self.connection.send(job)
        except OSError:
            return  # the process is gone; `receive` will say so

    def receive(self) -> Message:
        try:
            return cast("Message", self.connection.recv())
        except (EOFError, OSError):
            self.process.join()
            return Lost(f"process {self.process.pid} ended with exit code {self.process.exitcode}")

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(connection: "Connection[Message, Job]", spec: WorkerSpec, workers: int, gpu: str) -> None:
    """Run jobs in a worker's process until the other end closes the connection."""
    if gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the one that started this decides
    share_threads(workers)
    worker, message = start_worker(spec)
    try:
        connection.send(message)
        while worker is not None:
            for message in run_job(worker, connection.recv()):
                connection.send(message)
    except (EOFError, OSError):
        return


def share_threads(workers: int) -> None:
    """Limit this process to its share of the CPU threads, if `workers` processes run on this machine."""
    import cv2
    import torch

    threads = max(1, torch.get_num_threads() // workers)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def _gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    if not torch.cuda.is_available():
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]
