"""Relative attention: which image tokens a question makes the model attend to, compared with a generic instruction.

After Zhang, Khayatkhoei, Chhikara and Ilievski, "MLLMs Know Where to Look" (ICLR 2025), which arXiv 2506.15645 follows:
the attention from the answer's first position to each image token, averaged over heads, divided by the same for a
generic instruction about the same image. They use one layer, chosen on a few samples. Here the caller chooses, and the
default is all layers.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vqttt.errors import InputError
from vqttt.models.base import Inputs
from vqttt.models.tunable import TunableModel, forward_hooks

GENERIC = "Write a general description of the image."
"""The published generic instruction, whose attention is the divisor."""

_LEAST = 1e-9


@torch.no_grad()
def attention(model: TunableModel, inputs: Inputs) -> list[Tensor]:
    """Return the attention from the answer's first position to each image token, averaged over heads.

    Returns:
        for each of N samples a tensor (layers, T): a row for each layer in `Decoder.attention`, a column for each of
        the sample's T image tokens, in order. A layer's weights over all tokens sum to 1, so a row sums to at most 1.

    Raises:
        InputError: if the family does not expose its attention, or no sample has an image.
    """
    decoder, keys = model.decoder, model.image_tokens(inputs).keys
    by_layer: dict[int, Tensor] = {}

    def keep(layer: int) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
            by_layer[layer] = output[1][:, :, -1].float().mean(1).cpu()

        return hook

    with decoder.eager(), forward_hooks([(module, keep(layer)) for layer, module in decoder.attention]):
        model.answer_logits(inputs)
    if not by_layer:
        raise InputError(f"no layer of {model.name} attends to an image")
    weights = torch.stack([by_layer[layer] for layer in sorted(by_layer)])  # (layers, N, K)
    return [weights[:, n, row] for n, row in enumerate(keys.cpu())]


def relative_attention(
    model: TunableModel, inputs: Inputs, generic: Inputs, layers: Sequence[int] | None = None
) -> list[Tensor]:
    """Return the attention to each image token divided by that for a generic instruction, (T,) for each of N samples.

    Args:
        model: the model to analyse.
        inputs: N images with their questions.
        generic: the same images with the generic instruction, see `with_question`.
        layers: numbers, from 0, of the layers over which attention is averaged before the division; None for all
            layers that attend to images.

    Raises:
        InputError: if a layer does not attend to images; and as for `attention`.
    """
    rows = chosen_layers(model, layers)
    pairs = zip(attention(model, inputs), attention(model, generic), strict=True)
    return [over_generic(asked, plain, rows) for asked, plain in pairs]


def over_generic(asked: Tensor, plain: Tensor, rows: Sequence[int]) -> Tensor:
    """Divide a sample's attention (layers, T) by that for a generic instruction, each averaged over `rows`; (T,)."""
    return asked[rows].mean(0) / plain[rows].mean(0).clamp_min(_LEAST)


def chosen_layers(model: TunableModel, layers: Sequence[int] | None) -> list[int]:
    """Return the rows of `attention` that belong to some layers, counted from 0; None for all layers.

    Raises:
        InputError: if one of the layers does not attend to images.
    """
    known = [layer for layer, _ in model.decoder.attention]
    wrong = [layer for layer in layers or () if layer not in known]
    if wrong:
        numbers = ", ".join(str(layer + 1) for layer in known)
        raise InputError(f"layer {wrong[0] + 1} of {model.name} does not attend to images; these do: {numbers}")
    return [known.index(layer) for layer in (known if layers is None else layers)]


def with_question(model: TunableModel, adapted: Inputs, images: Sequence[Any], question: str) -> Inputs:
    """Return a batch with the same images, including any changes made to them, and another question.

    Args:
        model: the model that encodes the question.
        adapted: the batch, whose images may have been filtered or corrected after encoding.
        images: the images from which the batch was encoded.
        question: the question about each of them.
    """
    return model.with_pixels(model.encode(images, [question] * len(images)), model.pixels(adapted).pixels)
