"""Test-time augmentation: every corrected view of an image votes for its answer; nothing outlives the image."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from vqttt.images.restorers import CORRECTIONS
from vqttt.methods.attempts import Attempt, Outcome
from vqttt.methods.base import Method
from vqttt.methods.corrected import answered_on, corrected
from vqttt.models.base import Generation, Inputs, Model


@dataclass(frozen=True, kw_only=True)
class VoteConfig:
    """How views vote.

    Attributes:
        corrections: the restorers that make the views.
        gate: samples whose untuned entropy (nats) is below this keep their untuned answer.
    """

    corrections: tuple[str, ...] = CORRECTIONS
    gate: float = 0.02


class Vote(Method):
    """Costs a forward pass for each correction, on the samples that are not certain already."""

    needs = Model
    config: VoteConfig
    default_config = VoteConfig()

    def __init__(
        self, model: Model, config: VoteConfig | None = None, *, max_new_tokens: int = 16, seed: int = 0
    ) -> None:
        """Store the parameters."""
        super().__init__(model, config, max_new_tokens=max_new_tokens, seed=seed)
        self.gate = self.config.gate

    @classmethod
    def most_looks(cls, config: VoteConfig) -> int:
        """Return one for each correction."""
        return len(config.corrections)

    def attempts(self, inputs: Inputs, base: Generation, *, learn: bool = True) -> list[Attempt]:
        """Let all views vote; the share of the votes is the answer's confidence."""
        voters = [Outcome.of(base)]
        for name in self.config.corrections:
            if not self.model.may_look():
                break
            images = [corrected(shown, name) for shown in inputs.images]
            view = answered_on(self.model, inputs, images, [name] * inputs.count, self.max_new_tokens)
            voters.append(view.outcome)
        return [Attempt(how=["by vote"] * inputs.count, outcome=count(voters), inputs=None)]


def count(voters: Sequence[Outcome]) -> Outcome:
    """Count the votes for each sample, each with its confidence; a view whose entropy is not finite has no vote."""
    texts, confidences, entropies = [], [], []
    for n in range(len(voters[0].texts)):
        heard = [voter for voter in voters if isfinite(voter.entropies[n])] or voters[:1]
        votes: defaultdict[str, float] = defaultdict(float)
        for voter in heard:
            votes[voter.texts[n]] += voter.confidences[n]
        texts.append(max(votes, key=votes.__getitem__))
        confidences.append(votes[texts[-1]] / len(heard))
        entropies.append(sum(voter.entropies[n] for voter in heard) / len(heard))
    return Outcome(texts=texts, confidences=confidences, entropies=entropies)
