"""How much work a method does on an image: what the tables call looks, and from which the plan's time is estimated."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from experiments.method import tasks
from vqttt.methods import VQTTT, Episodic, Memo, Method, MethodSpec, NoTuning, Sar, Saved, Tent, Vote, VQSelect
from vqttt.runs.records import NONE
from vqttt.study import StudyConfig
from vqttt.study.plan import conditions
from vqttt.tuning.objectives import find_objective
from vqttt.tuning.quality_views import quality_views

IMAGE, LOOK, CORRECTION = 0.010, 0.0034, 0.004
"""Seconds on one core, roughly: to degrade and measure an image, to answer with the embedded model, to correct."""

RESTORERS = {NONE: 0.0, "auto": 0.030, "matched": 0.025}
"""Seconds that restorers take; all others count as corrections."""

UNCERTAIN = 0.5
"""Share of the images that a gate lets through, roughly."""


@dataclass(frozen=True, kw_only=True)
class Passes:
    """What a method does on an image that its gate lets through, besides the untuned answer.

    Attributes:
        looks: forward passes, those of gradient steps included.
        backward: backward passes.
        corrections: corrections applied to the image.
    """

    looks: float = 0
    backward: float = 0
    corrections: float = 0


def passes(spec: MethodSpec) -> Passes:
    """Return what a method does on an image."""
    if spec.kind is Saved:  # nothing is learned any more
        work = passes(MethodSpec(spec.config.kind, spec.config.config))
        return Passes(looks=1) if work.backward else work
    return next(count(spec.config) for parent, count in _COUNTS.items() if issubclass(spec.kind, parent))


def gate(spec: MethodSpec) -> float:
    """Return the entropy in nats from which on a method works on an image; 0 for all images."""
    config = spec.config.config if spec.kind is Saved else spec.config
    return float(getattr(config, "gate", 0.0))


def _steps(config: Any) -> Passes:
    """Each step has a forward and a backward pass, over several views with some objectives; another pass answers."""
    views = len(quality_views(torch.zeros(1, 3, 16, 16))) if find_objective(config.objective).views else 1
    return Passes(looks=config.steps * views + 1, backward=config.steps * views)


def _stream(config: Any) -> Passes:
    """The last step's pass may be the answer, too (see `GradientStream.tuned`)."""
    work, objective = _steps(config), find_objective(config.objective)
    shared = config.steps and not (config.afresh or objective.over_answer or objective.features)
    return replace(work, looks=work.looks - 1) if shared else work


def _tries(count: int) -> Passes:
    return Passes(looks=count, corrections=count)


_COUNTS: dict[type[Method], Callable[[Any], Passes]] = {
    NoTuning: lambda config: Passes(),
    VQSelect: lambda config: _tries(config.tries),
    Vote: lambda config: _tries(len(config.corrections)),
    VQTTT: _stream,
    Episodic: _steps,
    Sar: lambda config: Passes(looks=2 * config.steps + 1, backward=2 * config.steps),
    Tent: lambda config: Passes(looks=config.steps + 1, backward=config.steps),
    # The views are passed through twice (see `Memo.descend`).
    Memo: lambda config: Passes(looks=2 * config.views * config.steps + 1, backward=config.views * config.steps),
}


def seconds(config: StudyConfig) -> float:
    """Estimate how long a study takes on one core; a backward pass takes about as long as two forward passes."""
    methods = 0.0
    for spec in config.method_specs.values():
        work = passes(spec)
        share = UNCERTAIN if gate(spec) > 0 else 1
        methods += share * ((work.looks + 2 * work.backward) * LOOK + work.corrections * CORRECTION)
    each = [IMAGE + RESTORERS.get(one.restorer, CORRECTION) + LOOK + methods for one in conditions(config)]
    questions = sum(tasks.length(task) or config.limit or 0 for task in config.tasks)
    return len(config.models) * len(config.seeds) * questions * sum(each)
