"""An estimate of how long a study takes, from a few of its own answers; nothing is written to the run folder."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vqttt.errors import VQTTTError
from vqttt.models import is_served
from vqttt.models.memory import release_memory
from vqttt.study.batch import ImageCache
from vqttt.study.config import StudyConfig
from vqttt.study.engines.local import share_threads
from vqttt.study.models import LoadModel, check_methods, naming
from vqttt.study.plan import conditions, count_records
from vqttt.study.timing import Timing
from vqttt.tasks import load_task
from vqttt.types import Sample

_COUNTING = 0.5
"""Seconds that counting the images of all tasks may take."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The size of a study, and how long it takes.

    Attributes:
        models: number of models.
        questions: number of questions of each task.
        images: number of different images of each task, as far as they could be counted within a moment.
        conditions: number of conditions (degradation, severity and restorer), clean included.
        methods: number of methods that answer each image.
        seeds: number of seeds.
        records: number of records, one per answer.
        seconds: time for those of models in this process; None if it was not measured.
        by_model: the part of it for the answers of each model.
        requests: for each served model, the most requests that it is sent, each with the images of its question; None
            if a method's number is not known.
    """

    models: int
    questions: dict[str, int]
    conditions: int
    methods: int
    seeds: int
    records: int
    seconds: float | None
    by_model: dict[str, float] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    requests: dict[str, int | None] = field(default_factory=dict)

    @property
    def cells(self) -> int:
        """The number of cells."""
        return self.models * len(self.questions) * self.conditions * self.methods * self.seeds


@dataclass(frozen=True)
class _Measured:
    """What was measured with one model: seconds to load it, for its jobs, and for the report; and images by task."""

    loading: float
    jobs: float
    report: float
    images: dict[str, int]


def estimate(
    config: StudyConfig,
    load: LoadModel | None = None,
    workers: int = 1,
    clock: Callable[[], float] = time.perf_counter,
    budget: float = 3.0,
    began: float | None = None,
) -> Estimate:
    """Count a study's cells and, if models are given, measure how long they take (see `vqttt.study.timing`).

    Every model in this process is measured, one after another; a served one is sent nothing. With several workers,
    everything is timed with one worker's share of the threads, and the time for all jobs is divided by the number of
    workers that can have one.

    Args:
        config: the study.
        load: loads a model by its name; None to count only.
        workers: number of worker processes on this machine.
        clock: returns seconds.
        budget: seconds that the measurements may take in all, roughly, apart from loading the models.
        began: when the command began, by the clock; by default now. A study needs the same time to get ready.

    Raises:
        InputError: if a task cannot be loaded, or a method needs more than a model offers.
        ModelError: if a model cannot be loaded.
    """
    began = clock() if began is None else began
    tasks = {name: load_task(name, config.limit_of(name)) for name in dict.fromkeys(config.tasks)}
    questions = {name: len(samples) for name, samples in tasks.items()}
    grid, seeds, models = conditions(config), len(set(config.seeds)), list(dict.fromkeys(config.models))
    here = [name for name in models if not is_served(name)]
    seconds, by_model, images = None, dict[str, float](), dict[str, int]()
    if load is not None and here:
        share_threads(workers)
        before, found = clock() - began, dict[str, _Measured]()
        for name in here:
            found[name] = _measured(config, tasks, name, load, clock, budget / len(here), whole=name == here[0])
            release_memory()
        share = min(workers, len(models) * len(grid) * seeds * len(tasks))
        by_model = {name: one.jobs / share for name, one in found.items()}
        loading = [one.loading for one in found.values()]
        # A worker's process gets ready after this one. Later, it loads all models but the first once more.
        seconds = (before + sum(loading)) * (2 if workers > 1 else 1) + sum(loading[1:])
        seconds += sum(by_model.values()) + found[here[0]].report
        images = found[here[0]].images
    return Estimate(
        models=len(models),
        questions=questions,
        conditions=len(grid),
        methods=len(set(config.methods)),
        seeds=seeds,
        records=count_records(config, questions.values()),
        seconds=seconds,
        by_model=by_model,
        images=images,
        requests=dict.fromkeys((name for name in models if is_served(name)), _requests(config, questions, len(grid))),
    )


def _requests(config: StudyConfig, questions: Mapping[str, int], grid: int) -> int | None:
    """Return the most requests that a served model is sent, given the number of conditions; None if not known."""
    looks = [spec.most_looks for spec in config.method_specs.values()]
    known = [count for count in looks if count is not None]
    if len(known) < len(looks):
        return None
    return sum(questions.values()) * grid * len(set(config.seeds)) * (1 + sum(known))


def _measured(
    config: StudyConfig,
    tasks: Mapping[str, Sequence[Sample]],
    name: str,
    load: LoadModel,
    clock: Callable[[], float],
    budget: float,
    *,
    whole: bool,
) -> _Measured:
    """Measure a study's jobs with one of its models, of which nothing is kept; and the `whole` study's other parts."""
    began = clock()
    with naming(name, several=len(config.models) > 1):
        model = load(name)
        check_methods(config.method_specs, model)
    loading = clock() - began
    timing = Timing(config, model, tasks, clock, budget)
    jobs, images = timing.jobs_seconds(), dict[str, int]()
    if not whole:
        return _Measured(loading, jobs, 0.0, images)
    report = timing.report_seconds()
    for task, samples in tasks.items():
        if count := _count_images(samples, timing.images[task], clock, _COUNTING / len(tasks)):
            images[task] = count
    return _Measured(loading, jobs, report, images)


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
