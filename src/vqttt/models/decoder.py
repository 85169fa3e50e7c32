"""The parts of a language model that analyses need, and where it finds the images.

The parts are found by the names that transformers uses in all families.
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
    """The parts of a language model.

    Attributes:
        network: the whole language model, without the head.
        layers: its layers, in order.
        norm: the norm between the last layer and the head.
        head: projects (..., width) to the vocabulary, (..., V).
        attention: the layers in which the text attends to images: each layer's number, from 0, and its attention
            module, whose second output is the weights (N, heads, L, K).
        crossed: whether the text attends to images by cross-attention, so that the prompt has no image tokens.
        softcap: bound on the logits, which tanh squeezes into -softcap to softcap; None if they are not bounded.
    """

    network: Any
    layers: Sequence[nn.Module]
    norm: nn.Module
    head: nn.Module
    attention: Sequence[tuple[int, nn.Module]]
    crossed: bool
    softcap: float | None

    def project(self, hidden: Tensor) -> Tensor:
        """Return the logits (..., V), in float32, of a layer's output (..., width)."""
        logits: Tensor = self.head(self.norm(hidden)).float()
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)

    @contextmanager
    def eager(self) -> Iterator[None]:
        """Within the block, use the attention implementation that returns its weights.

        Logits differ by rounding within the block, and by no bit after it.
        """
        before = self.network.config._attn_implementation
        self.network.set_attn_implementation({"": "eager"})  # not in a vision tower inside it
        try:
            yield
        finally:
            self.network.set_attn_implementation({"": before})


def find_decoder(network: Any) -> Decoder:
    """Find the parts of the language model in a network of transformers.

    Raises:
        InputError: if they do not have the usual names.
    """
    try:
        decoder = network.get_decoder()
        layers, norm, head = list(decoder.layers), decoder.norm, network.get_output_embeddings()
    except AttributeError as error:
        raise InputError(f"{type(network).__name__} does not expose its language model: {error}") from error
    crossing = [module for path, module in decoder.named_modules() if path.rsplit(".", 1)[-1] == "cross_attn"]
    if crossing:
        # Cross-attention is part of some layers (Llama 3.2 Vision), or comes before every n-th layer (IDEFICS).
        every = len(layers) // len(crossing)
        inside = [n for n, layer in enumerate(layers) if hasattr(layer, "cross_attn")]
        numbers = inside or [n * every for n in range(len(crossing))]
        attention = list(zip(numbers, crossing, strict=True))
    else:
        attention = [(n, layer.self_attn) for n, layer in enumerate(layers) if hasattr(layer, "self_attn")]
    return Decoder(
        network=decoder,
        layers=layers,
        norm=norm,
        head=head,
        attention=attention,
        crossed=bool(crossing),
        softcap=getattr(network.config.get_text_config(), "final_logit_softcapping", None),
    )


@dataclass(frozen=True, kw_only=True)
class ImageTokens:
    """The image tokens of a batch, and which part of an image each one covers.

    Attributes:
        keys: (N, K), True where the text attends to an image token: over the prompt's positions, or over the keys of
            cross-attention.
        grids: for each image of `TunableModel.pixels`, the tokens laid out over the image: divide the whole frame,
            padding included, evenly into (rows, columns); each entry is the number of the token that covers this
            part, counting the sample's image tokens from 0, or -1 for none. None for an image whose tokens belong to
            no part of it, such as the latents of a resampler.
    """

    keys: Tensor
    grids: Sequence[Tensor | None]


def square(tokens: Tensor) -> Tensor | None:
    """Arrange tokens (T,) in the rows of a square; None if T is not the square of a positive number."""
    side = isqrt(len(tokens))
    return tokens.view(side, side) if len(tokens) and side * side == len(tokens) else None
