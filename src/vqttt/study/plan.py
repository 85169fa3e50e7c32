"""The plan of a study: its grid of cells (model x task x condition x method x seed), and the jobs that fill them."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from vqttt.runs.records import CELL, CLEAN, NONE
from vqttt.study.config import StudyConfig
from vqttt.types import Condition

LONGEST = 228
"""The most bytes of a cell's key: with `~quality.json` and the suffix of a file that is being written, 255 bytes, which
is what most file systems allow."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of the grid."""

    model: str
    task: str
    condition: Condition
    method: str
    seed: int

    @property
    def key(self) -> str:
        """The name of its file, without a suffix: readable, never hidden, and at most `LONGEST` bytes of ASCII.

        Different cells have different names, whatever their model, task and method are called.
        """
        condition = f"{_slug(self.condition.degradation)}-{self.condition.severity}"
        restored = [] if self.condition.restorer == NONE else [_slug(self.condition.restorer)]
        parts = (_slug(self.model), _slug(self.task), condition, *restored, _slug(self.method), f"s{self.seed}")
        key = "~".join(parts)
        return key if len(key) <= LONGEST else f"{key[: LONGEST - 9]}~{_hash(key)}"

    @property
    def identity(self) -> dict[str, Any]:
        """The values of the columns that identify the cell in a run's records."""
        values = vars(self) | vars(self.condition)
        return {column: values[column] for column in CELL}


def conditions(config: StudyConfig) -> list[Condition]:
    """Return the conditions of a study in a fixed order; `clean` occurs once, whatever the severities."""
    grid = [
        (degradation, severity, restorer)
        for degradation in dict.fromkeys(config.degradations)
        for severity in ((0,) if degradation == CLEAN else dict.fromkeys(config.severities))
        for restorer in dict.fromkeys(config.restorers)
    ]
    return [Condition(degradation=d, severity=s, scale=config.scale, restorer=r) for d, s, r in grid]


def count_records(config: StudyConfig, questions: Iterable[int]) -> int:
    """Return how many records a study has, given the number of questions of each of its tasks."""
    times = [len(set(values)) for values in (config.models, config.methods, config.seeds)]
    return sum(questions) * len(conditions(config)) * prod(times)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one worker does at a time: one model's answers to one task under one condition, by all methods.

    The methods run together because they share images and untuned answers. A job without a condition collects the
    task's examples of what degradation does; it needs the records of all conditions.

    Attributes:
        prefix: what the label begins with: the model, if the study has several.
    """

    model: str
    task: str
    seed: int
    condition: Condition | None = None
    prefix: str = ""

    @property
    def label(self) -> str:
        """The job in a few words, for progress and errors."""
        if self.condition is None:
            return f"{self.prefix} {self.task} examples".strip()
        restorer = "" if self.condition.restorer == NONE else self.condition.restorer
        seed = f"seed {self.seed}" if self.seed else ""
        words = (self.prefix, self.task, self.condition.degradation, self.condition.severity, restorer, seed)
        return " ".join(map(str, filter(None, words)))

    def cells(self, config: StudyConfig, model: str) -> list[Cell]:
        """Return the job's cells, one per method; `model` is the model's name in records."""
        assert self.condition is not None, self
        return [
            Cell(model=model, task=self.task, condition=self.condition, method=method, seed=self.seed)
            for method in dict.fromkeys(config.methods)
        ]


def rounds(config: StudyConfig) -> tuple[list[Job], list[Job]]:
    """Return the jobs of a study; those in the second list can start when all in the first are finished.

    In the first list all jobs of a model follow each other, so that it is loaded once. Those in the second need the
    images only, and stay with those of a task.
    """
    models = list(dict.fromkeys(config.models))
    parts = [(task, seed) for task in dict.fromkeys(config.tasks) for seed in dict.fromkeys(config.seeds)]
    prefix = {model: model if len(models) > 1 else "" for model in models}
    answers = [
        Job(model=model, task=task, seed=seed, condition=condition, prefix=prefix[model])
        for model in models
        for task, seed in parts
        for condition in conditions(config)
    ]
    return answers, [Job(model=m, task=t, seed=s, prefix=prefix[m]) for t, s in parts for m in models]


def keys_by_model(config: StudyConfig, names: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the keys of a study's cells by model, given the models' names in records."""
    keys: dict[str, list[str]] = {model: [] for model in names}
    for job in rounds(config)[0]:
        keys[job.model] += [cell.key for cell in job.cells(config, names[job.model])]
    return keys


def _slug(name: str) -> str:
    """Make a name safe for a file; a name that had to be changed gets a hash, so different names stay different."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[-60:]
    safe = safe.lstrip(".-") if safe.startswith(".") else safe  # a file whose name starts with a dot is hidden
    return safe if safe == name else f"{safe}-{_hash(name)}"


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
