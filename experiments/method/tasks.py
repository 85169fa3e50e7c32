"""The experiment's own tasks: ranges of VQ-Mini's test scenes, and streams of images whose quality changes."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from vqttt.images.degradations import DEGRADATIONS, degrade, image_seed
from vqttt.runs.records import CLEAN
from vqttt.tasks import TASKS, Task, vq_mini
from vqttt.types import Image, Sample

TWELVE = (
    "gaussian_noise", "motion_blur", "snow", "fog", "gaussian_blur", "jpeg_compression",
    "contrast", "low_light", "impulse_noise", "frost", "haze", "phone_at_night",
)  # fmt: skip
"""The subset on which every baseline and ablation is measured: the paper's four, and eight more of all kinds."""

SEEDS = (0, 1, 2)
"""Each has scenes of its own."""

RANGES = [(0, 2000), (0, 500), *((seed * count, count) for count in (40, 25) for seed in SEEDS)]
"""First scene and number of scenes of each task without a stream."""

STREAMS = ("mixed", "changing", "one-answer", "frozen")
LENGTHS = {"mixed": 2000, "changing": 5000, "one-answer": 500, "frozen": 2000}
_FROZEN_START = 3000  # the scenes of `frozen` are not those of `mixed`


def scenes_name(start: int, count: int) -> str:
    """Return the name of the task with `count` scenes from number `start` on."""
    return f"vq-mini-{start}-{count}"


def stream_name(stream: str) -> str:
    """Return the name of a stream's task."""
    return f"stream-{stream}"


def stream_of(task: str) -> str:
    """Return the stream that a task is; empty if it is none."""
    return task.removeprefix("stream-") if task.startswith("stream-") else ""


def row_name(task: str) -> str:
    """Return the name of a task in rows: the experiment's own tasks are all made of VQ-Mini's scenes."""
    return "vq-mini" if task.startswith(("vq-mini", "stream-")) else task


def scenes(start: int, count: int) -> list[Sample]:
    """Return `count` of VQ-Mini's test scenes from number `start` on."""
    return vq_mini.samples("test", start + count)[start:]


def stream(name: str) -> list[Sample]:
    """Return the samples of a stream, whose images are degraded when they are loaded.

    The category of a sample is its condition: degradation and severity, such as `fog-3`.
    """
    count = LENGTHS[name]
    if name == "one-answer":
        samples = [sample for sample in scenes(0, 16 * count) if sample.answers == ("yes",)][:count]
    else:
        samples = scenes(_FROZEN_START if name == "frozen" else 0, count)
    return [_degraded(sample, *condition) for sample, condition in zip(samples, conditions(name), strict=True)]


def conditions(name: str) -> Iterator[tuple[str, int]]:
    """Yield the degradation and severity of each sample of a stream.

    `mixed` and `frozen` draw one of all degradations and severities for every image, or leave it clean, one in three;
    `changing` has another condition every 500 images; `one-answer` has strong noise.
    """
    rng = np.random.default_rng([7, 0, len(name)])
    for index in range(LENGTHS[name]):
        if name == "changing":
            turn = index // 500
            yield (CLEAN, 0) if turn % 3 == 2 else (TWELVE[turn], 3 + turn % 3)
        elif name == "one-answer":
            yield "gaussian_noise", 5
        else:
            drawn = str(rng.choice(tuple(DEGRADATIONS))), int(rng.integers(1, 6))
            yield (CLEAN, 0) if rng.random() < 1 / 3 else drawn


def _degraded(sample: Sample, kind: str, severity: int) -> Sample:
    return replace(sample, load=partial(_load, sample, kind, severity), category=f"{kind}-{severity}")


def _load(sample: Sample, kind: str, severity: int) -> Image:
    image = sample.load()
    return image if kind == CLEAN else degrade(image, kind, severity, image_seed(0, sample.id), "relative")


def register() -> None:
    """Add the tasks to the registry."""
    for start, count in RANGES:
        task: Task = partial(scenes, start, count)
        TASKS.add(scenes_name(start, count), task, f"{count} of VQ-Mini's test scenes from number {start} on")
    for name in STREAMS:
        TASKS.add(stream_name(name), partial(stream, name), f"{LENGTHS[name]} images whose quality changes: {name}")
