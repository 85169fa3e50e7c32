"""How long a study would take, from a few of its own batches; nothing is written."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from vqttt.methods import METHODS
from vqttt.models.base import Model
from vqttt.study.batch import Batch, ImageCache
from vqttt.study.config import StudyConfig
from vqttt.study.engines.local import share_threads
from vqttt.study.plan import conditions
from vqttt.tasks import load_task
from vqttt.types import Condition, Sample


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a study asks for.

    Attributes:
        questions: of each task.
        conditions: degradation, severity and restorer, clean included.
        methods: that answer each image.
        seeds: that each of all this is done with.
        seconds: that all of it would take; None if it was not tried.
    """

    questions: dict[str, int]
    conditions: int
    methods: int
    seeds: int
    seconds: float | None

    @property
    def cells(self) -> int:
        """The number of cells."""
        return len(self.questions) * self.conditions * self.methods * self.seeds

    @property
    def answers(self) -> int:
        """The number of records."""
        return sum(self.questions.values()) * self.conditions * self.methods * self.seeds


def estimate(
    config: StudyConfig, load: Callable[[], Model] | None = None, tries: int = 3, workers: int = 1
) -> Estimate:
    """Count a study's cells and, with a model, time a batch of each task under a few conditions.

    The median over conditions stands for all of them, so a study of few slow ones takes longer. Timed is the last of
    four batches, for methods that learn along the stream are slow at its start. With several workers it is timed with
    one worker's share of the threads, and divided by as many as can have a job.

    Raises:
        InputError: if a task cannot be loaded.
    """
    tasks = {name: load_task(name, config.limit) for name in dict.fromkeys(config.tasks)}
    grid, methods, seeds = conditions(config), list(dict.fromkeys(config.methods)), len(set(config.seeds))
    seconds = None
    if load is not None:
        share_threads(workers)
        model, jobs = load(), len(grid) * seeds
        tried = grid[:: max(1, len(grid) // tries)][-tries:]
        once = 0.0
        for samples in tasks.values():
            images = ImageCache()  # as in a study, loaded once for all conditions
            once += len(samples) * median(_seconds(config, model, samples, images, one) for one in tried)
        seconds = once * jobs / min(workers, jobs * len(tasks))
    questions = {name: len(samples) for name, samples in tasks.items()}
    return Estimate(questions=questions, conditions=len(grid), methods=len(methods), seeds=seeds, seconds=seconds)


def _seconds(
    config: StudyConfig, model: Model, samples: Sequence[Sample], images: ImageCache, condition: Condition
) -> float:
    """Time one question under a condition by all methods, over the last of four batches."""
    answering = [METHODS[name](model, max_new_tokens=config.max_new_tokens) for name in dict.fromkeys(config.methods)]
    for start in range(0, 4 * config.batch, config.batch):
        some = samples[start : start + config.batch] or samples[: config.batch]
        began = time.perf_counter()
        batch = Batch.prepare(
            some, images, condition, model, seed=config.seeds[0], max_new_tokens=config.max_new_tokens
        )
        for method in answering:
            batch.answered_by(method)
    return (time.perf_counter() - began) / len(some)
