"""One image and question, clean against degraded against tuned: answers, attention and lens of each."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from vqttt.interpret.attention import GENERIC, attention, chosen_layers, over_generic, with_question
from vqttt.interpret.grids import Map, mosaic, on_grid
from vqttt.interpret.logit_lens import logit_lens
from vqttt.methods import Method
from vqttt.methods.attempts import Attempt
from vqttt.models.base import Inputs, LogitGeneration, TunableModel
from vqttt.types import Image

TOP = 5
"""So many of the likeliest words are kept of each layer."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was found under one condition. Layers of the language model are counted from 1.

    Attributes:
        name: of the condition.
        answer: the whole of it, greedily.
        image: as the network is given it; tiles side by side.
        relative: attention over that for a generic instruction, a number for each part of the image, NaN where there
            is no image token; None for a family whose image tokens have no places.
        looking: share of the attention that goes to image tokens, for each layer that can look at images, 0 to 1.
        looking_layers: the numbers of those layers.
        probability: of the first token of the answer, after each layer, 0 to 1.
        clean_probability: of the first token of the answer to the clean image.
        entropy: of the next token, after each layer, in nats.
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
        """Return all but the image, as what JSON can hold; None stands for NaN."""
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
    """Look into a model while it answers one question; returns what was found and the answer's first token.

    Args:
        model: whose.
        name: of the condition.
        image: what it is shown.
        question: what it is asked.
        explain: such as `Method.explain`; None for the untuned network.
        clean_token: the first token of the answer to the clean image; None for the one at hand.
        layers: numbers, from 0, of those that relative attention is averaged over; None for all that look at images.
        generic: the instruction that it is divided by.
        max_new_tokens: of the answer.

    Raises:
        InputError: if the family does not expose what it takes.
    """
    inputs = model.encode([image], [question])
    base = model.generate(inputs, max_new_tokens)
    with explain(inputs, base).adapted() if explain else nullcontext(inputs) as given:
        answer = model.generate(given, max_new_tokens)
        asked, plain = (attention(model, one)[0] for one in (given, with_question(model, given, [image], generic)))
        relative, lens = over_generic(asked, plain, chosen_layers(model, layers)), logit_lens(model, given)
        shown, grids = model.pixels(given).pixels, model.image_tokens(given).grids
    token = answer.tokens[:1, 0]
    placed = [n for n, grid in enumerate(grids) if grid is not None]
    tokens, shares = (of_all[:, 0].tolist() for of_all in lens.top(TOP))
    row = Row(
        name=name,
        answer=answer.texts[0],
        image=mosaic([model.to_image(shown[n]) for n in placed or range(len(shown))], fill=255),
        relative=mosaic([on_grid(relative, grid) for grid in grids if grid is not None], float("nan"))
        if placed
        else None,
        looking=asked.sum(1).tolist(),
        looking_layers=[layer + 1 for layer, _ in model.decoder.looks],
        probability=lens.probability(token)[:, 0].tolist(),
        clean_probability=lens.probability(token if clean_token is None else torch.tensor([clean_token]))[
            :, 0
        ].tolist(),
        entropy=lens.entropy()[:, 0].tolist(),
        words=[
            list(zip(map(model.word, layer), share, strict=True)) for layer, share in zip(tokens, shares, strict=True)
        ],
    )
    return row, int(token[0])


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
    """Return a row each for an image, the same degraded, and what tuning makes of it.

    Args:
        model: whose.
        question: about the image.
        clean: the image.
        degraded: a name for it, and the degraded image.
        tuned: a name for it, the degraded image, restored maybe, and the method, which answers it first and so learns
            from it what it can.
        layers: as for `examine`.
        generic: as for `examine`.

    Raises:
        InputError: if the family or the method does not expose what it takes.
    """
    chosen_layers(model, layers)
    look = partial(examine, model, question=question, layers=layers, generic=generic)
    first, token = look(name="clean", image=clean)
    name, image, method = tuned
    method.answer_alone(model.encode([image], [question]))
    return [
        first,
        look(name=degraded[0], image=degraded[1], clean_token=token)[0],
        look(name=name, image=image, clean_token=token, explain=method.explain)[0],
    ]
