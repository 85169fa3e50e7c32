"""The answers of a model, and how certain it is of them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, isnan, log, nan
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

NOT_FINITE = "the model gives numbers that are not finite; try another dtype"
"""Why a sample has no answer whose tokens were chosen by logits that are not numbers."""


class Generation(ABC):
    """Greedy answers to N samples.

    Attributes:
        texts: N answers, without special tokens, stripped.
    """

    texts: list[str]

    prompt_tokens: Sequence[int]

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
        """The geometric mean of the probabilities of each answer's tokens, 0 to 1; NaN if it is not known."""
        return [exp(min(sum(tokens) / len(tokens), 0.0)) if tokens else nan for tokens in self.token_logprobs]

    @property
    def errors(self) -> list[str]:
        """Why each answer is none, whatever its text; empty for an answer."""
        bad = [any(isnan(value) or value == inf for value in tokens) for tokens in self.token_logprobs]
        return [NOT_FINITE if one else "" for one in bad]


@dataclass(frozen=True, kw_only=True)
class ListedGeneration(Generation):
    """Answers with the log-probabilities of the likeliest tokens only, as model servers return them.

    Attributes:
        texts: see `Generation`.
        chosen: the log-probability of each token of each answer, in nats; none where they are not known.
        likeliest: for each of these tokens, the log-probabilities of the likeliest tokens at its position, in nats.
        shown: for each of these tokens, its text, and the texts of the likeliest with their log-probabilities; empty if
            texts are not known.
        failures: for each answer, why the model gave none; empty if it gave all.
        prompt_tokens: the tokens of each prompt; empty if they were not counted.
    """

    texts: list[str]
    chosen: list[list[float]]
    likeliest: list[list[list[float]]]
    shown: Sequence[Sequence[tuple[str, Mapping[str, float]]]] = ()
    failures: Sequence[str] = ()
    prompt_tokens: Sequence[int] = ()

    @property
    def token_logprobs(self) -> list[list[float]]:
        """The log-probability of each token of each answer, in nats."""
        return self.chosen

    @property
    def entropies(self) -> list[float]:
        """A lower bound on the mean entropy, in nats; the tokens that are not listed count as one token."""
        return [sum(map(_listed_entropy, places)) / len(places) if places else nan for places in self.likeliest]

    @property
    def errors(self) -> list[str]:
        """Why each answer is none, whatever its text; empty for an answer."""
        own = super().errors
        return [failure or error for failure, error in zip(self.failures or own, own, strict=True)]

    def select(self, rows: Sequence[int]) -> "ListedGeneration":
        """Return the answers `rows`, in that order."""
        return ListedGeneration(
            texts=[self.texts[n] for n in rows],
            chosen=[self.chosen[n] for n in rows],
            likeliest=[self.likeliest[n] for n in rows],
            shown=_rows(self.shown, rows),
            failures=_rows(self.failures, rows),
            prompt_tokens=_rows(self.prompt_tokens, rows),
        )


@dataclass(frozen=True, kw_only=True)
class LogitGeneration(Generation):
    """Answers with the full distribution of each token.

    Attributes:
        texts: see `Generation`.
        tokens: (N, T), including the end token, padded on the right.
        mask: (N, T), True on an answer's tokens, False on padding.
        logits: (N, T, V) in float32.
        prompt_tokens: the tokens of each prompt; empty if they were not counted.
    """

    texts: list[str]
    tokens: Tensor
    mask: Tensor
    logits: Tensor
    prompt_tokens: Sequence[int] = ()

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
    def errors(self) -> list[str]:
        """Empty where the logits of all tokens are distributions: no NaN, no infinity but of probability 0."""
        finite = (self.logits.logsumexp(-1).isfinite() | ~self.mask).all(1).tolist()
        return ["" if one else NOT_FINITE for one in finite]

    def select(self, rows: Sequence[int]) -> "LogitGeneration":
        """Return the answers `rows`, in that order."""
        chosen = list(rows)
        return LogitGeneration(
            texts=[self.texts[n] for n in chosen],
            tokens=self.tokens[chosen],
            mask=self.mask[chosen],
            logits=self.logits[chosen],
            prompt_tokens=_rows(self.prompt_tokens, chosen),
        )


def _rows(values: Sequence[T], rows: Sequence[int]) -> Sequence[T]:
    """Return the values of some answers; none if there are none."""
    return [values[n] for n in rows] if values else ()


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
