"""What a method is: something that turns an encoded batch, and the untuned answers to it, into answers."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import log
from typing import Any

from vqttt.errors import InputError
from vqttt.models.base import Generation, Inputs, Model
from vqttt.models.generation import confidence, mean_entropy
from vqttt.types import Answer, Image


@dataclass(frozen=True)
class Filtered:
    """One image as a tuned network is given it, and in words what it went through."""

    image: Image
    through: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Generated answers in plain numbers: texts, confidences in 0 to 1, entropies in nats, one each for a sample."""

    texts: list[str]
    confidences: list[float]
    entropies: list[float]

    @classmethod
    def of(cls, generation: Generation) -> "Outcome":
        """Summarise a generation."""
        return cls(
            texts=generation.texts,
            confidences=confidence(generation.logits, generation.tokens, generation.mask).tolist(),
            entropies=mean_entropy(generation.logits, generation.mask).tolist(),
        )

    def replaced(self, other: "Outcome", taken: dict[int, int]) -> "Outcome":
        """Return this with its samples n replaced by those of another, where `taken` maps n to one of them."""

        def merged(old: list[Any], new: list[Any]) -> list[Any]:
            return [new[taken[n]] if n in taken else value for n, value in enumerate(old)]

        return Outcome(
            texts=merged(self.texts, other.texts),
            confidences=merged(self.confidences, other.confidences),
            entropies=merged(self.entropies, other.entropies),
        )


class Method(ABC):
    """A way to answer. Created anew for every cell; `online` says whether what it learns outlives a batch,
    `has_kernel` whether it changes images by a kernel that a report can show.
    """

    online: bool = False
    has_kernel: bool = False

    def __init__(self, model: Model, *, max_new_tokens: int = 16, seed: int = 0) -> None:
        """Store the parameters."""
        self.model, self.max_new_tokens, self.seed = model, max_new_tokens, seed

    @abstractmethod
    def answer(self, inputs: Inputs, base: Generation) -> list[Answer]:
        """Answer a batch whose untuned answers are `base`."""

    def answer_alone(self, inputs: Inputs) -> list[Answer]:
        """Answer a batch of which nothing is known yet; a method that can do with fewer passes does."""
        return self.answer(inputs, self.model.generate(inputs, self.max_new_tokens))

    def settings(self) -> dict[str, Any]:
        """Return what decides the method's answers, besides its name; part of a study's identity."""
        return {}

    def reset(self) -> None:
        """Forget what was learned."""
        return

    def kernel(self, inputs: Inputs) -> list[list[float]] | None:
        """Return the learned kernel for the one image of a batch, if there is one."""
        return None

    def filtered(self, inputs: Inputs, base: Generation) -> Filtered:
        """Return the one image of a batch through what was learned; only where `has_kernel`."""
        raise AssertionError(f"{type(self).__name__} has no kernel")

    def seen(self, inputs: Inputs, base: Generation) -> AbstractContextManager[Inputs]:
        """Within the block the network is as it answers the one sample of a batch; yields what it is given then.

        Learns nothing that outlives the sample. What the gate or the guard leaves untuned is given as it was.

        Raises:
            InputError: if the answer does not come from one look of one network.
        """
        raise InputError("this method does not answer by one look, so there is no one look to analyse; choose another")


def compose(
    base: Outcome, final: Outcome, *, steps: list[int], rolled_back: list[bool], seconds: float
) -> list[Answer]:
    """Put outcomes before and after into answers; `seconds` are those of the whole batch."""
    return [
        Answer(
            answer=final.texts[n],
            base_answer=base.texts[n],
            confidence=final.confidences[n],
            base_confidence=base.confidences[n],
            entropy_before=base.entropies[n],
            entropy_after=final.entropies[n],
            steps=steps[n],
            rolled_back=rolled_back[n],
            seconds=seconds / len(steps),
        )
        for n in range(len(steps))
    ]


def histogram_entropy(texts: Sequence[str]) -> float:
    """Return the entropy in nats of how often each text occurs."""
    counts = Counter(texts).values()
    return -sum(count / len(texts) * log(count / len(texts)) for count in counts)
