"""An estimate of how long a study takes, from a few of its own batches; nothing is written."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from vqttt.models.base import Model
from vqttt.study.batch import Batch, ImageCache
from vqttt.study.config import StudyConfig
from vqttt.study.engines.local import share_threads
from vqttt.study.plan import conditions, count_records
from vqttt.tasks import load_task
from vqttt.types import Condition, Sample


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The size of a study, and how long it takes.

    Attributes:
        questions: number of questions of each task.
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

    @property
    def cells(self) -> int:
        """The number of cells."""
        return len(self.questions) * self.conditions * self.methods * self.seeds


def estimate(
    config: StudyConfig,
    load: Callable[[], Model] | None = None,
    tries: int = 3,
    workers: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Estimate:
    """Count a study's cells and, if a model is given, time batches of each task under a few conditions.

    The median over those conditions stands for all of them, so a study with a few slow conditions takes longer. Of four
    batches the last is timed, because methods that learn along the stream are slow at its start. With several workers,
    batches are timed with one worker's share of the threads, and the total is divided by the number of workers that can
    have a job.

    Args:
        config: the study.
        load: loads the model; None to count only.
        tries: number of conditions to time.
        workers: number of worker processes on this machine.
        clock: returns seconds.

    Raises:
        InputError: if a task cannot be loaded, or a method needs more than the model offers.
    """
    tasks = {name: load_task(name, config.limit) for name in dict.fromkeys(config.tasks)}
    questions = {name: len(samples) for name, samples in tasks.items()}
    grid, seeds = conditions(config), len(set(config.seeds))
    seconds = None
    if load is not None:
        share_threads(workers)
        model, jobs = load(), len(grid) * seeds
        tried = grid[:: max(1, len(grid) // tries)][-tries:]
        once = 0.0
        for samples in tasks.values():
            images = ImageCache()  # as in a study: loaded once for all conditions
            once += len(samples) * median(_seconds(config, model, samples, images, one, clock) for one in tried)
        seconds = once * jobs / min(workers, jobs * len(tasks))
    return Estimate(
        questions=questions,
        conditions=len(grid),
        methods=len(set(config.methods)),
        seeds=seeds,
        records=count_records(config, questions.values()),
        seconds=seconds,
    )


def _seconds(
    config: StudyConfig,
    model: Model,
    samples: Sequence[Sample],
    images: ImageCache,
    condition: Condition,
    clock: Callable[[], float],
) -> float:
    """Return the time per question with all methods under a condition: that of the last of four batches."""
    methods = [spec.build(model, max_new_tokens=config.max_new_tokens) for spec in config.method_specs.values()]
    for start in range(0, 4 * config.batch, config.batch):
        some = samples[start : start + config.batch] or samples[: config.batch]
        began = clock()
        batch = Batch.prepare(
            some, images, condition, model, seed=config.seeds[0], max_new_tokens=config.max_new_tokens
        )
        for method in methods:
            batch.answered_by(method)
    return (clock() - began) / len(some)
