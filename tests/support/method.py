"""Studies of the experiment on methods, and rows of invented answers for its page."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from experiments.method import tasks
from experiments.method.plan import PHASES, Study
from experiments.method.rows import ORACLE, Row, pack
from vqttt.images.restorers import CORRECTIONS
from vqttt.study.plan import conditions
from vqttt.tasks import TASKS


@contextmanager
def registered_tasks() -> Iterator[None]:
    """Within the block the experiment's tasks are registered; other tests go over all that is."""
    with pytest.MonkeyPatch.context() as patch:
        for part in ("_entries", "_summaries"):
            patch.setattr(TASKS, part, dict(getattr(TASKS, part)))
        tasks.register()
        yield


def studies(*phases: str) -> Iterator[Study]:
    for phase in phases or PHASES:
        yield from PHASES[phase](Path("runs"))


def of_name(name: str) -> Study:
    return next(study for study in studies() if study.name == name)


def invented(method: str, before: Iterable[float], after: Iterable[float], **more: object) -> Row:
    """Return a row of invented scores."""
    before, after = list(before), list(after)
    row = {"model": "embedded", "task": "vq-mini", "degradation": "fog", "severity": 3, "seed": 0, "batch": 20}
    row |= {"method": method, "count": len(before), "before": pack(before), "after": pack(after)}
    row |= {"calibration": [0.2, 0.1], "looks": 2.0, "gradient": False, "time": 3.0}
    return row | more


Rate = Callable[[str, str], float]
"""The share of wrong answers that a method sets right, by its name and the degradation."""


def everything(rate: Rate) -> dict[str, list[Row]]:
    """Return invented rows of all phases: half of the answers to degraded images, and of clean ones 90%, are right."""
    rows: dict[str, list[Row]] = {phase: [] for phase in PHASES}
    rng = np.random.default_rng(0)
    for phase in PHASES:
        for study in studies(phase):
            names = [study.label(name) for name in study.config.methods if name != "none"]
            restored = [name for name in study.config.restorers if name != "none"]
            names += [f"restore: {name}" for name in restored if name not in CORRECTIONS]
            for model in study.config.models:
                for task in map(tasks.row_name, study.config.tasks):
                    grid = {(c.degradation, c.severity) for c in conditions(study.config)}
                    grid |= {("degraded", 0)} if phase == "streams" else set()
                    for kind, severity in sorted(grid):
                        where = {"model": model, "task": task, "degradation": kind, "severity": severity}
                        before = rng.permutation(np.arange(200) % 10 < (9 if kind == "clean" else 5))
                        for name in names:
                            better = before | ((rng.random(200) < rate(name, kind)) & (kind != "clean"))
                            rows[phase].append(invented(name, before, better, **where))
                        if set(restored) >= set(CORRECTIONS):
                            scores = {name: pack(np.roll(before, n)) for n, name in enumerate(CORRECTIONS)}
                            rows[phase].append(invented(ORACLE, before, before, **where) | {ORACLE: scores})
    return rows
