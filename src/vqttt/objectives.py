"""Unsupervised objectives: logits in, one loss for each sample out; pure, differentiable, no labels.

Shapes: logits (N, T, V), mask (N, T), True on the positions that count. Losses (N,), in nats.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vqttt.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A loss and what it looks at.

    Attributes:
        loss: (logits, mask) -> (N,).
        over_answer: whether it wants the logits over the whole greedy answer (teacher-forced), or only those of the
            first token, which cost one forward pass and no answer.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    over_answer: bool


OBJECTIVES: Registry[Objective] = Registry("objective")


def token_entropy(logits: Tensor) -> Tensor:
    """Return the Shannon entropy in nats of the distributions (..., V), as (...)."""
    log_p = logits.log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)


def mean_entropy(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the mean entropy of each sample's token distributions over its masked positions, in nats, as (N,)."""
    weight = mask.to(logits.dtype)
    return (token_entropy(logits) * weight).sum(1) / weight.sum(1).clamp_min(1)


def confidence(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """Return the geometric mean of the probabilities of given tokens (N, T), 0 to 1, as (N,)."""
    log_p = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    return torch.exp(torch.where(mask, log_p, 0.0).sum(1) / mask.sum(1).clamp_min(1))


OBJECTIVES.add(
    "entropy",
    Objective(loss=mean_entropy, over_answer=False),
    "entropy of the answer's first token (the paper says entropy; which tokens is our choice)",
)
OBJECTIVES.add(
    "answer-entropy",
    Objective(loss=mean_entropy, over_answer=True),
    "mean entropy over the untuned greedy answer's tokens",
)
