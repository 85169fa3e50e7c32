"""Learn the file that ships for `vq-select --tuned`: `python -m experiments.method.tune`, in a few minutes.

The images are VQ-Mini's `dev` scenes, each clean or under a degradation and severity drawn for it. Every correction is
tried on every uncertain one, so that few scenes are enough. No label is used, but what is learned comes from
degradations that an application may not have: results with the file are not source-free.
"""

import argparse
from pathlib import Path

import numpy as np

from experiments.loading import load_on_one_thread
from experiments.method.plan import DEVELOPED_ON, SELECT, SHIPPED
from experiments.method.tasks import degraded, drawn
from experiments.progress import Progress
from vqttt.images.degradations import DEGRADATIONS
from vqttt.methods import METHODS, VQSelect
from vqttt.models.base import Model
from vqttt.study.batch import Batch, ImageCache
from vqttt.tasks import vq_mini
from vqttt.types import Condition, Sample

START = 10_000
"""The first `dev` scene, beyond those on which settings were chosen."""

SCENES = 2400
"""Some 40 of 100 are uncertain, nearly as many as a predictor remembers (`Predictor.memory`)."""

CLEAN_SHARE, BATCH = 0.1, 20


def samples(kinds: tuple[str, ...], count: int, seed: int) -> list[Sample]:
    """Return `count` dev scenes, each clean or under one of some degradations."""
    rng = np.random.default_rng(seed)
    scenes = vq_mini.samples("dev", START + count)[START:]
    return [degraded(scene, *drawn(rng, kinds, CLEAN_SHARE), seed=seed) for scene in scenes]


def learned(model: Model, kinds: tuple[str, ...], count: int = SCENES, seed: int = 0) -> VQSelect:
    """Return `vq-select` with what it learned about its corrections; the same arguments always give the same.

    Args:
        model: the model that answers.
        kinds: degradations; the severity is 1 to 5.
        count: number of scenes.
        seed: of the conditions and of what is random in degradations.
    """
    spec = METHODS[SELECT]
    taught = spec.build(model, seed=seed)
    # Its settings are those of whoever applies the file, so another one, which tries everything, learns for it.
    learner = spec.changed({"tries": len(spec.config.corrections)}).build(model, seed=seed)
    assert isinstance(taught, VQSelect), taught
    every, images, progress = samples(kinds, count, seed), ImageCache(), Progress("learning")
    for start in range(0, count, BATCH):
        some = every[start : start + BATCH]
        Batch.prepare(some, images, Condition(), model, seed=seed, max_new_tokens=16).answered_by(learner)
        progress(min(start + BATCH, count), count, f"{len(kinds)} degradations")
    taught.restore(learner.snapshot())
    return taught


def main(given: list[str] | None = None) -> None:
    """Learn and write the file."""
    parser = argparse.ArgumentParser(prog="python -m experiments.method.tune", description=__doc__.splitlines()[0])
    parser.add_argument("--half", action="store_true", help="only every other degradation")
    parser.add_argument("--scenes", type=int, default=SCENES, help=f"number of dev scenes [{SCENES}]")
    parser.add_argument("--seed", type=int, default=0, help="of the conditions [0]")
    parser.add_argument("--model", default="embedded", help="the model that answers [embedded]")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="the file [that of the package]")
    asked = parser.parse_args(given)
    if asked.half and asked.out == SHIPPED:
        parser.error("--half is for a file of its own; give --out")
    kinds = DEVELOPED_ON if asked.half else tuple(DEGRADATIONS)
    method = learned(load_on_one_thread(asked.model), kinds, asked.scenes, asked.seed)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    method.save(asked.out)
    print(f"{asked.out}: {method.summary()}")


if __name__ == "__main__":
    main()
