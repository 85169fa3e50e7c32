"""What a study costs besides its model: `python -m perf.overhead --rows 1000000`.

Runs a real study with a model that answers at once, on small images. Prints milliseconds per record, by what takes
them, and peak memory when a tenth of the records is written and at the end. The overhead is everything except the
model, drawing the images and degrading them.
"""

import argparse
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vqttt.models.base import Model, Shown
from vqttt.models.generation import ListedGeneration
from vqttt.study import batch as batches
from vqttt.study.config import StudyConfig
from vqttt.study.runner import run
from vqttt.tasks import TASKS
from vqttt.types import Image, Sample

DEGRADATIONS = ("brightness", "contrast", "gaussian_noise", "jpeg_compression", "pixelate")
DEGRADATIONS += ("gaussian_blur", "saturate", "shot_noise", "impulse_noise", "motion_blur")
SEVERITIES = (1, 2, 3, 4, 5)

spent: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(2))
"""Seconds by the clock, and of the processor."""


class InstantModel(Model):
    """Answers `red` to everything, with certainty."""

    name = "instant"

    def answer(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> ListedGeneration:
        """Answer without a look at the images."""
        count = len(questions)
        return ListedGeneration(texts=["red"] * count, chosen=[[0.0]] * count, likeliest=[[[0.0]]] * count)

    def fingerprint(self) -> str:
        """Return a constant."""
        return "instant"


def now() -> np.ndarray:
    """Return the time by the clock, and of the processor, in seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, which then adds the time it takes to `spent`."""

    def wrapped(*arguments: Any, **options: Any) -> Any:
        began = now()
        try:
            return function(*arguments, **options)
        finally:
            spent[name] += now() - began

    return wrapped


def image(number: int, side: int) -> Image:
    """Draw a different image for each number."""
    coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.ascontiguousarray(coarse.repeat(side // 8, 0).repeat(side // 8, 1))


def samples(questions: int, side: int) -> list[Sample]:
    """Return questions about colours."""
    return [
        Sample(id=f"q{n}", load=partial(image, n, side), question="which colour?", answers=("red", "blue")[n % 2 :])
        for n in range(questions)
    ]


def grid(rows: int, questions: int) -> StudyConfig:
    """Return a study with about `rows` records: up to ten degradations at up to five severities."""
    severities = max(1, min(len(SEVERITIES), rows // (questions * len(DEGRADATIONS))))
    kinds = max(1, min(len(DEGRADATIONS), rows // (questions * severities)))
    return StudyConfig(
        models=("instant",),
        tasks=("colours",),
        degradations=DEGRADATIONS[:kinds],
        severities=SEVERITIES[:severities],
        methods=("none",),
    )


def measured(config: StudyConfig) -> tuple[np.ndarray, dict[float, float]]:
    """Run a study; return its time, and peak memory in MB by the share of records that were written.

    The share 0 is before the study, 2 after it.
    """
    memory = {0.0: megabytes()}

    def watch(done: int, total: int, label: str) -> None:
        for share in (0.1, 1.0):
            if done >= share * total and share not in memory:
                memory[share] = megabytes()

    for place, names in ((batches, ("degraded", "measure", "sha256")), (batches.ImageCache, ("load",))):
        for name in names:
            setattr(place, name, timed(name, getattr(place, name)))
    model = InstantModel()
    model.answer = timed("model", model.answer)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory(dir=".") as folder:
        began = now()
        run(config, Path(folder) / "run", lambda name: model, watch)
        whole = now() - began
        memory[2.0] = megabytes()
    return whole, memory


def megabytes() -> float:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="number of records, over at most 50 conditions")
    parser.add_argument("--questions", type=int, default=0, help="number of questions; by default, from --rows")
    parser.add_argument("--side", type=int, default=32, help="side of an image in pixels")
    asked = parser.parse_args()
    questions = asked.questions or -(-asked.rows // (len(DEGRADATIONS) * len(SEVERITIES)))
    TASKS.add("colours", partial(samples, questions, asked.side), "questions to measure with")
    config = grid(asked.rows, questions)
    whole, memory = measured(config)
    cells = len(config.degradations) * len(config.severities)
    rows = questions * cells
    overhead = whole - spent["model"] - spent["degraded"] - spent["load"]
    print(f"{rows:,} records of {cells} cells, {questions:,} questions, {asked.side} px")
    print(f"{whole[0]:.0f} s; milliseconds per record: by the clock, of the processor")
    parts = dict(spent) | {"overhead without measuring": overhead - spent["measure"], "overhead": overhead}
    for name, (clock, processor) in parts.items():
        print(f"  {name:<28} {1000 * clock / rows:.3f} {1000 * processor / rows:.3f}")
    before, tenth, whole_run, end = (round(value) for value in memory.values())
    print(
        f"peak memory, MB: {before} before, {tenth} after a tenth, {whole_run} after the last record, {end} at the end"
    )


if __name__ == "__main__":
    main()
