"""On this machine: in the process that calls, or in several, each with a GPU of its own or a share of the CPU."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import cast

from vqttt.study.engines.dispatch import Lost, Message, Ready, begin, work
from vqttt.study.plan import Job
from vqttt.study.worker import Desk, Setup


def in_process(
    setup: Setup, rounds: Sequence[Sequence[Job]], ready: Callable[[Ready], None]
) -> Iterator[tuple[Job, int]]:
    """Do all jobs here, one after the other; errors are those of `Desk`."""
    desk = Desk(setup)
    ready(Ready.at(desk))
    for jobs in rounds:
        for job in jobs:
            for records in desk.run(job):
                yield job, records


class Processes:
    """A crew of processes."""

    def __init__(self, setup: Setup, workers: int) -> None:
        """Share out what the machine has."""
        self.setup = setup
        self.workers = workers
        # A device that was asked for is everybody's.
        self.gpus = [] if setup.config.load.device else _gpus()
        self.hired: list[_Process] = []

    def hire(self) -> "_Process":
        """Start a process, on the GPU that the fewest have."""
        alive = [process.gpu for process in self.hired if process.alive]
        gpu = min(self.gpus, key=alive.count, default="")
        self.hired.append(_Process(self.setup, self.workers, gpu))
        return self.hired[-1]

    def wait(self, workers: "Sequence[_Process]") -> "list[_Process]":
        """Wait for messages."""
        heard = wait([worker.messages for worker in workers])
        return [worker for worker in workers if worker.messages in heard]


class _Process:
    """A worker in a process that ends with this one."""

    def __init__(self, setup: Setup, workers: int, gpu: str) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would share CUDA, and locks held by threads
        self.gpu = gpu
        self.messages, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, setup, workers, gpu), daemon=True)
        self.process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    def give(self, job: Job) -> None:
        try:
            self.messages.send(job)
        except OSError:
            return  # it is gone, which is what will be heard next

    def hear(self) -> Message:
        try:
            return cast("Message", self.messages.recv())
        except (EOFError, OSError):
            self.process.join()
            return Lost(f"process {self.process.pid} ended with exit code {self.process.exitcode}")

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.messages.close()


def _serve(messages: "Connection[Message, Job]", setup: Setup, workers: int, gpu: str) -> None:
    """Work until the other end is closed."""
    if gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the process that hired this one decides
    share_threads(workers)
    desk, message = begin(setup)
    try:
        messages.send(message)
        while desk is not None:
            for message in work(desk, messages.recv()):
                messages.send(message)
    except (EOFError, OSError):
        return


def share_threads(workers: int) -> None:
    """Leave this process as many threads as each of some workers on this machine may have."""
    import cv2
    import torch

    threads = max(1, torch.get_num_threads() // workers)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def _gpus() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES would call each."""
    import torch

    if not torch.cuda.is_available():
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]
