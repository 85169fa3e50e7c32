"""An estimate of how long a study takes, from a few of its own answers; nothing is written to the run folder."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vqttt.errors import VQTTTError
from vqttt.models.base import Model
from vqttt.study.batch import ImageCache
from vqttt.study.config import StudyConfig
from vqttt.study.engines.local import share_threads
from vqttt.study.plan import conditions, count_records
from vqttt.study.timing import Timing
from vqttt.study.worker import check_methods
from vqttt.tasks import load_task
from vqttt.types import Sample

_COUNTING = 0.5
"""Seconds that counting the images of all tasks may take."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The size of a study, and how long it takes.

    Attributes:
        questions: number of questions of each task.
        images: number of different images of each task, as far as they could be counted within a moment.
        conditions: number of conditions (degradation, severity and restorer), clean included.
        methods: number of methods that answer each image.
        seeds: number of seeds.
        records: number of records, one per answer.
        seconds: time for all of them; None if it was not measured.
    """

    questions: dict[str, int]
    conditions: int
    methods: int
    seeds: int
    records: int
    seconds: float | None
    images: dict[str, int] = field(default_factory=dict)

    @property
    def cells(self) -> int:
        """The number of cells."""
        return len(self.questions) * self.conditions * self.methods * self.seeds


def estimate(
    config: StudyConfig,
    load: Callable[[], Model] | None = None,
    workers: int = 1,
    clock: Callable[[], float] = time.perf_counter,
    budget: float = 3.0,
    began: float | None = None,
) -> Estimate:
    """Count a study's cells and, if a model is given, measure how long they take (see `vqttt.study.timing`).

    With several workers, everything is timed with one worker's share of the threads, and the time for all jobs is
    divided by the number of workers that can have one.

    Args:
        config: the study.
        load: loads the model; None to count only.
        workers: number of worker processes on this machine.
        clock: returns seconds.
        budget: seconds that the measurements may take, roughly, once the model is loaded.
        began: when the command began, by the clock; by default now. A study needs the same time to get ready.

    Raises:
        InputError: if a task cannot be loaded, or a method needs more than the model offers.
    """
    began = clock() if began is None else began
    tasks = {name: load_task(name, config.limit_of(name)) for name in dict.fromkeys(config.tasks)}
    questions = {name: len(samples) for name, samples in tasks.items()}
    grid, seeds = conditions(config), len(set(config.seeds))
    seconds, images = None, dict[str, int]()
    if load is not None:
        share_threads(workers)
        model = load()
        check_methods(config.method_specs, model)
        ready = (clock() - began) * (2 if workers > 1 else 1)  # a worker's process gets ready after this one
        timing = Timing(config, model, tasks, clock, budget)
        jobs = len(grid) * seeds * len(tasks)
        seconds = ready + timing.jobs_seconds() / min(workers, jobs) + timing.report_seconds()
        for name, samples in tasks.items():
            if count := _count_images(samples, timing.images[name], clock, _COUNTING / len(tasks)):
                images[name] = count
    return Estimate(
        questions=questions,
        conditions=len(grid),
        methods=len(set(config.methods)),
        seeds=seeds,
        records=count_records(config, questions.values()),
        seconds=seconds,
        images=images,
    )


def _count_images(
    samples: Sequence[Sample], cache: ImageCache, clock: Callable[[], float], seconds: float
) -> int | None:
    """Count the different images of a task; None if that takes longer. One that cannot be loaded counts as its own."""
    found, end = set[str](), clock() + seconds
    for sample in samples:
        if clock() > end:
            return None
        try:
            found.add(cache.hash_of(sample))
        except VQTTTError:
            found.add(f"sample {sample.id}")
    return len(found)
