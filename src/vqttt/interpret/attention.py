"""Relative attention: where in the image a question makes the model look, less where it looks anyway.

After Zhang, Khayatkhoei, Chhikara and Ilievski, "MLLMs Know Where to Look" (ICLR 2025), which arXiv 2506.15645 follows:
the attention of the answer's first position to each image token, the mean over heads, divided by the same for a
generic instruction about the same image. They take one layer, chosen on a few samples; here that is the caller's
choice, and all layers by default.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vqttt.errors import InputError
from vqttt.models.base import Inputs, TunableModel, forward_hooks

GENERIC = "Write a general description of the image."
"""The instruction that attention to the image is divided by, as published."""

_LEAST = 1e-9


@torch.no_grad()
def attention(model: TunableModel, inputs: Inputs) -> list[Tensor]:
    """Return how much the answer's first position attends to each image token.

    Returns:
        for each of N samples (layers, T): the mean over heads, for the layers of `TunableModel.decoder.looks` and the sample's
        T image tokens in order. Over all that can be attended to, a layer's weights sum to 1, so here to 1 at most.

    Raises:
        InputError: if the family does not expose it, or no sample has an image.
    """
    decoder, keys = model.decoder, model.image_tokens(inputs).keys
    found: dict[int, Tensor] = {}

    def keep(layer: int) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
            found[layer] = output[1][:, :, -1].float().mean(1).cpu()

        return hook

    with decoder.eager(), forward_hooks([(module, keep(layer)) for layer, module in decoder.looks]):
        model.answer_logits(inputs)
    if not found:
        raise InputError(f"no layer of {model.name} attends to an image")
    weights = torch.stack([found[layer] for layer in sorted(found)])  # (layers, N, K)
    return [weights[:, n, row] for n, row in enumerate(keys.cpu())]


def relative_attention(
    model: TunableModel, inputs: Inputs, generic: Inputs, layers: Sequence[int] | None = None
) -> list[Tensor]:
    """Return the attention to each image token over that for a generic instruction, (T,) for each of N samples.

    Args:
        model: whose.
        inputs: N images with their questions.
        generic: the same images with the generic instruction, see `with_question`.
        layers: numbers, from 0, of the layers that attention is averaged over before the division; None for all that
            look at images.

    Raises:
        InputError: if a layer does not look at images, and as `attention` does.
    """
    rows = chosen_layers(model, layers)
    pairs = zip(attention(model, inputs), attention(model, generic), strict=True)
    return [over_generic(asked, plain, rows) for asked, plain in pairs]


def over_generic(asked: Tensor, plain: Tensor, rows: Sequence[int]) -> Tensor:
    """Divide a sample's `attention` by that for a generic instruction, both averaged over some of its rows, (T,)."""
    return asked[rows].mean(0) / plain[rows].mean(0).clamp_min(_LEAST)


def chosen_layers(model: TunableModel, layers: Sequence[int] | None) -> list[int]:
    """Return at which rows of `attention` some layers are; None is all of them.

    Raises:
        InputError: if one of them does not look at images.
    """
    known = [layer for layer, _ in model.decoder.looks]
    wrong = [layer for layer in layers or () if layer not in known]
    if wrong:
        numbers = ", ".join(str(layer + 1) for layer in known)
        raise InputError(f"layer {wrong[0] + 1} of {model.name} does not look at images; these do: {numbers}")
    return [known.index(layer) for layer in (known if layers is None else layers)]


def with_question(model: TunableModel, adapted: Inputs, images: Sequence[Any], question: str) -> Inputs:
    """Ask another question about the images of a batch as they are there, whatever was done to them.

    Args:
        model: whose.
        adapted: the batch, with images filtered, restored, or as they were.
        images: what was encoded.
        question: for all of them.
    """
    return model.with_pixels(model.encode(images, [question] * len(images)), model.pixels(adapted).pixels)
