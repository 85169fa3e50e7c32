"""Test-time augmentation over the bank: every view of an image votes for its answer; nothing outlives the image."""

import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from math import exp
from typing import Any

import torch

from vqttt.methods.base import Method, Outcome, compose
from vqttt.models.base import Generation, Inputs, Model
from vqttt.tuning.corrections import members
from vqttt.tuning.search import views
from vqttt.types import Answer


@dataclass(frozen=True, kw_only=True)
class VoteConfig:
    """How views vote.

    Attributes:
        temperature: a view's weight is exp(-entropy / temperature), in nats: what minimises the expected entropy less
            `temperature` times the entropy of the weights. None: a view's weight is its answer's confidence.
        gate: samples whose answer entropy is below this keep their untuned answer.
    """

    temperature: float | None = None
    gate: float = 0.0


class Vote(Method):
    """Costs as many forward passes as the bank has members, on the samples that are not certain already."""

    def __init__(self, model: Model, config: VoteConfig, *, max_new_tokens: int = 16, seed: int = 0) -> None:
        """Store the parameters."""
        super().__init__(model, max_new_tokens=max_new_tokens, seed=seed)
        self.config = config

    def settings(self) -> dict[str, Any]:
        """Return the configuration."""
        return asdict(self.config)

    @torch.no_grad()
    def answer(self, inputs: Inputs, base: Generation) -> list[Answer]:
        """Answer a batch by vote; the share of the votes is the answer's confidence."""
        began = time.perf_counter()
        before = Outcome.of(base)
        uncertain = [n for n, entropy in enumerate(before.entropies) if entropy >= self.config.gate]
        after = before
        if uncertain:
            seen = list(views(self.model, self.model.select(inputs, uncertain)))[1:]
            voters = [Outcome.of(base.select(uncertain))]
            voters += [Outcome.of(self.model.generate(view, self.max_new_tokens)) for view in seen]
            after = before.replaced(self._count(voters), {n: i for i, n in enumerate(uncertain)})
        return compose(
            before,
            after,
            steps=[0] * inputs.count,
            rolled_back=[False] * inputs.count,
            seconds=time.perf_counter() - began,
        )

    def _count(self, voters: list[Outcome]) -> Outcome:
        texts, confidences, entropies = [], [], []
        for n in range(len(voters[0].texts)):
            least = min(voter.entropies[n] for voter in voters)
            weights = [self._weight(voter.entropies[n] - least) for voter in voters]
            votes: defaultdict[str, float] = defaultdict(float)
            for weight, voter in zip(weights, voters, strict=True):
                votes[voter.texts[n]] += weight * (1.0 if self.config.temperature else voter.confidences[n])
            texts.append(max(votes, key=votes.__getitem__))
            confidences.append(votes[texts[-1]] / sum(weights))
            entropies.append(
                sum(w * voter.entropies[n] for w, voter in zip(weights, voters, strict=True)) / sum(weights)
            )
        assert len(voters) == len(members())
        return Outcome(texts=texts, confidences=confidences, entropies=entropies)

    def _weight(self, excess: float) -> float:
        return exp(-excess / self.config.temperature) if self.config.temperature else 1.0
