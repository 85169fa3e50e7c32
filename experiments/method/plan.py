"""What is measured: phases, each a list of studies. All settings were chosen on other scenes (`LOG.md`).

All phases together take at most three hours on two cores (see `passes.seconds`, which `python -m experiments.method
--estimate` prints).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.method.tasks import OTHER_SCENES, STREAMS, TWELVE, scenes_name, stream_name, stream_of
from vqttt.images.degradations import DEGRADATIONS
from vqttt.images.restorers import CORRECTIONS
from vqttt.methods import METHODS
from vqttt.models import EMBEDDED
from vqttt.runs.records import CLEAN, NONE
from vqttt.study import StudyConfig
from vqttt.tuning.kernels import KERNELS

DEVELOPED_ON = tuple(DEGRADATIONS)[::2]
"""The half of the degradations that one of the saved predictors has seen; settings were chosen on all."""

OTHERS = tuple(DEGRADATIONS)[1::2]
"""The other half."""

SELECT, TTT = "vq-select", "vq-ttt"
RESTORERS = ("auto", "matched")
MODELS = ("embedded-soft", "embedded-web")
TASKS = ("digits", "fashion-mnist", "easy-vqa")

SHIPPED = EMBEDDED / "vq-select.safetensors"
"""What `vq-select` learned on `dev` scenes under all degradations (`python -m experiments.method.tune`)."""

TUNED = f"{SELECT} --tuned"
HALF = f"{SELECT} --tuned, half"
HALF_START = f"{SELECT}, started from half"
UNTAUGHT = "without learning"
TWO_STEPS = f"{TTT}, 2 steps"

Methods = Mapping[str, Mapping[str, Any]]
"""Methods by their name in the rows, each with its settings; see `StudyConfig.method_settings`."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study, and how its records become rows.

    Attributes:
        name: of its run folder.
        config: what runs.
        labels: by method, its name in the rows.
    """

    name: str
    config: StudyConfig
    labels: Mapping[str, str] = field(default_factory=dict)

    def label(self, method: str) -> str:
        """Return a method's name in the rows."""
        return self.labels.get(method, method)

    def part(self, methods: Sequence[str], degradations: Sequence[str]) -> "Study | None":
        """Return the part of the study that has some methods and degradations (or streams); None if it is empty.

        No names stand for all. A part has a run folder of its own, and keeps the baseline, to which times are relative.
        """
        config = self.config
        kept = [name for name in config.methods if not methods or self.label(name) in methods]
        axis = "tasks" if any(map(stream_of, config.tasks)) else "degradations"
        values = tuple(
            one for one in getattr(config, axis) if not degradations or (stream_of(one) or one) in degradations
        )
        if not kept or not values:
            return None
        changed: dict[str, Any] = {"methods": tuple(dict.fromkeys((NONE, *kept))), axis: values}
        config = replace(config, **changed)
        return self if config == self.config else replace(self, name=f"{self.name}-{config.digest}", config=config)


def _main(files: Path) -> Iterator[Study]:
    """Yield the studies of all degradations at severities 3 to 5, for which the targets were set."""
    methods = {SELECT: {}, TUNED: _tuned(SHIPPED), HALF: _tuned(_half(files)), TTT: {}}
    clean = _config((scenes_name(2000),), (CLEAN,))
    yield from _with_restored("main-clean", clean, methods, RESTORERS)
    every = _config((scenes_name(500),), DEGRADATIONS, (3, 4, 5))
    yield _study("main", every, methods)
    # Restorers do not learn along a stream, and take longer than any method: the first 200 scenes are enough.
    fewer = replace(every, tasks=(scenes_name(200),), restorers=(NONE, *RESTORERS))
    yield Study(name="main-restored", config=fewer)


def _again(files: Path) -> Iterator[Study]:
    """Yield the study of the two methods on other scenes, with another seed for the degradations and the methods."""
    config = _config((OTHER_SCENES,), (CLEAN, *DEGRADATIONS), (3, 4, 5), seeds=(1,))
    yield _study("again", config, {SELECT: {}, TTT: {}})


def _models(files: Path) -> Iterator[Study]:
    """Yield the studies of models whose training images were of another quality."""
    config = _config((scenes_name(200),), (CLEAN, *DEGRADATIONS), (3, 5), models=MODELS)
    yield from _with_restored("models", config, {SELECT: {}, TTT: {}}, RESTORERS)
    yield _study("models-steps", replace(config, models=MODELS[:1]), {TWO_STEPS: {"base": TTT, "steps": 2}})


def _streams(files: Path) -> Iterator[Study]:
    """Yield the studies of streams whose quality changes."""
    methods = {SELECT: {}, TUNED: _tuned(SHIPPED), HALF: _tuned(_half(files))}
    methods |= {HALF_START: {"base": SELECT, "start": str(_half(files))}, TTT: {}}
    yield from _with_restored("streams", _config(tuple(map(stream_name, STREAMS)), (CLEAN,)), methods, ("auto",))


def _baselines(files: Path) -> Iterator[Study]:
    """Yield the studies of all methods, of restorers, and, on half as many questions, of every correction by itself."""
    # `likeliest` is for questions with options, and VQ-Mini has none.
    compared: Methods = {name: {} for name in METHODS if name not in (NONE, "likeliest")} | {TUNED: _tuned(SHIPPED)}
    yield from _with_restored("baselines", _twelve(scenes_name(200)), compared, RESTORERS)
    corrections = _twelve(scenes_name(100), restorers=(NONE, *CORRECTIONS))
    yield Study(name="corrections", config=corrections)


def _tasks(files: Path) -> Iterator[Study]:
    """Yield the studies of other tasks."""
    methods: Methods = {SELECT: {}, TTT: {}, "vq-ttt-episodic": {}}
    for task in TASKS:
        yield from _with_restored(task, _twelve(task, limit=100), methods, RESTORERS)


def _ablations(files: Path) -> Iterator[Study]:
    """Yield the studies of single changes to each of the two methods."""
    for base, changes in (("select", select_changes(files)), ("ttt", ttt_changes())):
        yield _study(f"ablations-{base}", _twelve(scenes_name(100)), changes)


PHASES: dict[str, Callable[[Path], Iterator[Study]]] = {
    "main": _main,
    "again": _again,
    "models": _models,
    "streams": _streams,
    "baselines": _baselines,
    "ablations": _ablations,
    "tasks": _tasks,
}
"""The studies of each phase, given the folder of files that methods need; the most important first."""


def select_changes(files: Path) -> Methods:
    """Return `vq-select` as it is, and with one change at a time."""
    changes: dict[str, dict[str, Any]] = {f"{SELECT} as it is": {}}
    changes |= {f"{count} tried": {"tries": count} for count in (1, 3)}
    changes |= {
        "gate 0": {"gate": 0.0},
        "gate 0.2": {"gate": 0.2},
        "no guard": {"guard": False},
        "trust 0": {"trust": 0.0},
    }
    changes |= {"every other correction": {"corrections": CORRECTIONS[::2]}}
    changes |= {"the other corrections": {"corrections": CORRECTIONS[1::2]}}
    changes |= {UNTAUGHT: {"tuned": str(files / "nothing.safetensors")}}
    return {label: {"base": SELECT, **own} for label, own in changes.items()}


_RATES = {"separable": 0.003}
"""Learning rates of kernels that need another one than that of the registered method."""


def ttt_changes() -> Methods:
    """Return `vq-ttt` as it is, and with one change at a time, out of what it is not already."""
    config = METHODS[TTT].config
    changes: dict[str, dict[str, Any]] = {f"{TTT} as it is": {}}
    changes |= {"kernel only": {"adapters": {"lora_rank": 0}}, "LoRA only": {"adapters": {"kernel": "none"}}}
    changes |= {"answered afresh" if not config.afresh else "not answered afresh": {"afresh": not config.afresh}}
    changes |= {f"{n} step{'s' * (n > 1)}": {"steps": n} for n in (1, 2, 4) if n != config.steps}
    changes |= {f"objective: {name}": {"objective": name} for name in OBJECTIVES if name != config.objective}
    changes |= {
        f"kernel: {name}": {"adapters": {"kernel": name}, "kernel_rate": _RATES.get(name, config.kernel_rate)}
        for name in KERNELS
        if name != config.adapters.kernel
    }
    return {label: {"base": TTT, **own} for label, own in changes.items()}


OBJECTIVES = ("entropy", "answer-entropy", "marginal-entropy", "information-maximisation", "entropy+0.1*naturalness")
"""Source-free objectives of `vq-ttt` that are compared."""


def _half(files: Path) -> Path:
    """Return the file of what `vq-select` learned on `dev` scenes under the degradations of `DEVELOPED_ON`."""
    return files / "half.safetensors"


def _tuned(file: Path) -> dict[str, Any]:
    return {"base": SELECT, "tuned": str(file)}


def _with_restored(name: str, config: StudyConfig, methods: Methods, restorers: Iterable[str]) -> Iterator[Study]:
    """Yield the study of methods, and that of the untuned model on restored images."""
    yield _study(name, config, methods)
    yield Study(name=f"{name}-restored", config=replace(config, restorers=(NONE, *restorers)))


def _study(name: str, config: StudyConfig, methods: Methods) -> Study:
    """Return a study of methods by their labels, which a study's names of methods may not be."""
    labels = {re.sub(r"[^A-Za-z0-9.]+", "-", label): label for label in methods}
    assert len(labels) == len(methods), f"two methods of {name} have the same name"
    settings = {slug: methods[label] for slug, label in labels.items() if methods[label]}
    config = replace(config, methods=(NONE, *labels), method_settings=settings)
    return Study(name=name, config=config, labels=labels)


def _config(
    tasks: Sequence[str], degradations: Iterable[str], severities: Sequence[int] = (3, 5), **more: Any
) -> StudyConfig:
    """Return a study of the untuned model."""
    return StudyConfig(
        tasks=tuple(tasks), degradations=tuple(degradations), severities=tuple(severities), methods=(NONE,), **more
    )


def _twelve(task: str, **more: Any) -> StudyConfig:
    return _config((task,), (CLEAN, *TWELVE), **more)
