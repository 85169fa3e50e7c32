"""What is measured: phases, each a list of studies. The methods' settings were chosen on other scenes (`LOG.md`)."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.method import fixed_correction
from experiments.method.tasks import SEEDS, STREAMS, TWELVE, scenes_name, stream_name, stream_of
from vqttt.images.degradations import DEGRADATIONS
from vqttt.methods import METHODS
from vqttt.runs.records import CLEAN, NONE
from vqttt.study import StudyConfig
from vqttt.tuning.corrections import names

DEVELOPED_ON = tuple(DEGRADATIONS)[::2]
"""The half of the degradations on which corrections and settings were chosen, on VQ-Mini's `dev` scenes."""

MAIN = ("vq-select-restore", "vq-select", "vq-select-features")
TASKS = ("digits", "fashion-mnist", "easy-vqa")
RESTORERS = ("matched", "auto")

Methods = Mapping[str, Mapping[str, Any]]
"""Methods by name, each with its settings where it is not the registered one; see `StudyConfig.method_settings`."""


def _kernel(kernel: str, rate: float, **sizes: int) -> dict[str, Any]:
    adapters = {"kernel": kernel, "lora_rank": 0, **sizes}
    return {"base": "vq-ttt", "kernel_rate": rate, "adapters": adapters}


def _lora(**changed: Any) -> dict[str, Any]:
    return {"base": "vq-select", "adapters": changed}


def _select(**changed: Any) -> dict[str, Any]:
    return {"base": "vq-select", **changed}


ABLATIONS = {
    "vq-select as it is": _select(),
    "gradient kernel: interpolation": _kernel("interpolation", 0.06),
    "gradient kernel: separable 9, rank 2": _kernel("separable", 0.003),
    "gradient kernel: separable 5, rank 2": _kernel("separable", 0.003, kernel_size=5),
    "gradient kernel: separable 9, rank 4": _kernel("separable", 0.003, kernel_rank=4),
    "gradient kernel: pyramid": _kernel("pyramid", 0.03),
    "LoRA in 1 block": _lora(lora_blocks=1),
    "LoRA in 5 blocks": _lora(lora_blocks=5),
    "LoRA of rank 1": _lora(lora_rank=1),
    "LoRA of rank 16": _lora(lora_rank=16),
    "LoRA on q, k, v": _lora(lora_targets=("q", "k", "v")),
    "2 gradient steps": _select(steps=2),
    "LoRA's rate x 3": _select(lora_rate=3e-3),
    "LoRA's rate x 10": _select(lora_rate=1e-2),
    "gate 0": _select(gate=0.0),
    "gate 0.2": _select(gate=0.2),
    "no guard": _select(guard=False),
    "guard ratio 0.7": _select(guard_ratio=0.7),
    "restored where that helps": _select(restore=True),
    "both: vq-select-restore": {"base": "vq-select-restore"},
    "caution 0": _select(caution=0.0),
    "caution 2": _select(caution=2.0),
}
"""What is changed of `vq-select`, one thing at a time; a gradient kernel takes the place of the corrections."""

BATCHES: dict[int, Methods] = {20: ABLATIONS, 5: {"batch 5": _select()}, 40: {"batch 40": _select()}}
"""The ablations by batch size."""

CORRECTIONS = {f"correction-{name}": {"base": fixed_correction.NAME, "correction": name} for name in names()}
"""Every correction by itself, in order."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study, and how its records become rows.

    Attributes:
        name: of its run folder.
        phase: the file of its rows.
        config: what runs.
        labels: by method, its name in the rows if that is another one.
    """

    name: str
    phase: str
    config: StudyConfig
    labels: Mapping[str, str] = field(default_factory=dict)

    def label(self, method: str) -> str:
        """Return a method's name in the rows."""
        return self.labels.get(method, method)

    def part(self, methods: Sequence[str], degradations: Sequence[str], seeds: Sequence[int]) -> "Study | None":
        """Return the part of the study that has some methods, degradations (or streams) and seeds; None if it is empty.

        No names stand for all. A part has a run folder of its own, and keeps the baseline, to which times are relative.
        """
        config = self.config
        kept = [name for name in config.methods if not methods or self.label(name) in methods]
        changed = {"seeds": tuple(seed for seed in config.seeds if not seeds or seed in seeds)}
        name = "tasks" if any(map(stream_of, config.tasks)) else "degradations"
        values = getattr(config, name)
        changed[name] = tuple(one for one in values if not degradations or (stream_of(one) or one) in degradations)
        if not kept or not all(changed.values()):
            return None
        config = replace(config, methods=tuple(dict.fromkeys((NONE, *kept))), **changed)
        return self if config == self.config else replace(self, name=f"{self.name}-{config.digest}", config=config)


def _main(folder: Path) -> Iterator[Study]:
    """Yield the studies of severities 3 to 5, for which the targets were set."""
    methods = _registered(MAIN, folder)
    yield Study(name="main-clean", phase="main", config=_config((scenes_name(0, 2000),), (CLEAN,), methods))
    config = _config((scenes_name(0, 500),), DEGRADATIONS, methods, severities=(5, 4, 3))
    yield Study(name="main", phase="main", config=config)


def _mild(folder: Path) -> Iterator[Study]:
    """Yield the study of severities 1 and 2."""
    config = _config((scenes_name(0, 500),), DEGRADATIONS, _registered(MAIN, folder), severities=(2, 1))
    yield Study(name="mild", phase="mild", config=config)


def _tasks(folder: Path) -> Iterator[Study]:
    """Yield the studies of other tasks, each with clean statistics of its own."""
    for task in TASKS:
        methods = _registered((*MAIN, "vq-ttt-episodic"), folder, task)
        yield Study(name=task, phase="tasks", config=_twelve(task, methods, limit=100))
        restored = _restored(_twelve(task, {}, limit=100))
        yield Study(name=f"{task}-restored", phase="tasks", config=restored)


def _baselines(folder: Path) -> Iterator[Study]:
    """Yield the studies of all methods and of restorers; on the first seed, also of every correction by itself."""
    # `likeliest` is for questions with options, and VQ-Mini has none.
    compared = [name for name in METHODS if name not in (NONE, "likeliest", fixed_correction.NAME)]
    for seed in SEEDS:
        config = _twelve(scenes_name(40 * seed, 40), _registered(compared, folder), seeds=(seed,))
        yield Study(name=f"baselines-{seed}", phase="baselines", config=config)
        yield Study(name=f"baselines-{seed}-restored", phase="baselines", config=_restored(config))
    yield Study(name="corrections", phase="baselines", config=_twelve(scenes_name(0, 40), CORRECTIONS))


def _ablations(folder: Path) -> Iterator[Study]:
    """Yield the studies of single changes, by batch size and seed."""
    for batch, ablations in BATCHES.items():
        labels = {re.sub(r"[^A-Za-z0-9]+", "-", label): label for label in ablations}
        methods = {name: ablations[label] for name, label in labels.items()}
        for seed in SEEDS:
            config = _twelve(scenes_name(25 * seed, 25), methods, seeds=(seed,), batch=batch)
            yield Study(name=f"ablations-{batch}-{seed}", phase="ablations", config=config, labels=labels)


def _streams(folder: Path) -> Iterator[Study]:
    """Yield the studies of streams whose quality changes; on `frozen`, what was learned along `mixed` is applied."""
    methods = _registered(MAIN, folder)
    *learning, frozen = map(stream_name, STREAMS)
    config = _config(learning, (CLEAN,), methods | {"vq-ttt": {}})
    yield Study(name="streams", phase="streams", config=config)
    tuned = {name: str(folder / "tuned" / f"{name}.safetensors") for name in MAIN}
    methods |= {f"{name}-frozen": {"base": name, **methods[name], "tuned": tuned[name]} for name in MAIN}
    labels = {f"{name}-frozen": f"{name}, frozen" for name in MAIN}
    yield Study(name="frozen", phase="streams", config=_config((frozen,), (CLEAN,), methods), labels=labels)


PHASES: dict[str, Callable[[Path], Iterator[Study]]] = {
    "main": _main,
    "streams": _streams,
    "baselines": _baselines,
    "tasks": _tasks,
    "ablations": _ablations,
    "mild": _mild,
}
"""The studies of each phase, given the folder of run folders and of the files that methods need."""


def _registered(chosen: Iterable[str], folder: Path, task: str = "vq-mini") -> dict[str, Mapping[str, Any]]:
    """Return registered methods; the one that needs clean statistics gets those of the task."""
    clean = {"vq-select-features": {"clean_features": str(folder / "clean" / f"{task}.safetensors")}}
    return {name: clean.get(name, {}) for name in chosen}


def _config(tasks: Sequence[str], degradations: Iterable[str], methods: Methods, **more: Any) -> StudyConfig:
    return StudyConfig(
        tasks=tuple(tasks),
        degradations=tuple(degradations),
        methods=(NONE, *methods),
        method_settings={name: settings for name, settings in methods.items() if settings},
        **more,
    )


def _twelve(task: str, methods: Methods, **more: Any) -> StudyConfig:
    return _config((task,), (CLEAN, *TWELVE), methods, severities=(3, 5), **more)


def _restored(config: StudyConfig) -> StudyConfig:
    """Return the study of the untuned model on restored images."""
    return replace(config, methods=(NONE,), method_settings={}, restorers=(NONE, *RESTORERS))
