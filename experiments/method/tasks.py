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

COUNTS = (2000, 500, 200, 100)
"""The lengths of tasks: each is the first test scenes of VQ-Mini."""

OTHER_SCENES = "vq-mini-others"
"""A task of 500 test scenes: those after the first `max(COUNTS)`."""

STREAMS = {"mixed": 2000, "changing": 5000, "one-answer": 500}
"""Streams of samples whose conditions change along the way, with their lengths."""

Condition = tuple[str, int]
"""A degradation, or `clean`, and its severity."""


def scenes_name(count: int) -> str:
    """Return the name of the task with VQ-Mini's first `count` test scenes."""
    return f"vq-mini-{count}"


def stream_name(stream: str) -> str:
    """Return the name of a stream's task."""
    return f"stream-{stream}"


def stream_of(task: str) -> str:
    """Return the stream that a task is; empty if it is none."""
    return task.removeprefix("stream-") if task.startswith("stream-") else ""


def length(task: str) -> int:
    """Return the number of samples of one of the experiment's own tasks; 0 for others."""
    own = {scenes_name(count): count for count in COUNTS} | {stream_name(name): n for name, n in STREAMS.items()}
    return (own | {OTHER_SCENES: 500}).get(task, 0)


def row_name(task: str) -> str:
    """Return the name of a task in rows: a stream's is its own, ranges of scenes are all VQ-Mini."""
    return stream_of(task) or ("vq-mini" if task.startswith("vq-mini-") else task)


def other_scenes() -> list[Sample]:
    """Return the samples of `OTHER_SCENES`."""
    return vq_mini.samples("test", max(COUNTS) + length(OTHER_SCENES))[max(COUNTS) :]


def stream(name: str) -> list[Sample]:
    """Return the samples of a stream, whose images are degraded when they are loaded.

    The category of a sample is its condition: degradation and severity, such as `fog-3`.
    """
    count = STREAMS[name]
    if name == "one-answer":
        samples = [sample for sample in vq_mini.samples("test", 16 * count) if sample.answers == ("yes",)][:count]
    else:
        samples = vq_mini.samples("test", count)
    return [degraded(sample, *condition) for sample, condition in zip(samples, conditions(name), strict=True)]


def conditions(name: str) -> Iterator[Condition]:
    """Yield the degradation and severity of each sample of a stream.

    `mixed` leaves one image in three clean, and draws one of all degradations and severities for each other one;
    `changing` has another condition every 500 images; `one-answer` has strong noise.
    """
    rng = np.random.default_rng(7)
    for index in range(STREAMS[name]):
        if name == "changing":
            turn = index // 500
            yield (CLEAN, 0) if turn % 3 == 2 else (TWELVE[turn], 3 + turn % 3)
        elif name == "one-answer":
            yield "gaussian_noise", 5
        else:
            yield drawn(rng, tuple(DEGRADATIONS), clean=1 / 3)


def drawn(rng: np.random.Generator, kinds: tuple[str, ...], clean: float) -> Condition:
    """Draw a degradation and a severity from 1 to 5, or, with probability `clean`, no degradation."""
    condition = str(rng.choice(kinds)), int(rng.integers(1, 6))
    return (CLEAN, 0) if rng.random() < clean else condition


def degraded(sample: Sample, kind: str, severity: int, seed: int = 0) -> Sample:
    """Return a sample whose image is degraded when it is loaded, with the condition as its category."""
    return replace(sample, load=partial(_load, sample, kind, severity, seed), category=f"{kind}-{severity}")


def _load(sample: Sample, kind: str, severity: int, seed: int) -> Image:
    image = sample.load()
    return image if kind == CLEAN else degrade(image, kind, severity, image_seed(seed, sample.id), "relative")


def register() -> None:
    """Add the tasks to the registry, unless they are there."""
    own: dict[str, tuple[Task, str]] = {}
    for count in COUNTS:
        task: Task = partial(vq_mini.samples, "test", count)
        own[scenes_name(count)] = task, f"the first {count} of VQ-Mini's test scenes"
    for name, count in STREAMS.items():
        own[stream_name(name)] = partial(stream, name), f"{count} images whose quality changes: {name}"
    own[OTHER_SCENES] = other_scenes, f"{length(OTHER_SCENES)} other test scenes of VQ-Mini"
    for name, (task, summary) in own.items():
        if name not in TASKS:
            TASKS.add(name, task, summary)
