"""Test-time augmentation: every corrected view of an image votes for its answer; nothing outlives the image."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite

import torch

from vqttt.methods.attempts import Attempt, Outcome
from vqttt.methods.base import Method
from vqttt.models.base import Inputs, LogitGeneration, TunableModel
from vqttt.tuning.search import views


@dataclass(frozen=True, kw_only=True)
class VoteConfig:
    """How views vote.

    Attributes:
        temperature: a view's weight is exp(-entropy / temperature), in nats, which minimises the expected entropy less
            `temperature` times the entropy of the weights. None: a view's weight is its answer's confidence.
        gate: samples whose untuned entropy (nats) is below this keep their untuned answer.
    """

    temperature: float | None = None
    gate: float = 0.02

    def __post_init__(self) -> None:
        """Reject settings that cannot run."""
        if self.temperature is not None and self.temperature <= 0:
            raise ValueError(f"temperature must be above 0: {self.temperature}")


class Vote(Method):
    """Costs a forward pass for each correction, on the samples that are not certain already."""

    config: VoteConfig
    default_config = VoteConfig()

    def __init__(
        self, model: TunableModel, config: VoteConfig | None = None, *, max_new_tokens: int = 16, seed: int = 0
    ) -> None:
        """Store the parameters."""
        super().__init__(model, config, max_new_tokens=max_new_tokens, seed=seed)
        self.gate = self.config.gate

    @torch.no_grad()
    def attempts(self, inputs: Inputs, base: LogitGeneration, *, learn: bool = True) -> list[Attempt]:
        """Let all views vote; the share of the votes is the answer's confidence."""
        corrected = list(views(self.model, inputs))[1:]
        voters = [Outcome.of(base)]
        voters += [Outcome.of(self.model.generate(view, self.max_new_tokens)) for view in corrected]
        return [Attempt(how=["by vote"] * inputs.count, outcome=self.count(voters), inputs=None)]

    def count(self, voters: Sequence[Outcome]) -> Outcome:
        """Count the votes of some views for each sample; a view whose entropy is not finite has no vote."""
        texts, confidences, entropies = [], [], []
        all_voters = voters
        for n in range(len(all_voters[0].texts)):
            voters = [voter for voter in all_voters if isfinite(voter.entropies[n])] or all_voters[:1]
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
        return Outcome(texts=texts, confidences=confidences, entropies=entropies)

    def _weight(self, excess: float) -> float:
        return exp(-excess / self.config.temperature) if self.config.temperature else 1.0
