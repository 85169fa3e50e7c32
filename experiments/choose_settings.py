"""How the settings of `vq-ttt` and `vq-ttt-episodic` were chosen: `python -m experiments.choose_settings`.

Every setting answers the same images, with the same untuned answers: VQ-Mini's `dev` scenes from number 10,000 on,
which no report uses, degraded in ways of all kinds, and clean. `--mixed` shuffles them into one stream instead. You can
stop a run and resume it by the same command.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from experiments.markers import table
from vqttt.images.degradations import DEGRADATIONS, degrade, image_seed
from vqttt.runs.loading import load_records
from vqttt.runs.records import CLEAN, NONE
from vqttt.study import StudyConfig, run
from vqttt.tasks import TASKS, vq_mini
from vqttt.types import Image, Sample

FIRST = 10_000
"""The number of the first `dev` scene."""

SEED = 100

KINDS = (
    "gaussian_noise", "motion_blur", "fog", "contrast", "low_light", "jpeg_compression", "gaussian_blur", "snow",
    "spatter", "old_scan", "glass_blur", "haze",
)  # fmt: skip
"""Degradations of all kinds."""

SETTINGS: dict[str, dict[str, Any]] = {
    "as-it-is": {"base": "vq-ttt"},
    "afresh": {"base": "vq-ttt", "afresh": True},
    "two-steps": {"base": "vq-ttt", "steps": 2},
    "half-rates": {"base": "vq-ttt", "kernel_rate": 0.075, "lora_rate": 5e-3},
    "kernel-rate-0.3": {"base": "vq-ttt", "kernel_rate": 0.3},
    "lora-rate-0.003": {"base": "vq-ttt", "lora_rate": 3e-3},
    "lora-rate-0.02": {"base": "vq-ttt", "lora_rate": 2e-2},
    "kernel-alone": {"base": "kernel-only"},
    "lora-alone": {"base": "lora-only"},
    "separable-0.003": {"base": "vq-ttt", "kernel_rate": 3e-3, "adapters": {"kernel": "separable"}},
    "separable-0.01": {"base": "vq-ttt", "kernel_rate": 1e-2, "adapters": {"kernel": "separable"}},
    "separable-0.03": {"base": "vq-ttt", "kernel_rate": 3e-2, "adapters": {"kernel": "separable"}},
    "every-update-full": {"base": "vq-ttt", "full_step": 1},
    "nothing-forgotten": {"base": "vq-ttt", "forget": 0.0},
    "guard-1": {"base": "vq-ttt", "guard_ratio": 1.0},
    "gate-0.1": {"base": "vq-ttt", "gate": 0.1},
    "lora-in-5-blocks": {"base": "vq-ttt", "adapters": {"lora_blocks": 5}},
    "entropy": {"base": "vq-ttt", "objective": "entropy"},
    "half-the-variety": {"base": "vq-ttt", "objective": "entropy+information-maximisation"},
    "naturalness": {"base": "vq-ttt", "objective": "information-maximisation+0.1*naturalness"},
    "episodic": {"base": "vq-ttt-episodic"},
    "episodic-half-rates": {"base": "vq-ttt-episodic", "kernel_rate": 0.15, "lora_rate": 4.5e-3},
    "episodic-double-rates": {"base": "vq-ttt-episodic", "kernel_rate": 0.6, "lora_rate": 1.8e-2},
}
"""What was tried, as methods of a study."""


def scenes(count: int) -> list[Sample]:
    """Return `dev` scenes from `FIRST` on."""
    return vq_mini.samples("dev", FIRST + count)[FIRST:]


def mixed(count: int, kinds: Sequence[str], severities: Sequence[int]) -> list[Sample]:
    """Return `dev` scenes of which each is clean, or degraded in one of the ways, at random.

    The category of a sample is its condition, such as `fog-3`.
    """
    rng = np.random.default_rng(SEED)
    conditions = [(CLEAN, 0), *((kind, severity) for kind in kinds for severity in severities)]
    drawn = [conditions[number] for number in rng.integers(len(conditions), size=count)]
    return [
        replace(sample, load=partial(_degraded, sample, kind, severity), category=f"{kind}-{severity}")
        for sample, (kind, severity) in zip(scenes(count), drawn, strict=True)
    ]


def _degraded(sample: Sample, kind: str, severity: int) -> Image:
    image = sample.load()
    return image if kind == CLEAN else degrade(image, kind, severity, image_seed(SEED, sample.id), "relative")


def gains_table(records: pl.DataFrame) -> str:
    """Tabulate by model and setting the mean gain in points under each degradation, how often it tuned, and its time.

    In a mixed stream, the degradation is the category's.
    """
    kinds = records["kind"].unique(maintain_order=True).to_list()
    body = []
    for (model, setting), mine in records.filter(pl.col("method") != NONE).group_by(
        ["model", "method"], maintain_order=True
    ):
        by_kind = mine.group_by("kind").agg(100 * (pl.col("score") - pl.col("base_score")).mean())
        gains = dict(by_kind.iter_rows())
        degraded = np.mean([gain for kind, gain in gains.items() if kind != CLEAN]) if len(gains) > 1 else 0.0
        means = mine.select((pl.col("steps") > 0).mean(), pl.col("rolled_back").mean(), 1000 * pl.col("seconds").mean())
        tuned, rolled_back, milliseconds = means.row(0)
        cells = [f"{degraded:+.2f}", *(f"{gains[kind]:+.1f}" for kind in kinds)]
        cells += [f"{tuned:.2f}", f"{rolled_back:.2f}", f"{milliseconds:.0f}"]
        body.append([str(model), str(setting), *cells])
    return table(["model", "setting", "mean of degraded", *kinds, "tuned", "rolled back", "ms"], body)


def records_of(folder: Path) -> pl.DataFrame:
    """Return a run's records, with the kind of degradation of each."""
    records = load_records(folder)
    streamed = pl.col("category").str.contains("-") & (pl.col("degradation") == CLEAN)
    kind = pl.when(streamed).then(pl.col("category").str.split("-").list.first()).otherwise(pl.col("degradation"))
    return records.with_columns(kind=kind)


def main() -> None:
    """Run the study, or what is missing of it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append", help="may be repeated [embedded, embedded-soft, embedded-web]")
    parser.add_argument("--setting", action="append", choices=SETTINGS, help="may be repeated [all]")
    parser.add_argument("--severity", type=int, action="append", help="may be repeated [3, 5]")
    parser.add_argument("--all-degradations", action="store_true", help="all, rather than twelve of them")
    parser.add_argument("--clean-only", action="store_true", help="no degradation: one stream of clean images")
    parser.add_argument("--mixed", action="store_true", help="one stream in which the degradation changes by image")
    parser.add_argument("--count", type=int, default=240, help="questions per stream [240]")
    parser.add_argument("--batch", type=int, default=20, help="questions answered, and tuned on, together [20]")
    parser.add_argument("--out", type=Path, help="run folder [runs/choose-settings-...]")
    arguments = parser.parse_args()
    kinds = tuple(DEGRADATIONS) if arguments.all_degradations else KINDS
    severities = tuple(arguments.severity or (3, 5))
    settings = {name: SETTINGS[name] for name in arguments.setting or SETTINGS}
    name = f"vq-mini-dev-{'mixed-' if arguments.mixed else ''}{arguments.count}"
    samples = (
        partial(mixed, arguments.count, kinds, severities) if arguments.mixed else partial(scenes, arguments.count)
    )
    TASKS.add(name, samples, "development scenes of VQ-Mini")
    config = StudyConfig(
        models=tuple(arguments.model or ("embedded", "embedded-soft", "embedded-web")),
        tasks=(name,),
        degradations=(CLEAN,) if arguments.mixed or arguments.clean_only else (CLEAN, *kinds),
        severities=severities,
        methods=(NONE, *settings),
        method_settings=settings,
        seeds=(SEED,),
        batch=arguments.batch,
    )
    out = arguments.out or Path("runs") / f"choose-settings-{config.digest}"

    def progress(done: int, total: int, label: str) -> None:
        print(f"\r{done}/{total} answers", end="" if done < total else "\n", file=sys.stderr, flush=True)

    print(gains_table(records_of(Path(run(config, out, progress=progress)))))


if __name__ == "__main__":
    main()
