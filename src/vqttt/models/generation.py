"""The answers of a model, and how certain it is of them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, isnan, log, nan

import torch
from torch import Tensor

NOT_FINITE = "the model gives numbers that are not finite; try another dtype"
"""Why a sample has no answer whose tokens were chosen by logits that are not numbers."""


class Generation(ABC):
    """Greedy answers to N samples.

    Attributes:
        texts: N answers, without special tokens, stripped.
    """

    texts: list[str]

    @property
    @abstractmethod
    def token_logprobs(self) -> list[list[float]]:
        """The log-probability of each token of each answer, in nats."""

    @property
    @abstractmethod
    def entropies(self) -> list[float]:
        """The mean entropy of each answer's token distributions, in nats; NaN if it is not known."""

    @abstractmethod
    def select(self, rows: Sequence[int]) -> "Generation":
        """Return the answers `rows`, in that order."""

    @property
    def confidences(self) -> list[float]:
        """The geometric mean of the probabilities of each answer's tokens, 0 to 1."""
        return [exp(min(sum(tokens) / max(len(tokens), 1), 0.0)) for tokens in self.token_logprobs]

    @property
    def finite(self) -> list[bool]:
        """Whether each answer was chosen by numbers that are finite; the text of one that was not means nothing."""
        return [not any(isnan(value) or value == inf for value in tokens) for tokens in self.token_logprobs]


@dataclass(frozen=True, kw_only=True)
class ListedGeneration(Generation):
    """Answers with the log-probabilities of the likeliest tokens only, as model servers return them.

    Attributes:
        texts: see `Generation`.
        chosen: the log-probability of each token of each answer, in nats.
        likeliest: for each of these tokens, the log-probabilities of the likeliest tokens at its position, in nats.
    """

    texts: list[str]
    chosen: list[list[float]]
    likeliest: list[list[list[float]]]

    @property
    def token_logprobs(self) -> list[list[float]]:
        """The log-probability of each token of each answer, in nats."""
        return self.chosen

    @property
    def entropies(self) -> list[float]:
        """A lower bound on the mean entropy, in nats; the tokens that are not listed count as one token."""
        return [sum(map(_listed_entropy, places)) / len(places) if places else nan for places in self.likeliest]

    def select(self, rows: Sequence[int]) -> "ListedGeneration":
        """Return the answers `rows`, in that order."""
        return ListedGeneration(
            texts=[self.texts[n] for n in rows],
            chosen=[self.chosen[n] for n in rows],
            likeliest=[self.likeliest[n] for n in rows],
        )


@dataclass(frozen=True, kw_only=True)
class LogitGeneration(Generation):
    """Answers with the full distribution of each token.

    Attributes:
        texts: see `Generation`.
        tokens: (N, T), including the end token, padded on the right.
        mask: (N, T), True on an answer's tokens, False on padding.
        logits: (N, T, V) in float32.
    """

    texts: list[str]
    tokens: Tensor
    mask: Tensor
    logits: Tensor

    @property
    def token_logprobs(self) -> list[list[float]]:
        """The log-probability of each token of each answer, in nats."""
        logprobs = self.logits.log_softmax(-1).gather(-1, self.tokens[..., None])[..., 0]
        return [of_sample[kept].tolist() for of_sample, kept in zip(logprobs, self.mask, strict=True)]

    @property
    def entropies(self) -> list[float]:
        """The mean entropy of each answer's token distributions, in nats."""
        return mean_entropy(self.logits, self.mask).tolist()

    @property
    def confidences(self) -> list[float]:
        """The geometric mean of the probabilities of each answer's tokens, 0 to 1."""
        return confidence(self.logits, self.tokens, self.mask).tolist()

    @property
    def finite(self) -> list[bool]:
        """Whether the logits of each answer's tokens are distributions: no NaN, no infinity but of probability 0."""
        return (self.logits.logsumexp(-1).isfinite() | ~self.mask).all(1).tolist()

    def select(self, rows: Sequence[int]) -> "LogitGeneration":
        """Return the answers `rows`, in that order."""
        chosen = list(rows)
        return LogitGeneration(
            texts=[self.texts[n] for n in chosen],
            tokens=self.tokens[chosen],
            mask=self.mask[chosen],
            logits=self.logits[chosen],
        )


def token_entropy(logits: Tensor) -> Tensor:
    """Return the Shannon entropy of the distributions given by logits (..., V), in nats, as (...).

    A logit of minus infinity is a token of probability 0, and adds nothing.
    """
    log_p = logits.log_softmax(-1)
    return -(log_p.exp() * log_p.clamp_min(torch.finfo(log_p.dtype).min)).sum(-1)


def mean_entropy(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the mean entropy of logits (N, T, V) over the positions of a mask (N, T), in nats, as (N,)."""
    return masked_mean(token_entropy(logits), mask)


def confidence(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """Return the geometric mean of the probabilities of tokens (N, T) under logits (N, T, V), 0 to 1, as (N,)."""
    log_p = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    return torch.exp(torch.where(mask, log_p, 0.0).sum(1) / mask.sum(1).clamp_min(1))


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of values (N, T) over the positions of a mask (N, T), as (N,); 0 for an empty mask."""
    weight = mask.to(values.dtype)
    return (values * weight).sum(1) / weight.sum(1).clamp_min(1)


def _listed_entropy(logprobs: Sequence[float]) -> float:
    """Return the entropy of a distribution given by its largest log-probabilities; the rest counts as one token.

    NaN if one of them is NaN. One above 0, which no probability has, counts as 0.
    """
    if any(map(isnan, logprobs)):
        return nan
    probabilities = [exp(min(value, 0.0)) for value in logprobs]
    rest = max(1.0 - sum(probabilities), 0.0)
    return -sum(p * log(p) for p in (*probabilities, rest) if p > 0)
