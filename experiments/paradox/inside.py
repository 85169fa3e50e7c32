"""Measure attention and logit lens where blur changes a soft twin's answer: on the clean and on the blurred image."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl

from experiments.analyses.measure import TOKENS, Place, choose_layer, measure_answer, placed
from experiments.paradox.answers.flips import CONDITION
from experiments.paradox.findings import Finding, measured
from experiments.paradox.frames import Runs
from experiments.paradox.plan import SOFT
from vqttt.images.degradations import degrade, image_seed
from vqttt.models import load_model
from vqttt.models.tunable import TunableModel, tunable
from vqttt.types import Image

DEV, QUESTIONS, MEASURED, BATCH = 60, 600, 200, 20
BECAME = ("set right", "stays right", "set wrong", "stays wrong")
"""What becomes of an answer when its image is blurred."""


def measure() -> pl.DataFrame:
    """Measure questions about single things: all whose answer blur changes, and others up to `MEASURED`.

    Two rows for each: `state` is `clean` or `blurred`. Layer and generic instruction are chosen on clean `dev` scenes.
    """
    model = tunable(load_model(SOFT[0]), "the experiment")
    _, best = choose_layer(model, DEV)
    kind, severity = CONDITION.split()
    places = placed("test", QUESTIONS)
    clean = [sample.load() for sample, _ in places]
    blurred = [
        degrade(image, kind, int(severity), image_seed(0, sample.id))
        for image, (sample, _) in zip(clean, places, strict=True)
    ]
    kinds = [became(*pair) for pair in zip(right(model, places, clean), right(model, places, blurred), strict=True)]
    rows = []
    for n in chosen(kinds, MEASURED):
        for state, image in (("clean", clean[n]), ("blurred", blurred[n])):
            inputs = model.encode([image], [places[n][0].question])
            row = measure_answer(model, places[n], image, inputs, best["layer"], best["generic"])
            rows.append({"n": n, "image": places[n][0].id, "became": kinds[n], "state": state} | row)
    return pl.DataFrame(rows)


def right(model: TunableModel, places: Sequence[Place], images: Sequence[Image]) -> list[bool]:
    """Return whether the model answers each question right on its image."""
    found: list[bool] = []
    for start in range(0, len(images), BATCH):
        samples = [sample for sample, _ in places[start : start + BATCH]]
        inputs = model.encode(images[start : start + BATCH], [sample.question for sample in samples])
        texts = model.generate(inputs, TOKENS).texts
        found += [text == sample.answers[0] for text, sample in zip(texts, samples, strict=True)]
    return found


def became(clean: bool, blurred: bool) -> str:
    """Return what became of an answer."""
    return BECAME[(0 if not clean else 1) if blurred else (2 if clean else 3)]


def chosen(kinds: Iterable[str], most: int) -> list[int]:
    """Return which questions to measure, those whose answer changes first, in order."""
    first = {"set right": 0, "set wrong": 1, "stays wrong": 2, "stays right": 3}
    order = sorted(enumerate(kinds), key=lambda item: (first[item[1]], item[0]))
    return sorted(n for n, _ in order[:most])


VALUES = {
    "attention inside the box": "plain",
    "relative attention inside the box": "relative",
    "probability of the right answer after the last layer": "truth",
    "probability of the right answer one layer earlier": "earlier",
}
"""What is compared, all between 0 and 1, and its column."""


def compared(runs: Runs) -> list[dict[str, Any]]:
    """Return for each value, and each kind of answer, its means on the clean and the blurred image, and the change."""
    rows = runs["inside"].with_columns(earlier=pl.col("truth").list.get(-2), truth=pl.col("truth").list.get(-1))
    found = []
    for name, column in VALUES.items():
        for kind in BECAME:
            some = rows.filter(pl.col("became") == kind)
            if some.is_empty():
                continue
            both = some.pivot("state", index=["n", "image"], values=column)
            change = both.with_columns(change=pl.col("blurred") - pl.col("clean"))
            moved: Finding = measured(f"{name}, {kind}", change)
            means = {state: float(np.mean(both[state].to_numpy())) for state in ("clean", "blurred")}
            found.append({"value": name, "became": kind, "n": len(both), "moved": moved, **means})
    return found
