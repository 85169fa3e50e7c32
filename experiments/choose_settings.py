"""How VQ-TTT's settings were chosen: `python -m experiments.choose_settings`, on data that no report uses.

Development data: VQ-Mini's `dev` split, and training splits of easy-VQA and digits (on which the model is better than
it should be, but which degrade like any other), under every other degradation. Every setting sees the same images and
the same untuned answers.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from experiments.method.plan import DEVELOPED_ON
from vqttt.methods import CONFIGS, VQTTT
from vqttt.models import load_model
from vqttt.runs.records import CLEAN
from vqttt.study.batch import Batch, ImageCache
from vqttt.tasks import digits, easy_vqa, vq_mini
from vqttt.tuning.adapters import AdapterConfig
from vqttt.types import Condition, Sample

OURS, GRADIENT, EPISODIC = (CONFIGS[name] for name in ("vq-ttt-bank", "vq-ttt-static", "vq-ttt-episodic"))
ALONE = CONFIGS["kernel-only"]
FEATURES = CONFIGS["vq-ttt-features"]
CONDITIONAL = CONFIGS["vq-ttt-conditional"]
SETTINGS = {
    "bank": ALONE,
    "bank, caution .5": replace(ALONE, caution=0.5),
    "bank, caution 1": replace(ALONE, caution=1.0),
    "bank, explore .2": replace(ALONE, explore=0.2),
    "bank, no guard": replace(ALONE, guard=False),
    "bank, gate .1": replace(ALONE, gate=0.1),
    "bank, LoRA 1e-3": OURS,
    "bank, LoRA 3e-3": replace(OURS, lora_rate=3e-3),
    "bank, blurs .03, LoRA 1e-3": replace(OURS, kernel_rate=0.03, adapters=AdapterConfig()),
    "bank, features": replace(FEATURES, steps=0, adapters=ALONE.adapters),
    "bank, features, LoRA 1e-3": FEATURES,
    "bank, features x 3": replace(FEATURES, objective="entropy+0.3*feature-statistics"),
    "gradient, blurs .06, LoRA 3e-3": GRADIENT,
    "gradient, pyramid .03": replace(GRADIENT, kernel_rate=0.03, adapters=AdapterConfig(kernel="pyramid", lora_rank=0)),
    "gradient, conditional .01, LoRA 1e-3": CONDITIONAL,
    "gradient, conditional .01, naturalness": replace(CONDITIONAL, objective="entropy+0.1*naturalness"),
    "episodic, blurs .2, LoRA 6e-3": EPISODIC,
    "episodic, blurs .1, LoRA 3e-3": replace(EPISODIC, kernel_rate=0.1, lora_rate=3e-3),
}
"""What was tried, by the learning rates of its kernel and its LoRA."""


def development(count: int) -> dict[str, list[Sample]]:
    """Return `count` samples of each development task."""

    def spread(samples: list[Sample]) -> list[Sample]:
        return [samples[i] for i in sorted(np.random.default_rng(1).permutation(len(samples))[:count])]

    return {
        "vq-mini": vq_mini.samples("dev", count),
        "easy-vqa": spread(easy_vqa.samples("train")),
        "digits": spread(digits.samples("train")),
    }


def batches(samples: list[Sample], condition: Condition, model: object, size: int) -> list[Batch]:
    """Degrade, encode and answer untuned."""
    images = ImageCache()
    return [
        Batch.prepare(samples[start : start + size], images, condition, model, seed=100, max_new_tokens=16)
        for start in range(0, len(samples), size)
    ]


def measure(
    names: list[str], tasks: list[str], severities: list[int], count: int, size: int
) -> Iterator[dict[str, object]]:
    """Yield a row for every task, condition and setting: untuned accuracy, tuned accuracy, seconds a sample."""
    model = load_model("embedded")
    for task in tasks:
        samples = development(count)[task]
        grid = [(CLEAN, 0), *((kind, severity) for kind in DEVELOPED_ON for severity in severities)]
        for kind, severity in grid:
            prepared = batches(samples, Condition(degradation=kind, severity=severity), model, size)
            for name in names:
                method = VQTTT(model, SETTINGS[name])
                began = time.perf_counter()
                records = [record for batch in prepared for record in batch.answered_by(method)]
                yield {
                    "task": task,
                    "degradation": kind,
                    "severity": severity,
                    "setting": name,
                    "before": np.mean([record.base_score for record in records]).item(),
                    "after": np.mean([record.score for record in records]).item(),
                    "tuned": np.mean([record.steps > 0 for record in records]).item(),
                    "rolled_back": np.mean([record.rolled_back for record in records]).item(),
                    "seconds": (time.perf_counter() - began) / len(records),
                }


def main() -> None:
    """Measure, write the rows, print a table of mean gains in points."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--setting", action="append", choices=SETTINGS)
    parser.add_argument("--severity", type=int, action="append")
    parser.add_argument("--task", action="append", choices=["vq-mini", "easy-vqa", "digits"])
    parser.add_argument("--count", type=int, default=240)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("runs/choose_settings.json"))
    arguments = parser.parse_args()
    names = arguments.setting or list(SETTINGS)
    rows = []
    for row in measure(
        names, arguments.task or ["vq-mini"], arguments.severity or [4], arguments.count, arguments.batch
    ):
        rows.append(row)
        print(f"\r{len(rows)} cells", end="", file=sys.stderr, flush=True)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    settings = {name: asdict(SETTINGS[name]) for name in names}
    arguments.out.write_text(json.dumps({"settings": settings, "rows": rows}, indent=1))
    kinds = list(dict.fromkeys(row["degradation"] for row in rows))
    print("\n| setting | " + " | ".join(kinds) + " | mean of degraded | tuned | rolled back | ms |")
    print("|---" * (len(kinds) + 5) + "|")
    for name in names:
        mine = [row for row in rows if row["setting"] == name]
        gains = {
            kind: 100 * np.mean([r["after"] - r["before"] for r in mine if r["degradation"] == kind]) for kind in kinds
        }
        degraded = np.mean([gain for kind, gain in gains.items() if kind != CLEAN])
        shares = [f"{np.mean([row[key] for row in mine]):.2f}" for key in ("tuned", "rolled_back")]
        cells = [f"{gain:+.1f}" for gain in (*gains.values(), degraded)]
        print(
            f"| {name} | " + " | ".join([*cells, *shares, f"{1000 * np.mean([r['seconds'] for r in mine]):.0f}"]) + " |"
        )


if __name__ == "__main__":
    main()
