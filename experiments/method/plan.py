"""What is measured: phases of cells, each with its methods. Defaults were chosen on other scenes (`LOG.md`)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from vqttt.images.degradations import DEGRADATIONS
from vqttt.methods import CONFIGS, METHODS, VQTTT, Method
from vqttt.models.base import Model
from vqttt.runs.records import CLEAN
from vqttt.tuning.adapters import AdapterConfig

DEVELOPED_ON = tuple(DEGRADATIONS)[::2]
"""The half of the degradations on which the bank and the settings were chosen, on VQ-Mini's `dev` scenes."""

TWELVE = (
    "gaussian_noise", "motion_blur", "snow", "fog", "gaussian_blur", "jpeg_compression",
    "contrast", "low_light", "impulse_noise", "frost", "haze", "phone_at_night",
)  # fmt: skip
"""The subset on which every baseline and ablation is measured: the paper's four, and eight more of all kinds."""

MAIN = ("vq-ttt", "vq-ttt-bank", "vq-ttt-features")
TASKS = ("digits", "fashion-mnist", "easy-vqa")
STREAMS = ("mixed", "changing", "one-answer", "frozen")

_OURS = CONFIGS["vq-ttt-bank"]
_GRADIENT = CONFIGS["vq-ttt-static"]


def _kernel(name: str, rate: float, **more: int) -> object:
    return replace(_GRADIENT, kernel_rate=rate, adapters=AdapterConfig(kernel=name, lora_rank=0, **more))


def _lora(**more: object) -> object:
    return replace(_OURS, adapters=replace(_OURS.adapters, **more))


ABLATIONS = {
    "vq-ttt-bank as it is": _OURS,
    "restored where that helps": replace(_OURS, restore=True),
    "guard ratio 0.7": replace(_OURS, guard_ratio=0.7),
    "both: vq-ttt": CONFIGS["vq-ttt"],
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
    "2 gradient steps": replace(_OURS, steps=2),
    "LoRA's rate x 3": replace(_OURS, lora_rate=3 * _OURS.lora_rate),
    "LoRA's rate x 10": replace(_OURS, lora_rate=10 * _OURS.lora_rate),
    "gate 0": replace(_OURS, gate=0.0),
    "gate 0.2": replace(_OURS, gate=0.2),
    "no guard": replace(_OURS, guard=False),
    "caution 0": replace(_OURS, caution=0.0),
    "caution 2": replace(_OURS, caution=2.0),
    "batch 5": _OURS,
    "batch 40": _OURS,
}
"""What is changed of `vq-ttt-bank`, one thing at a time; a gradient kernel stands in the place of the bank."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One stream of samples, answered by several methods that share images and untuned answers."""

    phase: str
    task: str
    degradation: str
    severity: int
    seed: int
    count: int
    batch: int = 20

    @property
    def key(self) -> str:
        """Say which cell this is."""
        return "~".join(map(str, (self.phase, self.task, self.degradation, self.severity, self.seed, self.batch)))


def cells(phase: str) -> list[Cell]:
    """Return the cells of a phase; `main` has severities 3 to 5, which the aims are set for, and `mild` 1 and 2."""
    clean = (CLEAN, 0)
    severe = [clean, *((kind, severity) for severity in (5, 4, 3) for kind in DEGRADATIONS)]
    mild = [(kind, severity) for severity in (2, 1) for kind in DEGRADATIONS]
    twelve = [clean, *((kind, severity) for severity in (3, 5) for kind in TWELVE)]
    seeds = (0, 1, 2)

    def grid(conditions: list[tuple[str, int]], tasks: tuple[str, ...], counts: int, batch: int = 20) -> list[Cell]:
        over = seeds if phase in ("baselines", "ablations") else (0,)
        return [
            Cell(phase=phase, task=task, degradation=kind, severity=severity, seed=seed, count=counts, batch=batch)
            for seed in over
            for task in tasks
            for kind, severity in conditions
        ]

    if phase == "main":
        return [replace(c, count=2000) if c.severity == 0 else c for c in grid(severe, ("vq-mini",), 500)]
    if phase == "mild":
        return grid(mild, ("vq-mini",), 500)
    if phase == "tasks":
        return grid(twelve, TASKS, 100)
    if phase == "baselines":
        return grid(twelve, ("vq-mini",), 40)
    if phase == "ablations":
        return [cell for batch in (20, 5, 40) for cell in grid(twelve, ("vq-mini",), 25, batch)]
    return [
        Cell(phase=phase, task="vq-mini", degradation=stream, severity=0, seed=0, count=count)
        for stream, count in zip(STREAMS, (2000, 5000, 500, 2000), strict=True)
    ]


def methods(cell: Cell, tuned: str = "") -> dict[str, Callable[[Model], Method]]:
    """Return what answers a cell, by name; `tuned` is the folder of what earlier streams have taught."""
    if cell.phase == "ablations":
        chosen = {name: config for name, config in ABLATIONS.items() if _batch_of(name) == cell.batch}
        return {name: lambda model, config=config: VQTTT(model, config) for name, config in chosen.items()}
    if cell.degradation == "frozen":
        return {
            f"{name}, frozen": lambda model, name=name: VQTTT(
                model, replace(CONFIGS[name], start=f"{tuned}/{name}.safetensors", frozen=True)
            )
            for name in MAIN
        } | {name: METHODS[name] for name in MAIN}
    names = {
        "main": MAIN,
        "mild": MAIN,
        "tasks": (*MAIN, "vq-ttt-episodic"),
        # `likeliest` is for options, and VQ-Mini has none.
        "baselines": tuple(name for name in METHODS if name not in ("none", "likeliest")),
        "streams": (*MAIN, "vq-ttt-static"),
    }[cell.phase]
    return {name: METHODS[name] for name in names}


def _batch_of(name: str) -> int:
    return int(name.removeprefix("batch ")) if name.startswith("batch ") else 20
