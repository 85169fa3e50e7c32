"""What a study is: its configuration, its grid of cells (task x condition x method), and the jobs that fill them."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from vqttt.degradations import CLEAN, SEVERITIES, check_kind, check_scale, check_severity
from vqttt.errors import InputError
from vqttt.methods import METHODS
from vqttt.models import LoadOptions
from vqttt.restorers import NONE, check_restorer
from vqttt.tasks import find_task
from vqttt.types import Condition


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """What to run; everything that decides the records.

    Attributes:
        limit: at most this many samples a task, or all.
        batch: samples that are answered, and tuned, together.
        scale: `relative` or `absolute` lengths of the degradations.
        restorers: what is done about the degradations, each by itself; see `vqttt.restorers`.
        seeds: each decides every random draw of cells of its own; several tell luck of the draw from an effect.
        load: how a checkpoint is loaded; registered models have one way alone.
    """

    model: str = "embedded"
    tasks: tuple[str, ...]
    degradations: tuple[str, ...]
    severities: tuple[int, ...] = SEVERITIES
    methods: tuple[str, ...]
    limit: int | None = None
    seeds: tuple[int, ...] = (0,)
    batch: int = 20
    max_new_tokens: int = 16
    scale: str = "relative"
    restorers: tuple[str, ...] = (NONE,)
    load: LoadOptions = field(default_factory=LoadOptions)

    def __post_init__(self) -> None:
        """Reject unknown names and numbers out of range before anything runs."""
        for degradation in self.degradations:
            check_kind(degradation)
        for restorer in self.restorers:
            check_restorer(restorer)
        for method in self.methods:
            METHODS[method]
        for task in self.tasks:
            find_task(task)
        if not self.seeds or min(self.seeds) < 0:
            raise InputError(f"seeds are numbers from 0 on, one or more, not {self.seeds}")
        check_scale(self.scale)
        for severity in self.severities:
            check_severity(severity)
        for name in ("limit", "batch", "max_new_tokens"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that tell this study from others."""
        return hashlib.sha256(json.dumps(self.described(), sort_keys=True).encode()).hexdigest()[:8]

    def described(self) -> dict[str, Any]:
        """Return the fields as JSON has them; `load` only where it says something, as runs from before it have none."""
        told = asdict(self)
        if self.load == LoadOptions():
            del told["load"]
        return told


PAPER_DEGRADATIONS = ("gaussian_noise", "motion_blur", "snow", "fog")
"""Those that the paper names."""

PAPER_STYLES = ("sketch", "cartoon")
"""For the stylistic shifts that the paper names without saying which."""

QUICK_DEGRADATIONS = (*PAPER_DEGRADATIONS, "gaussian_blur", "jpeg_compression")

PRESETS = {
    "quick": StudyConfig(
        tasks=("easy-vqa", "digits", "vq-mini"),
        degradations=(CLEAN, *QUICK_DEGRADATIONS),
        severities=(1, 3, 5),
        methods=("none", "vq-ttt", "vq-ttt-episodic"),
        limit=200,
    ),
    "paper": StudyConfig(
        tasks=("easy-vqa", "digits", "vq-mini"),
        degradations=(CLEAN, *QUICK_DEGRADATIONS, *PAPER_STYLES),
        methods=("none", "vq-ttt", "vq-ttt-episodic"),
        limit=400,
    ),
}


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
    """What one worker does at a time: a task under a condition, by all methods, for these share pictures and answers.

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
