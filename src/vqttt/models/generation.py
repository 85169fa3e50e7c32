"""What a model answers: texts, and how certain it is of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def token_entropy(logits: Tensor) -> Tensor:
    """Return the Shannon entropy in nats of the distributions (..., V), as (...)."""
    log_p = logits.log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)


def mean_entropy(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the mean entropy of each sample's token distributions over its masked positions, in nats, as (N,)."""
    return masked_mean(token_entropy(logits), mask)


def confidence(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """Return the geometric mean of the probabilities of given tokens (N, T), 0 to 1, as (N,)."""
    log_p = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    return torch.exp(torch.where(mask, log_p, 0.0).sum(1) / mask.sum(1).clamp_min(1))


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    weight = mask.to(values.dtype)
    return (values * weight).sum(1) / weight.sum(1).clamp_min(1)


@dataclass(frozen=True, kw_only=True)
class Generation:
    """Greedy answers with the distributions they came from.

    Attributes:
        texts: N answers, without special tokens, stripped.
        tokens: (N, T), the end token included, padded on the right.
        mask: (N, T), True on an answer's tokens.
        logits: (N, T, V) in float32.
    """

    texts: list[str]
    tokens: Tensor
    mask: Tensor
    logits: Tensor

    def select(self, rows: Sequence[int]) -> "Generation":
        """Return some of the answers."""
        chosen = list(rows)
        return Generation(
            texts=[self.texts[n] for n in chosen],
            tokens=self.tokens[chosen],
            mask=self.mask[chosen],
            logits=self.logits[chosen],
        )
