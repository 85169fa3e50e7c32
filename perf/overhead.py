"""What a study costs beside its model: `python -m perf.overhead --rows 1000000`.

A real study with a model that answers at once, on images of 32 px or as many as `--side` says. Prints milliseconds a
record, by what they go to, and peak memory when a tenth of the records is there and at the end. Overhead is
all but the model, drawing the images and degrading them.
"""

import argparse
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vqttt.models.base import Generation, Inputs
from vqttt.models.fake import FakeModel
from vqttt.study import batch as batches
from vqttt.study.config import StudyConfig
from vqttt.study.runner import run
from vqttt.tasks import TASKS
from vqttt.types import Image, Sample

DEGRADATIONS = ("brightness", "contrast", "gaussian_noise", "jpeg_compression", "pixelate")
DEGRADATIONS += ("gaussian_blur", "saturate", "shot_noise", "impulse_noise", "motion_blur")
CONDITIONS = [(kind, severity) for severity in range(1, 6) for kind in DEGRADATIONS]

spent: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(2))
"""Seconds by the clock and of the processor."""


class InstantModel(FakeModel):
    """Answers `red` to everything."""

    def encode(self, images: Any, questions: Any) -> Inputs:
        """Look at nothing."""
        return Inputs(tensors={}, count=len(questions))

    def generate(self, inputs: Inputs, max_new_tokens: int) -> Generation:
        """Be sure of the answer."""
        logits = torch.zeros(inputs.count, 1, 5)
        tokens = torch.zeros(inputs.count, 1, dtype=torch.long)
        return Generation(texts=["red"] * inputs.count, tokens=tokens, mask=tokens == 0, logits=logits)


def now() -> np.ndarray:
    """Return the seconds of both."""
    return np.array([time.perf_counter(), time.process_time()])


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that adds what it takes to `spent`."""

    def wrapped(*arguments: Any, **options: Any) -> Any:
        began = now()
        try:
            return function(*arguments, **options)
        finally:
            spent[name] += now() - began

    return wrapped


def image(number: int, side: int) -> Image:
    """Draw an image of its own for each question."""
    coarse = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.ascontiguousarray(coarse.repeat(side // 8, 0).repeat(side // 8, 1))


def samples(questions: int, side: int) -> list[Sample]:
    """Return questions about colours."""
    return [
        Sample(id=f"q{n}", load=partial(image, n, side), question="which colour?", answers=("red", "blue")[n % 2 :])
        for n in range(questions)
    ]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="records in all, 50 conditions being the most")
    parser.add_argument("--questions", type=int, default=0, help="of the task; so many records has a cell")
    parser.add_argument("--side", type=int, default=32, help="of an image, in pixels")
    asked = parser.parse_args()
    questions = asked.questions or -(-asked.rows // len(CONDITIONS))
    severities = max(1, min(5, asked.rows // (questions * len(DEGRADATIONS))))
    kinds = DEGRADATIONS[: max(1, min(len(DEGRADATIONS), asked.rows // (questions * severities)))]
    TASKS.add("colours", partial(samples, questions, asked.side), "questions to measure with")
    config = StudyConfig(
        model="instant", tasks=("colours",), degradations=kinds, severities=tuple(range(1, severities + 1)),
        methods=("none",),
    )  # fmt: skip
    memory = {0.0: megabytes()}

    def watch(done: int, total: int, what: str) -> None:
        for share in (0.1, 1.0):
            if done >= share * total and share not in memory:
                memory[share] = megabytes()

    for place, names in ((batches, ("degrade", "measure", "sha256")), (batches.ImageCache, ("load",))):
        for name in names:
            setattr(place, name, timed(name, getattr(place, name)))
    model = InstantModel("instant")
    model.encode = timed("model", model.encode)  # type: ignore[method-assign]
    model.generate = timed("model", model.generate)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory(dir=".") as folder:
        began = now()
        run(config, Path(folder) / "run", lambda: model, watch)
        whole = now() - began
        memory[2.0] = megabytes()
    rows = questions * len(kinds) * severities
    overhead = whole - spent["model"] - spent["degrade"] - spent["load"]
    print(f"{rows:,} records of {len(kinds) * severities} cells, {questions:,} questions, {asked.side} px")
    print(f"{whole[0]:.0f} s; milliseconds a record: by the clock, of the processor")
    parts = dict(spent) | {"overhead without measuring": overhead - spent["measure"], "overhead": overhead}
    for name, (clock, processor) in parts.items():
        print(f"  {name:<28} {1000 * clock / rows:.3f} {1000 * processor / rows:.3f}")
    before, tenth, whole_run, end = (round(value) for value in memory.values())
    print(
        f"peak memory, MB: {before} before, {tenth} after a tenth, {whole_run} after the last record, {end} at the end"
    )


def megabytes() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
