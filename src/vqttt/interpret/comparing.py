"""Compare a clean image, the degraded image, and a method's: the answer, attention and logit lens of each."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vqttt.interpret.attention import GENERIC, attention, chosen_layers, over_generic, with_question
from vqttt.interpret.grids import Map, mosaic, on_grid
from vqttt.interpret.logit_lens import logit_lens
from vqttt.methods import Method
from vqttt.methods.attempts import Attempt
from vqttt.models.base import Inputs
from vqttt.models.tunable import LogitGeneration, TunableModel
from vqttt.types import Image

TOP = 5
"""Number of likeliest words that are kept for each layer."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was found under one condition. Layers of the language model are counted from 1.

    Attributes:
        name: the name of the condition.
        answer: the greedy answer.
        image: the image that the network gets; its tiles arranged in a grid, if it has several.
        relative: relative attention, one value per part of the image, NaN where no image token covers it; None for a
            family whose image tokens belong to no part of the image.
        looking: share of attention that goes to image tokens, 0 to 1, for each layer in `looking_layers`.
        looking_layers: the layers that attend to images.
        probability: probability of the answer's first token after each layer, 0 to 1.
        clean_probability: likewise for the first token of the answer to the clean image.
        entropy: entropy of the next token after each layer, in nats.
        words: the likeliest words after each layer, with their probabilities.
    """

    name: str
    answer: str
    image: Image
    relative: Map | None
    looking: list[float]
    looking_layers: list[int]
    probability: list[float]
    clean_probability: list[float]
    entropy: list[float]
    words: list[list[tuple[str, float]]]

    def numbers(self) -> dict[str, Any]:
        """Return everything but the image in a form that JSON can hold; None stands for NaN."""
        kept = {name: value for name, value in vars(self).items() if name != "image"}
        if self.relative is not None:
            kept["relative"] = [[None if value != value else value for value in row] for row in self.relative.tolist()]
        return kept


def examine(
    model: TunableModel,
    name: str,
    image: Image,
    question: str,
    *,
    explain: Callable[[Inputs, LogitGeneration], Attempt] | None = None,
    clean_token: int | None = None,
    layers: Sequence[int] | None = None,
    generic: str = GENERIC,
    max_new_tokens: int = 16,
) -> tuple[Row, int]:
    """Analyse a model while it answers one question; return what was found and the answer's first token.

    Args:
        model: the model to analyse.
        name: the name of the condition.
        image: the image.
        question: the question about it.
        explain: `Method.explain` of the method that adapts the model; None for the untuned model.
        clean_token: first token of the answer to the clean image; None if this is the clean image.
        layers: numbers, from 0, of the layers over which relative attention is averaged; None for all layers that
            attend to images.
        generic: the instruction whose attention is the divisor.
        max_new_tokens: maximum number of tokens in the answer.

    Raises:
        InputError: if the family does not expose what the analysis needs.
    """
    inputs = model.batch_of([image], [question])
    base = model.generate(inputs, max_new_tokens)
    with explain(inputs, base).adapted() if explain else nullcontext(inputs) as adapted:
        answer = model.generate(adapted, max_new_tokens)
        asked = attention(model, adapted)[0]
        plain = attention(model, with_question(model, adapted, [image], generic))[0]
        relative = over_generic(asked, plain, chosen_layers(model, layers))
        shown, relative_map = _laid_out(model, adapted, relative)
        lens = logit_lens(model, adapted)
    token = answer.tokens[:1, 0]
    clean = token if clean_token is None else torch.tensor([clean_token])
    tokens, probabilities = (values[:, 0].tolist() for values in lens.top(TOP))
    row = Row(
        name=name,
        answer=answer.texts[0],
        image=shown,
        relative=relative_map,
        looking=asked.sum(1).tolist(),
        looking_layers=[layer + 1 for layer, _ in model.decoder.attention],
        probability=lens.probability(token)[:, 0].tolist(),
        clean_probability=lens.probability(clean)[:, 0].tolist(),
        entropy=lens.entropy()[:, 0].tolist(),
        words=[
            list(zip(map(model.word, of_layer), shares, strict=True))
            for of_layer, shares in zip(tokens, probabilities, strict=True)
        ],
    )
    return row, int(token[0])


def _laid_out(model: TunableModel, inputs: Inputs, values: Tensor) -> tuple[Image, Map | None]:
    """Return the image of a single sample, and the values (T,) of its image tokens laid out over it.

    Tiles are arranged in a grid. Only those whose tokens belong to parts of them are shown; if there are none, all are
    shown and there is no map.
    """
    pixels, grids = model.pixels(inputs).pixels, model.image_tokens(inputs).grids
    placed = [(n, grid) for n, grid in enumerate(grids) if grid is not None]
    numbers = [n for n, _ in placed] or range(len(pixels))
    image: Image = mosaic([model.to_image(pixels[n]) for n in numbers], fill=255)
    return image, mosaic([on_grid(values, grid) for _, grid in placed], float("nan")) if placed else None


def compare(
    model: TunableModel,
    question: str,
    clean: Image,
    degraded: tuple[str, Image],
    tuned: tuple[str, Image, Method],
    *,
    layers: Sequence[int] | None = None,
    generic: str = GENERIC,
) -> list[Row]:
    """Return one row each for the clean image, the degraded image, and a method.

    Args:
        model: the model to analyse.
        question: the question about the image.
        clean: the clean image.
        degraded: the name of the condition, and the degraded image.
        tuned: the name of the condition, the image that the method gets, and the method. The method answers the
            question once before the analysis, so that it can learn from the image.
        layers: see `examine`.
        generic: see `examine`.

    Raises:
        InputError: if the family or the method does not expose what the analysis needs.
    """
    chosen_layers(model, layers)
    examined = partial(examine, model, question=question, layers=layers, generic=generic)
    first, token = examined(name="clean", image=clean)
    name, image, method = tuned
    method.answer_alone(model.batch_of([image], [question]))
    return [
        first,
        examined(name=degraded[0], image=degraded[1], clean_token=token)[0],
        examined(name=name, image=image, clean_token=token, explain=method.explain)[0],
    ]
