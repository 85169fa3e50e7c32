"""What a study is: its configuration, its grid of cells (task x condition x method), and the jobs that fill them."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from vqttt.runs.records import CLEAN, NONE
from vqttt.study.config import StudyConfig
from vqttt.types import Condition


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
        """Its file's name: readable, and distinct whatever the model and task are called."""
        condition = f"{_slug(self.condition.degradation)}-{self.condition.severity}"
        restored = [] if self.condition.restorer == NONE else [_slug(self.condition.restorer)]
        return "~".join([_slug(self.model), _slug(self.task), condition, *restored, self.method, f"s{self.seed}"])

    @property
    def identity(self) -> dict[str, Any]:
        """The columns that say which cell a row is of."""
        return {
            "model": self.model,
            "task": self.task,
            "degradation": self.condition.degradation,
            "severity": self.condition.severity,
            "scale": self.condition.scale,
            "restorer": self.condition.restorer,
            "method": self.method,
            "seed": self.seed,
        }


def conditions(config: StudyConfig) -> list[Condition]:
    """Return the conditions of a study in their fixed order; `clean` counts once, whatever the severities."""
    grid = [
        (degradation, severity, restorer)
        for degradation in dict.fromkeys(config.degradations)
        for severity in ((0,) if degradation == CLEAN else dict.fromkeys(config.severities))
        for restorer in dict.fromkeys(config.restorers)
    ]
    return [Condition(degradation=d, severity=s, scale=config.scale, restorer=r) for d, s, r in grid]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one worker does at a time: a task under a condition, by all methods, for these share images and answers.

    Without a condition: the task's examples of what degradation does, which want the records of all conditions.
    """

    task: str
    seed: int
    condition: Condition | None = None

    @property
    def what(self) -> str:
        """The job in a few words."""
        if self.condition is None:
            return f"{self.task} examples"
        restorer = "" if self.condition.restorer == NONE else self.condition.restorer
        seed = f"seed {self.seed}" if self.seed else ""
        words = (self.task, self.condition.degradation, self.condition.severity, restorer, seed)
        return " ".join(map(str, filter(None, words)))

    def cells(self, config: StudyConfig, model: str) -> list[Cell]:
        """Return the job's cells, one for each method."""
        assert self.condition is not None, self
        return [
            Cell(model=model, task=self.task, condition=self.condition, method=method, seed=self.seed)
            for method in dict.fromkeys(config.methods)
        ]


def rounds(config: StudyConfig) -> tuple[list[Job], list[Job]]:
    """Return the jobs of a study; those of the second list can be done when all of the first are."""
    parts = [(task, seed) for task in dict.fromkeys(config.tasks) for seed in dict.fromkeys(config.seeds)]
    grid = conditions(config)
    return [Job(task=t, seed=s, condition=c) for t, s in parts for c in grid], [Job(task=t, seed=s) for t, s in parts]


def _slug(name: str) -> str:
    """Make a name safe for a file; one that had to be changed gets a hash, so that no two become one."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[-60:]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
