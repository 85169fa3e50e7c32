"""The language model of a family, opened up for analyses: its layers, what reads words off them, where it looks.

Found by the names that all of transformers gives, not family by family.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn

from vqttt.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """A language model's parts.

    Attributes:
        network: the whole of it.
        layers: its layers, in order.
        norm: what comes between the last layer and the head.
        head: from (..., width) to the vocabulary.
        looks: for each layer at which the text attends to images, its number from 0, and the attention module, whose
            second output is the weights (N, heads, L, K).
        crossed: whether images are looked at by cross-attention, their tokens not being among the prompt's.
        softcap: what logits are squeezed into after the head, -softcap to softcap; None where they are not.
    """

    network: Any
    layers: Sequence[nn.Module]
    norm: nn.Module
    head: nn.Module
    looks: Sequence[tuple[int, nn.Module]]
    crossed: bool
    softcap: float | None

    def project(self, hidden: Tensor) -> Tensor:
        """Return the logits (..., V), in float32, of what some layer put out, (..., width)."""
        logits: Tensor = self.head(self.norm(hidden)).float()
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)

    @contextmanager
    def eager(self) -> Iterator[None]:
        """Within the block, attention is computed step by step, so that there are weights to look at.

        Logits differ by rounding there, and are afterwards what they were before, bit for bit.
        """
        before = self.network.config._attn_implementation
        self.network.set_attn_implementation({"": "eager"})  # the decoder's alone, not that of a tower inside it
        try:
            yield
        finally:
            self.network.set_attn_implementation({"": before})


def find_decoder(network: Any) -> Decoder:
    """Open up the language model of a network of transformers.

    Raises:
        InputError: if its parts do not have the usual names.
    """
    try:
        decoder = network.get_decoder()
        layers, norm, head = list(decoder.layers), decoder.norm, network.get_output_embeddings()
    except AttributeError as error:
        raise InputError(f"{type(network).__name__} does not expose its language model: {error}") from error
    crossing = [module for path, module in decoder.named_modules() if path.rsplit(".", 1)[-1] == "cross_attn"]
    # Cross-attention is a layer of its own, or stands before every so many of them.
    every = len(layers) // len(crossing) if crossing else 1
    inside = [n for n, layer in enumerate(layers) if hasattr(layer, "cross_attn")]
    numbers = inside or [n * every for n in range(len(crossing))]
    looks = list(zip(numbers, crossing, strict=True)) if crossing else []
    looks = looks or [(n, layer.self_attn) for n, layer in enumerate(layers) if hasattr(layer, "self_attn")]
    softcap = getattr(network.config.get_text_config(), "final_logit_softcapping", None)
    return Decoder(
        network=decoder, layers=layers, norm=norm, head=head, looks=looks, crossed=bool(crossing), softcap=softcap
    )


@dataclass(frozen=True, kw_only=True)
class ImageTokens:
    """Where the text finds a batch's images.

    Attributes:
        keys: (N, K), True where what the text attends to is an image's token: places of the prompt, or of the list
            that cross-attention looks at.
        grids: for each image of `TunableModel.pixels`, which of its sample's image tokens, from 0, sees each part
            of it, (rows, columns), the whole frame with its padding being divided evenly; -1 where none does. None
            for an image whose tokens have no places: each of them may have looked anywhere.
    """

    keys: Tensor
    grids: Sequence[Tensor | None]


def square(tokens: Tensor) -> Tensor | None:
    """Return a run of tokens as rows of a square; None if that is not what they are."""
    side = isqrt(len(tokens))
    return tokens.view(side, side) if len(tokens) and side * side == len(tokens) else None
