"""What a method tried: an attempt is one way in which a batch was answered, and how to see it again."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import exp, inf, isfinite, log

import torch
from torch import Tensor

from vqttt.errors import InputError
from vqttt.models.base import Generation, Inputs
from vqttt.tuning.adapters import Adapters


@dataclass(frozen=True, kw_only=True)
class GuardConfig:
    """Which answers may change, and which changes are kept.

    Attributes:
        gate: samples whose untuned entropy (nats) is below this are certain already: they keep their untuned answer
            and take no part in the tuning.
        guard: whether an answer that became less certain is rolled back.
        guard_ratio: the share of its untuned entropy that a new answer may have at most to be kept.
    """

    gate: float = 0.02
    guard: bool = True
    guard_ratio: float = 1.0

    def __post_init__(self) -> None:
        """Reject settings that cannot run."""
        if self.guard_ratio <= 0:
            raise ValueError(f"guard_ratio must be above 0: {self.guard_ratio}")

    @property
    def ratio(self) -> float:
        """The ratio that is in force; infinite without a guard."""
        return self.guard_ratio if self.guard else inf


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Answers in plain numbers: texts, confidences from 0 to 1, entropies in nats, one each for a sample."""

    texts: list[str]
    confidences: list[float]
    entropies: list[float]

    @classmethod
    def of(cls, generation: Generation) -> "Outcome":
        """Summarise a generation."""
        return cls(texts=generation.texts, confidences=generation.confidences, entropies=generation.entropies)

    @property
    def doubts(self) -> list[float]:
        """The entropy of each answer; infinite for an empty one, which says nothing, however sure it is."""
        return [entropy if text else inf for text, entropy in zip(self.texts, self.entropies, strict=True)]

    def replaced(self, taken: Mapping[int, tuple["Outcome", int]]) -> "Outcome":
        """Return this with sample n replaced by sample i of another outcome, where `taken[n]` is (outcome, i)."""
        sources = [taken.get(n, (self, n)) for n in range(len(self.texts))]
        return Outcome(
            texts=[outcome.texts[i] for outcome, i in sources],
            confidences=[outcome.confidences[i] for outcome, i in sources],
            entropies=[outcome.entropies[i] for outcome, i in sources],
        )


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One way in which a batch was answered.

    Attributes:
        how: for each sample, what was done, in words.
        outcome: the answers.
        inputs: what the network was given, before the adapters; None if the answers come from several forward passes.
        adapters: those that were applied, if any.
        sets: which of their sets each sample used, (N,); None for its own, or the only one.
        credit: what experience adds to the certainty, exp(-entropy), of each sample's answer; empty for nothing.
    """

    how: Sequence[str]
    outcome: Outcome
    inputs: Inputs | None
    adapters: Adapters | None = None
    sets: Tensor | None = field(default=None, repr=False)
    credit: Sequence[float] = ()

    @property
    def doubts(self) -> list[float]:
        """By what attempts are compared: the doubt in each answer, in nats, with the credit."""
        own = self.outcome.doubts
        if not self.credit:
            return own
        pairs = zip(own, self.credit, strict=True)
        return [-log(max(exp(-doubt) + more, 1e-9)) if isfinite(doubt) else doubt for doubt, more in pairs]

    @contextmanager
    def adapted(self) -> Iterator[Inputs]:
        """Within the block the network is as it answered; yields what it is given, through the kernel.

        Raises:
            InputError: if the answers come from several forward passes.
        """
        if self.inputs is None:
            raise InputError("this method's answers come from several forward passes, so no single one can be analysed")
        if self.adapters is None:
            yield self.inputs
            return
        with torch.no_grad(), self.adapters.applied(self.inputs, self.sets) as adapted:
            yield adapted

    def kernel(self) -> list[list[float]] | None:
        """Return the kernel of the last image, (side, side); None without one."""
        if self.adapters is None or self.inputs is None:
            return None
        kernels = self.adapters.kernels(self.inputs)
        return kernels[-1].tolist() if kernels is not None and len(kernels) else None


def surest(attempts: Sequence[Attempt]) -> list[int]:
    """Return for each sample the number of the attempt with the least doubt; of equal ones the first.

    A doubt that is not finite is never the least.
    """
    finite = [[value if isfinite(value) else inf for value in attempt.doubts] for attempt in attempts]
    columns = zip(*finite, strict=True)
    return [min(range(len(entropies)), key=entropies.__getitem__) for entropies in columns]
