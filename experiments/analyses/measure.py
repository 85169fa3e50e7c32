"""Measure attention and logit lens of the embedded model per question: clean, degraded, and tuned along the stream."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.analyses.places import asked, box, share_inside
from vqttt.images.degradations import degrade, image_seed
from vqttt.interpret import GENERIC, attention, logit_lens, on_grid
from vqttt.interpret.attention import with_question
from vqttt.methods import find_method
from vqttt.models.base import Inputs
from vqttt.models.tunable import TunableModel
from vqttt.tasks import vq_mini
from vqttt.types import Image, Sample

METHOD, BATCH, TOKENS, SEED = "vq-select", 20, 8, 0
GENERICS = (GENERIC, "what is shown in the image?")
"""The published instruction, whose words the embedded model never saw, and one whose words it knows."""

Place = tuple[Sample, NDArray[np.bool_]]
Row = dict[str, Any]


def placed(split: str, count: int) -> list[Place]:
    """Return the first `count` questions of a split about a single thing, each with the pixels of that thing's box."""
    found: list[Place] = []
    for index, sample in enumerate(vq_mini.samples(split, 8 * count)):
        item = asked(*vq_mini.scene_and_question(split, index))
        if item is not None:
            found.append((sample, box(item)))
    return found[:count]


def attention_maps(
    model: TunableModel, inputs: Inputs, image: Image, generic: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return maps of attention and of relative attention, each (layers + 1, rows, columns); the last is of the mean."""
    grid = model.image_tokens(inputs).grids[0]
    assert grid is not None
    above, below = (attention(model, given)[0] for given in (inputs, with_question(model, inputs, [image], generic)))
    plain, base = ([*weights, weights.mean(0)] for weights in (above, below))
    relative = [one / other for one, other in zip(plain, base, strict=True)]
    return np.stack([on_grid(w, grid) for w in plain]), np.stack([on_grid(w, grid) for w in relative])


def choose_layer(model: TunableModel, count: int) -> tuple[list[Row], Row]:
    """Measure all layers and instructions on clean `dev` scenes; return the rows and the one with the largest share."""
    rows = []
    places = placed("dev", count)
    for generic in GENERICS:
        shares = []
        for sample, inside in places:
            image = sample.load()
            maps = attention_maps(model, model.encode([image], [sample.question]), image, generic)
            shares.append([[share_inside(weights, inside) for weights in kind] for kind in maps])
        means = np.mean(shares, axis=0)
        for layer in range(means.shape[1]):
            rows.append({"generic": generic, "layer": layer, "plain": means[0, layer], "relative": means[1, layer]})
    return rows, max(rows, key=lambda row: float(row["relative"]))


def measure_answer(model: TunableModel, place: Place, image: Image, inputs: Inputs, layer: int, generic: str) -> Row:
    """Return the measurements of one answer, under the adapters that are attached."""
    sample, inside = place
    answer = model.generate(inputs, TOKENS)
    plain, relative = attention_maps(model, inputs, image, generic)
    lens = logit_lens(model, inputs)
    truth = answer.tokens.new_tensor(model.answer_tokens(sample.answers[0])[:1])
    return {
        "right": answer.texts[0] == sample.answers[0],
        "answer": answer.texts[0],
        "area": float(inside.mean()),
        "plain": share_inside(plain[layer], inside),
        "relative": share_inside(relative[layer], inside),
        "appears": int(lens.appears(answer.tokens[:, 0])[0]),
        "truth": lens.probability(truth)[:, 0].tolist(),
        "entropy": lens.entropy()[:, 0].tolist(),
    }


def measure(model: TunableModel, kinds: list[tuple[str, int]], count: int, layer: int, generic: str) -> Iterator[Row]:
    """Yield a row per question and state: `clean`, then `degraded` and `tuned` for each degradation."""
    places = placed("test", count)
    clean = [sample.load() for sample, _ in places]

    def row(n: int, image: Image, inputs: Inputs, **names: Any) -> Row:
        return names | {"n": n} | measure_answer(model, places[n], image, inputs, layer, generic)

    for n, (sample, _) in enumerate(places):
        inputs = model.encode([clean[n]], [sample.question])
        yield row(n, clean[n], inputs, kind="clean", severity=0, state="clean")
    for kind, severity in kinds:
        method = find_method(METHOD).build(model, max_new_tokens=TOKENS, seed=SEED)
        images = [
            degrade(image, kind, severity, image_seed(SEED, sample.id))
            for image, (sample, _) in zip(clean, places, strict=True)
        ]
        for start in range(0, count, BATCH):
            some = range(start, min(start + BATCH, count))
            batch = model.batch_of([images[n] for n in some], [places[n][0].question for n in some])
            method.answer(batch, model.generate(batch, TOKENS))
            for n in some:
                one = model.batch_of([images[n]], [places[n][0].question])
                yield row(n, images[n], one, kind=kind, severity=severity, state="degraded")
                with method.explain(one, model.generate(one, TOKENS)).adapted() as adapted:
                    yield row(n, images[n], adapted, kind=kind, severity=severity, state="tuned")
