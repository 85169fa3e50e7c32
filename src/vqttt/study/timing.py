"""Measuring what a study's parts cost on this machine, in a few seconds.

An answer costs: its image (loading it once, then degrading, restoring and measuring it), the untuned answer, and what
each method adds for the samples that its gate admits. How many those are depends most on the condition, so untuned
answers are sampled under as many conditions as there is time for, while methods are timed on one batch. All questions
are new to a method that is timed: one that learns along the stream is slower at its start.
"""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import mean

import numpy as np

from vqttt.errors import VQTTTError
from vqttt.methods import Method, MethodSpec
from vqttt.methods.attempts import Outcome
from vqttt.models.base import Model
from vqttt.results import report
from vqttt.runs.folder import RunFolder
from vqttt.runs.loading import load_records
from vqttt.study.batch import Batch, ImageCache
from vqttt.study.config import StudyConfig
from vqttt.study.examples import ExampleMaker
from vqttt.study.plan import Cell, conditions
from vqttt.types import Condition, Sample

_LOOK = 4
"""Samples that are answered untuned at a time."""


@dataclass(frozen=True)
class Look:
    """What a few untuned answers under one condition showed.

    Attributes:
        seconds: per sample, for its image and its untuned answer.
        admitted: by method, the share of the samples that its gate admits.
    """

    seconds: float
    admitted: Mapping[str, float]


@dataclass(frozen=True)
class MethodCost:
    """What a method costs.

    Attributes:
        each: seconds for every sample, admitted or not.
        admitted: further seconds for an admitted sample.
        cell: seconds to finish a cell: its examples and its file.
    """

    each: float
    admitted: float
    cell: float

    def of_cell(self, questions: int, share: float) -> float:
        """Return the seconds of a cell of which the gate admits this share."""
        return self.cell + questions * (self.each + share * self.admitted)


class Timing:
    """Measures a study's parts, each for a share of a few seconds."""

    def __init__(
        self,
        config: StudyConfig,
        model: Model,
        tasks: Mapping[str, Sequence[Sample]],
        clock: Callable[[], float],
        budget: float,
    ) -> None:
        """Prepare.

        Args:
            config: of the study.
            model: one of the study's.
            tasks: the samples of its tasks.
            clock: returns seconds.
            budget: seconds that the measurements may take, roughly.
        """
        self.config, self.model, self.tasks, self.clock, self.budget = config, model, tasks, clock, budget
        self.methods = config.method_specs
        self.images = {name: ImageCache() for name in tasks}
        self.loading: dict[str, list[float]] = {name: [] for name in tasks}
        self.looks: dict[tuple[str, Condition], list[Look]] = defaultdict(list)
        self.best: tuple[int, str, Condition, list[Sample]] | None = None

    def jobs_seconds(self) -> float:
        """Return the seconds of all jobs of the model, one after another."""
        self._look_around(0.35 * self.budget)
        costs = self._method_costs(0.45 * self.budget)
        total = 0.0
        for task, samples in self.tasks.items():
            total += len(samples) * mean(self.loading[task] or [0.0])
            of_task = [look for (name, _), found in self.looks.items() if name == task for look in found]
            for condition in conditions(self.config):
                looks = self.looks.get((task, condition)) or of_task
                once = len(samples) * mean(look.seconds for look in looks)
                for name, cost in costs.items():
                    once += cost.of_cell(len(samples), mean(look.admitted[name] for look in looks))
                total += once * len(set(self.config.seeds))
        return total

    def report_seconds(self) -> float:
        """Return the seconds to write the report, measured on a run of one batch of every model."""
        if self.best is None:
            return 0.0
        _, task, condition, samples = self.best
        with tempfile.TemporaryDirectory(prefix="vqttt-") as scratch:
            folder = RunFolder(scratch)
            folder.open({}, ())
            batch = self._batch(task, condition, samples[:2])
            records = batch.answered_by(next(iter(self.methods.values())).build(self.model))
            for model, name in product(dict.fromkeys(self.config.models), self.methods):
                cell = Cell(model=model, task=task, condition=condition, method=name, seed=0)
                folder.unfinished.append(cell.key, records)
                folder.finish(cell.key, cell.identity, len(records))
            began = self.clock()
            path = getattr(folder.store, "path")  # noqa: B009 - a local folder, whose store has a path
            contents = report.Contents(load_records(path))
            for write in (report.write_csv, report.write_quality, report.write_html):
                write(path, contents)
            return self.clock() - began

    def _look_around(self, seconds: float) -> None:
        """Answer a few samples of every task untuned, under as many conditions as the time allows."""
        grid = conditions(self.config)
        order = [grid[n] for n in np.random.default_rng(0).permutation(len(grid))]
        end, first = self.clock() + seconds, True
        longest = max(map(len, self.tasks.values()))
        for turn in range(0, longest, _LOOK):
            for number, condition in enumerate(order):
                for task, samples in self.tasks.items():
                    if self.clock() >= end and self.looks and any(name == task for name, _ in self.looks):
                        continue
                    if turn < len(samples):
                        start = (turn + number * _LOOK) % len(samples)
                        self._look(task, condition, samples[start : start + _LOOK], warm_up=first)
                        first = False

    def _look(self, task: str, condition: Condition, samples: Sequence[Sample], *, warm_up: bool) -> None:
        for sample in samples:
            began = self.clock()
            try:
                self.images[task].hash_of(sample)
            except VQTTTError:
                continue
            finally:
                self.loading[task].append(self.clock() - began)
        if warm_up:  # a network's first pass is slower
            self._batch(task, condition, samples)
        began = self.clock()
        batch = self._batch(task, condition, samples)
        seconds = (self.clock() - began) / len(samples)
        admitted = {name: _admitted(spec.build(self.model), batch) for name, spec in self.methods.items()}
        shares = {name: count / len(samples) for name, count in admitted.items()}
        self.looks[task, condition].append(Look(seconds, shares))
        if self.best is None or sum(admitted.values()) > self.best[0]:
            self.best = sum(admitted.values()), task, condition, list(samples)

    def _batch(self, task: str, condition: Condition, samples: Sequence[Sample]) -> Batch:
        return Batch.prepare(
            samples,
            self.images[task],
            condition,
            self.model,
            seed=self.config.seeds[0],
            max_new_tokens=self.config.max_new_tokens,
        )

    def _method_costs(self, seconds: float) -> dict[str, MethodCost]:
        """Time every method on samples of the condition under which most are admitted."""
        assert self.best is not None, "no sample was looked at"
        _, task, condition, samples = self.best
        return {
            name: self._method_cost(spec, task, condition, samples, seconds / len(self.methods))
            for name, spec in self.methods.items()
        }

    def _method_cost(
        self, spec: MethodSpec, task: str, condition: Condition, samples: list[Sample], seconds: float
    ) -> MethodCost:
        end = self.clock() + seconds
        one = self._batch(task, condition, samples[:1])
        one.answered_by(self._built(spec))  # a network's first pass is slower
        began = self.clock()
        one.answered_by(self._built(spec))
        once = self.clock() - began
        size = int(max(1, min((end - self.clock()) / max(once, 1e-9) / 2, self.config.batch, len(self.tasks[task]))))
        every = [*samples, *(sample for sample in self.tasks[task] if sample not in samples)]
        batch = self._batch(task, condition, every[: max(size, 2)])
        return MethodCost(*self._timed(spec, batch), self._finishing(spec, task, condition, batch))

    def _timed(self, spec: MethodSpec, batch: Batch) -> tuple[float, float]:
        """Return the seconds that a method takes for a sample as such, and on top of that for an admitted one."""
        method = self._built(spec)
        count = _admitted(method, batch)
        began = self.clock()
        batch.answered_by(method)
        seconds = self.clock() - began
        return (0.0, seconds / count) if count else (seconds / len(batch.samples), 0.0)

    def _finishing(self, spec: MethodSpec, task: str, condition: Condition, batch: Batch) -> float:
        """Return the seconds to make a cell's examples, measured on one batch."""
        method = self._built(spec)
        records = batch.answered_by(method)
        maker = ExampleMaker(
            samples=batch.samples,
            images=self.images[task],
            seed=self.config.seeds[0],
            max_new_tokens=self.config.max_new_tokens,
        )
        began = self.clock()
        maker.of_method(condition, method, lambda: records)
        return self.clock() - began

    def _built(self, spec: MethodSpec) -> Method:
        return spec.build(self.model, max_new_tokens=self.config.max_new_tokens)


def _admitted(method: Method, batch: Batch) -> int:
    """Return how many samples of a batch a method's gate admits."""
    if batch.answered is None:
        return 0
    inputs, answers = batch.answered
    return len(method.admitted(inputs, Outcome.of(answers)))
