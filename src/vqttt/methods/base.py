"""A method: a way to answer a batch, given the untuned answers to it.

A method writes `attempts`: ways in which the batch can be answered. What is common to all is written once, in `answer`:
the gate (which samples may change), the choice (the surest attempt of each sample), the guard (which changes are kept),
and the account of what happened.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import inf, isfinite, nan
from typing import Any, ClassVar

import torch
from torch import Tensor

from vqttt.methods.attempts import Attempt, Outcome, surest
from vqttt.models.base import Generation, Inputs, Model
from vqttt.models.batch import Given
from vqttt.models.tunable import TunableModel
from vqttt.tuning.adapters import Adapters
from vqttt.types import Answer

_NO_ANSWER = Outcome(texts=[""], confidences=[0.0], entropies=[nan])


class Method(ABC):
    """A way to answer, built anew for every cell.

    Attributes:
        needs: the least that the model must offer.
        needs_certainty: whether the model must also say how certain it is of its answers.
        learns: whether what it learns outlives a batch, so that answers depend on the order of samples.
        changes_images: whether it gives the network other images than it was given, which a report can show.
        gate: samples whose untuned entropy (nats) is below this keep their untuned answer and cost nothing more.
        guard_ratio: a new answer is kept if its entropy is at most this share of the untuned one's.
        updates: tuning steps that a sample takes part in, or corrections tried for it.
        name: what the registry calls it; its class's name if it was built without the registry.
        objective_curve: the losses (N,) before each update of the last batch; empty if no sample was tuned on.
        default_config: the settings of a method that is built without any; None for a method that has none.
    """

    needs: ClassVar[type[Model]] = TunableModel  # type: ignore[type-abstract]
    needs_certainty: ClassVar[bool] = True
    learns: ClassVar[bool] = False
    default_config: ClassVar[Any] = None
    changes_images: bool = False
    gate: float = 0.0
    guard_ratio: float = inf
    updates: int = 0

    def __init__(self, model: Any, config: Any = None, *, max_new_tokens: int = 16, seed: int = 0) -> None:
        """Store the parameters; `model` is one that `needs` allows."""
        self.model, self.max_new_tokens, self.seed = model, max_new_tokens, seed
        self.name = type(self).__name__
        self.objective_curve: list[Tensor] = []
        self.config = config or self.default_config

    @abstractmethod
    def attempts(self, inputs: Inputs, base: Any, *, learn: bool = True) -> list[Attempt]:
        """Answer the samples that the gate lets through, in one or several ways.

        Args:
            inputs: the samples.
            base: their untuned answers.
            learn: whether what can be learned from the samples is kept for later ones.

        Returns:
            The attempts, each over all the samples; none if nothing came of it: then they keep their untuned answers,
            and the method returns to what it was before (see `snapshot`).
        """

    def answer(self, inputs: Inputs, base: Any, *, learn: bool = True) -> list[Answer]:
        """Answer a batch whose untuned answers are `base`; `learn` says whether it counts for later ones."""
        began = time.perf_counter()
        return self._answered(
            inputs,
            base,
            began,
            lambda rows: self.attempts(self.model.select(inputs, rows), base.select(rows), learn=learn),
        )

    def answer_alone(self, inputs: Inputs) -> list[Answer]:
        """Answer a batch without its untuned answers; a method that can save a forward pass here does."""
        return self.answer(inputs, self.model.generate(inputs, self.max_new_tokens))

    def ask(self, images: Sequence[Given], questions: Sequence[str]) -> list[Answer]:
        """Answer questions, each about an image, several or none.

        An answer has an error, and no text, if the model's numbers are not finite.
        """
        return self.answer_alone(self.model.batch_of(images, questions))

    def explain(self, inputs: Inputs, base: Any) -> Attempt:
        """Return the attempt that the one sample of a batch is answered by; learns nothing from it.

        Where gate or guard keep the untuned answer, that is the attempt.
        """
        before = Outcome.of(base)
        untouched = Attempt(how=["unchanged"], inputs=inputs, outcome=before)
        attempts = self.attempts(inputs, base, learn=False) if self.admitted(inputs, before) else []
        if not attempts:
            return untouched
        chosen = attempts[surest(attempts)[0]]
        return chosen if self.keeps(before.entropies[0], chosen.doubts[0]) else untouched

    def admitted(self, inputs: Inputs, before: Outcome) -> list[int]:
        """Return the samples whose answer may change: those that the gate lets through."""
        return [n for n, entropy in enumerate(before.entropies) if entropy >= self.gate]

    def keeps(self, before: float, after: float) -> bool:
        """Tell whether the guard keeps an answer, by the untuned entropy and the new answer's doubt, in nats."""
        return isfinite(after) and not after > self.guard_ratio * before

    def collapsed(self, before: Outcome, after: Outcome) -> bool:
        """Tell whether what was learned has gone wrong, so that the method must start anew."""
        return False

    @classmethod
    def most_looks(cls, config: Any) -> int | None:
        """Return how many more answers than the untuned one a sample may take; None if that is not known."""
        return None

    def reset(self) -> None:
        """Forget what was learned."""
        return

    def snapshot(self) -> Any:
        """Return a copy of all that the method carries from batch to batch, for `restore`; None if it carries nothing.

        A batch that comes to nothing is undone with it and leaves no trace.
        """
        return None

    def restore(self, snapshot: Any) -> None:
        """Return to what `snapshot` returned, bit for bit."""
        return

    def answered_under(
        self, adapters: Adapters, inputs: Inputs, how: Sequence[str], sets: Tensor | None = None
    ) -> Attempt:
        """Answer samples under adapters as they stand; `sets` says which of their sets each uses (see `Attempt`)."""
        with torch.no_grad(), adapters.applied(inputs, sets) as adapted:
            outcome = Outcome.of(self.model.generate(adapted, self.max_new_tokens))
        return Attempt(how=how, inputs=inputs, outcome=outcome, adapters=adapters, sets=sets)

    def _answered(
        self, inputs: Inputs, base: Generation, began: float, attempts: Callable[[list[int]], Sequence[Attempt]]
    ) -> list[Answer]:
        """Turn the attempts at the admitted samples into answers to the whole batch: gate, choice and guard.

        A sample without an untuned answer, say because its numbers are not finite, takes no part in anything.
        """
        self.objective_curve = []
        errors = base.errors
        lost = {n: (_NO_ANSWER, 0) for n, error in enumerate(errors) if error}
        before = Outcome.of(base).replaced(lost)
        admitted = [n for n in self.admitted(inputs, before) if n not in lost]
        attempted = self._attempted(lambda: attempts(admitted)) if admitted else []
        after, undone, how = before, set(admitted), dict[int, str]()
        if attempted:
            after, undone, how = self._guarded(before, admitted, attempted)
        # A batch that was undone leaves no trace in what `collapsed` looks back on either.
        if not lost and (attempted or not admitted) and self.collapsed(before, after):
            self.reset()
            after, undone, how = before, set(admitted), {}
        seconds = (time.perf_counter() - began) / inputs.count
        return [
            Answer(
                answer=after.texts[n],
                base_answer=before.texts[n],
                confidence=after.confidences[n],
                base_confidence=before.confidences[n],
                entropy_before=before.entropies[n],
                entropy_after=after.entropies[n],
                steps=self.updates if n in admitted else 0,
                rolled_back=n in undone,
                seconds=seconds,
                error=errors[n],
                how=how.get(n, ""),
            )
            for n in range(inputs.count)
        ]

    def _attempted(self, attempts: Callable[[], Sequence[Attempt]]) -> Sequence[Attempt]:
        """Return the attempts; if there are none, or if one fails, the method is as it was before."""
        kept = self.snapshot()
        made: Sequence[Attempt] = []
        try:
            made = attempts()
        finally:
            if not made:
                self.restore(kept)
        return made

    def _guarded(
        self, before: Outcome, admitted: list[int], attempts: Sequence[Attempt]
    ) -> tuple[Outcome, set[int], dict[int, str]]:
        """Put in those new answers that the guard keeps.

        Returns:
            The answers, the samples whose new answer is not kept, and how each of the others came about.
        """
        choice = surest(attempts)
        chosen = [attempts[a] for a in choice]
        kept = [i for i, n in enumerate(admitted) if self.keeps(before.entropies[n], chosen[i].doubts[i])]
        after = before.replaced({admitted[i]: (chosen[i].outcome, i) for i in kept})
        how = {admitted[i]: chosen[i].how[i] for i in kept}
        return after, set(admitted) - how.keys(), how
