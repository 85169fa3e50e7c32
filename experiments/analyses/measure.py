"""Look into the embedded model, question by question: clean, degraded, and tuned along the stream."""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.analyses.places import asked, box, share_inside
from vqttt.images.degradations import degrade, image_seed
from vqttt.interpret import GENERIC, attention, logit_lens, on_grid
from vqttt.interpret.attention import with_question
from vqttt.methods import METHODS
from vqttt.models.base import Inputs, Model
from vqttt.tasks import vq_mini
from vqttt.types import Image, Sample

METHOD, BATCH, TOKENS, SEED = "vq-ttt", 20, 8, 0
GENERICS = (GENERIC, "what is shown in the image?")
"""The published instruction, whose words the embedded model never met, and one of words that it knows."""

Place = tuple[Sample, NDArray[np.bool_]]
Row = dict[str, Any]


def placed(split: str, count: int) -> list[Place]:
    """Return the first questions of a split that are about one thing, with the pixels of its box."""
    found: list[Place] = []
    for index, sample in enumerate(vq_mini.samples(split, 8 * count)):
        item = asked(*vq_mini.scene_and_question(split, index))
        if item is not None:
            found.append((sample, box(item)))
    return found[:count]


def looked(model: Model, seen: Inputs, image: Image, generic: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return maps of attention, (layers, rows, columns), and of relative attention; the last of each is of the mean."""
    grid = model.image_tokens(seen).grids[0]
    assert grid is not None
    above, below = (attention(model, given)[0] for given in (seen, with_question(model, seen, [image], generic)))
    plain, base = ([*weights, weights.mean(0)] for weights in (above, below))
    relative = [one / other for one, other in zip(plain, base, strict=True)]
    return np.stack([on_grid(w, grid) for w in plain]), np.stack([on_grid(w, grid) for w in relative])


def chosen(model: Model, count: int) -> tuple[list[Row], Row]:
    """Measure all layers and instructions on clean `dev` scenes; returns rows and that of the largest share."""
    rows = []
    places = placed("dev", count)
    for generic in GENERICS:
        shares = []
        for sample, inside in places:
            image = sample.load()
            maps = looked(model, model.encode([image], [sample.question]), image, generic)
            shares.append([[share_inside(weights, inside) for weights in kind] for kind in maps])
        means = np.mean(shares, axis=0)
        for layer in range(means.shape[1]):
            rows.append({"generic": generic, "layer": layer, "plain": means[0, layer], "relative": means[1, layer]})
    return rows, max(rows, key=lambda row: float(row["relative"]))


def examined(model: Model, place: Place, image: Image, given: Inputs, layer: int, generic: str) -> Row:
    """Return what is to be known of one answer, under whatever adapters are attached."""
    sample, inside = place
    answer = model.generate(given, TOKENS)
    plain, relative = looked(model, given, image, generic)
    lens = logit_lens(model, given)
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


def measured(model: Model, kinds: list[tuple[str, int]], count: int, layer: int, generic: str) -> Iterator[Row]:
    """Yield a row for each question and condition: `clean`, then `degraded` and `tuned` of each degradation."""
    places = placed("test", count)
    clean = [sample.load() for sample, _ in places]

    def row(n: int, image: Image, given: Inputs, **names: Any) -> Row:
        return names | {"n": n} | examined(model, places[n], image, given, layer, generic)

    for n, (sample, _) in enumerate(places):
        given = model.encode([clean[n]], [sample.question])
        yield row(n, clean[n], given, kind="clean", severity=0, state="clean")
    for kind, severity in kinds:
        method = METHODS[METHOD](model, max_new_tokens=TOKENS, seed=SEED)
        images = [
            degrade(image, kind, severity, image_seed(SEED, sample.id))
            for image, (sample, _) in zip(clean, places, strict=True)
        ]
        for start in range(0, count, BATCH):
            some = range(start, min(start + BATCH, count))
            batch = model.encode([images[n] for n in some], [places[n][0].question for n in some])
            method.answer(batch, model.generate(batch, TOKENS))
            for n in some:
                one = model.encode([images[n]], [places[n][0].question])
                looks = {"degraded": nullcontext(one), "tuned": method.seen(one, model.generate(one, TOKENS))}
                for state, look in looks.items():
                    with look as given:
                        yield row(n, images[n], given, kind=kind, severity=severity, state=state)
