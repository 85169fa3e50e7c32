"""The logit lens (nostalgebraist 2020): what a model would answer if it stopped after each of its layers.

The hidden state of a layer goes through the final norm and the head as if it were the last one's.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vqttt.errors import InputError
from vqttt.models.base import Inputs, TunableModel, forward_hooks


@dataclass(frozen=True, kw_only=True)
class Lens:
    """The logits of N answers' first tokens after each layer, (layers, N, V) in float32; the last are the model's."""

    logits: Tensor

    def probability(self, tokens: Tensor) -> Tensor:
        """Return the probability of a token for each sample, (N,) of them, after each layer, (layers, N)."""
        every = torch.arange(len(tokens))
        return self.logits.softmax(-1)[:, every, tokens.to(self.logits.device)]

    def entropy(self) -> Tensor:
        """Return the entropy after each layer in nats, (layers, N)."""
        entropy: Tensor = torch.special.entr(self.logits.softmax(-1)).sum(-1)
        return entropy

    def top(self, k: int) -> tuple[Tensor, Tensor]:
        """Return the k likeliest tokens after each layer and their probabilities, (layers, N, k) each."""
        probabilities, tokens = self.logits.softmax(-1).topk(min(k, self.logits.shape[-1]))
        return tokens, probabilities

    def appears(self, tokens: Tensor) -> Tensor:
        """Return from which layer on, counted from 1, each sample's token stays the likeliest, (N,); 0 if it is not."""
        likeliest = self.logits.argmax(-1) == tokens.to(self.logits.device)
        lasting = likeliest.flip(0).int().cumprod(0).sum(0)
        return torch.where(lasting > 0, len(likeliest) - lasting + 1, 0)


@torch.no_grad()
def logit_lens(model: TunableModel, inputs: Inputs) -> Lens:
    """Look at the answer's first position through the head after each layer of the language model.

    Raises:
        InputError: if the family does not expose its language model, or does more after it than a norm and a head.
    """
    decoder = model.decoder
    states: list[Tensor] = []

    def keep(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        states.append((output[0] if isinstance(output, tuple) else output)[:, -1:])

    with forward_hooks([(layer, keep) for layer in decoder.layers]):
        answered = model.answer_logits(inputs)
    logits = torch.stack([decoder.project(state)[:, 0].cpu() for state in states])
    if not torch.allclose(logits[-1], answered[:, 0].cpu(), atol=0.05, rtol=0.01):
        raise InputError(f"the logits of {model.name} are not those of its last layer's norm and head; no lens fits it")
    return Lens(logits=logits)


@torch.no_grad()
def image_words(model: TunableModel, inputs: Inputs, layer: int) -> list[list[str]]:
    """Return the likeliest word at each image token after a layer, counted from 0; for each sample T of them.

    Raises:
        InputError: if image tokens are not among the prompt's, there is no such layer, and as `logit_lens` does.
    """
    decoder, keys = model.decoder, model.image_tokens(inputs).keys
    if decoder.crossed:
        raise InputError(f"{model.name} looks at images by cross-attention; its image tokens pass through no layer")
    if not 0 <= layer < len(decoder.layers):
        raise InputError(f"{model.name} has layers 1 to {len(decoder.layers)}, not {layer + 1}")
    found: list[list[str]] = []

    def read(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        for state, row in zip(hidden, keys, strict=True):
            found.append([model.word(token) for token in decoder.project(state[row]).argmax(-1).tolist()])

    with forward_hooks([(decoder.layers[layer], read)]):
        model.answer_logits(inputs)
    return found
