"""How settings were chosen: `python -m experiments.choose_settings`, on data that no report uses.

Development data: VQ-Mini's `dev` split, and the training splits of easy-VQA and digits, under every other degradation.
The model was trained on the latter two, so its clean accuracy is too high there, but they degrade like any others.
Settings are compared on the same images and untuned answers. You can stop a run and resume it by the same command.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from experiments.markers import table
from experiments.method.plan import DEVELOPED_ON
from vqttt.runs.loading import load_records
from vqttt.runs.records import CLEAN, NONE
from vqttt.study import StudyConfig, run
from vqttt.tasks import TASKS, digits, easy_vqa, vq_mini
from vqttt.types import Sample

SETTINGS: dict[str, dict[str, Any]] = {
    "select": {"base": "kernel-only"},
    "select-caution-0.5": {"base": "kernel-only", "caution": 0.5},
    "select-caution-1": {"base": "kernel-only", "caution": 1.0},
    "select-explore-0.2": {"base": "kernel-only", "explore": 0.2},
    "select-no-guard": {"base": "kernel-only", "guard": False},
    "select-gate-0.1": {"base": "kernel-only", "gate": 0.1},
    "select-lora-0.001": {"base": "vq-select"},
    "select-lora-0.003": {"base": "vq-select", "lora_rate": 3e-3},
    "select-blurs-0.03-lora-0.001": {
        "base": "vq-select",
        "kernel_rate": 0.03,
        "adapters": {"kernel": "interpolation"},
    },
    "select-features": {"base": "vq-select-features", "steps": 0, "adapters": {"lora_rank": 0}},
    "select-features-lora-0.001": {"base": "vq-select-features"},
    "select-features-x3-lora-0.001": {"base": "vq-select-features", "objective": "entropy+0.3*feature-statistics"},
    "gradient-blurs-0.06-lora-0.003": {"base": "vq-ttt"},
    "gradient-pyramid-0.03": {
        "base": "vq-ttt",
        "kernel_rate": 0.03,
        "adapters": {"kernel": "pyramid", "lora_rank": 0},
    },
    "gradient-conditional-0.01-lora-0.001": {"base": "vq-ttt-conditional"},
    "gradient-conditional-naturalness": {"base": "vq-ttt-conditional", "objective": "entropy+0.1*naturalness"},
    "episodic-blurs-0.2-lora-0.006": {"base": "vq-ttt-episodic"},
    "episodic-blurs-0.1-lora-0.003": {"base": "vq-ttt-episodic", "kernel_rate": 0.1, "lora_rate": 3e-3},
}
"""What was tried, as methods of a study; the numbers after a kernel and after LoRA are learning rates."""

SPLITS: dict[str, Callable[[int], list[Sample]]] = {
    "vq-mini": lambda count: vq_mini.samples("dev", count),
    "easy-vqa": lambda count: _some(easy_vqa.samples("train"), count),
    "digits": lambda count: _some(digits.samples("train"), count),
}
"""The development data: a number of samples of each task."""


def _some(samples: list[Sample], count: int) -> list[Sample]:
    return [samples[i] for i in sorted(np.random.default_rng(1).permutation(len(samples))[:count])]


def gains_table(records: pl.DataFrame) -> str:
    """Tabulate by setting the mean gain in points under each degradation, how often it tuned, and its time."""
    kinds = records["degradation"].unique(maintain_order=True).to_list()
    body = []
    for (setting,), mine in records.filter(pl.col("method") != NONE).group_by("method", maintain_order=True):
        by_kind = mine.group_by("degradation").agg(100 * (pl.col("score") - pl.col("base_score")).mean())
        gains = dict(by_kind.iter_rows())
        degraded = np.mean([gains[kind] for kind in kinds if kind != CLEAN])
        shares = [(mine["steps"] > 0).mean(), mine["rolled_back"].mean()]
        cells = [f"{gains[kind]:+.1f}" for kind in kinds] + [f"{degraded:+.1f}"]
        cells += [f"{share:.2f}" for share in shares] + [f"{1000 * mine['seconds'].mean():.0f}"]
        body.append([str(setting), *cells])
    return table(["setting", *kinds, "mean of degraded", "tuned", "rolled back", "ms"], body)


def main() -> None:
    """Run the study, or what is missing of it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--setting", action="append", choices=SETTINGS)
    parser.add_argument("--severity", type=int, action="append", help="may be repeated [4]")
    parser.add_argument("--task", action="append", choices=SPLITS, help="may be repeated [vq-mini]")
    parser.add_argument("--count", type=int, default=240, help="questions per task [240]")
    parser.add_argument("--batch", type=int, default=20, help="questions answered, and tuned on, together [20]")
    parser.add_argument("--out", type=Path, help="run folder [runs/choose-settings-...]")
    arguments = parser.parse_args()
    names = {task: f"{task}-dev-{arguments.count}" for task in arguments.task or ["vq-mini"]}
    for task, name in names.items():
        TASKS.add(name, partial(SPLITS[task], arguments.count), f"development samples of {task}")
    settings = {name: SETTINGS[name] for name in arguments.setting or SETTINGS}
    config = StudyConfig(
        tasks=tuple(names.values()),
        degradations=(CLEAN, *DEVELOPED_ON),
        severities=tuple(arguments.severity or [4]),
        methods=(NONE, *settings),
        method_settings=settings,
        seeds=(100,),
        batch=arguments.batch,
    )
    out = arguments.out or Path("runs") / f"choose-settings-{config.digest}"

    def progress(done: int, total: int, label: str) -> None:
        print(f"\r{done}/{total} answers", end="" if done < total else "\n", file=sys.stderr, flush=True)

    folder = run(config, out, progress=progress)
    print(gains_table(load_records(Path(folder))))


if __name__ == "__main__":
    main()
