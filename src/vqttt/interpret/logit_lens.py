"""The logit lens (nostalgebraist 2020): what a model would answer if it stopped after a layer.

The hidden state after the layer goes through the final norm and the head, as if the layer were the last.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vqttt.errors import InputError
from vqttt.models.base import Inputs
from vqttt.models.tunable import TunableModel, forward_hooks


@dataclass(frozen=True, kw_only=True)
class Lens:
    """The logits of the first tokens of N answers after each layer, as seen through the head.

    Attributes:
        logits: (layers, N, V) in float32. After the last layer they are the model's own.
    """

    logits: Tensor

    def probability(self, tokens: Tensor) -> Tensor:
        """Return the probability of each sample's token, given by `tokens` (N,), after each layer, (layers, N)."""
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
        """Return the layer, counted from 1, from which on each sample's token is the likeliest, (N,).

        0 if it is not the likeliest after the last layer.

        Args:
            tokens: one token per sample, (N,).
        """
        likeliest = self.logits.argmax(-1) == tokens.to(self.logits.device)
        lasting = likeliest.flip(0).int().cumprod(0).sum(0)  # number of layers at the end
        return torch.where(lasting > 0, len(likeliest) - lasting + 1, 0)


@torch.no_grad()
def logit_lens(model: TunableModel, inputs: Inputs) -> Lens:
    """Apply the lens to the answer's first position, after each layer of the language model.

    Raises:
        InputError: if the family does not expose its language model, or if more than a norm and a head follow the
            last layer.
    """
    decoder = model.decoder
    states: list[Tensor] = []

    def keep(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        states.append((output[0] if isinstance(output, tuple) else output)[:, -1:])

    with forward_hooks([(layer, keep) for layer in decoder.layers]):
        answered = model.answer_logits(inputs)
    logits = torch.stack([decoder.project(state)[:, 0].cpu() for state in states])
    if not torch.allclose(logits[-1], answered[:, 0].cpu(), atol=0.05, rtol=0.01):
        raise InputError(f"{model.name} has more than a norm and a head after its last layer; no lens fits it")
    return Lens(logits=logits)


@torch.no_grad()
def image_words(model: TunableModel, inputs: Inputs, layer: int) -> list[list[str]]:
    """Return the likeliest word at each image token after a layer, counted from 0; for each sample a list of T words.

    Raises:
        InputError: if the prompt has no image tokens, or there is no such layer; and as for `logit_lens`.
    """
    decoder, keys = model.decoder, model.image_tokens(inputs).keys
    if decoder.crossed:
        raise InputError(f"{model.name} attends to images by cross-attention; its image tokens pass through no layer")
    if not 0 <= layer < len(decoder.layers):
        raise InputError(f"{model.name} has layers 1 to {len(decoder.layers)}, not {layer + 1}")
    words: list[list[str]] = []

    def read(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        for state, row in zip(hidden, keys, strict=True):
            words.append([model.word(token) for token in decoder.project(state[row]).argmax(-1).tolist()])

    with forward_hooks([(decoder.layers[layer], read)]):
        model.answer_logits(inputs)
    return words
