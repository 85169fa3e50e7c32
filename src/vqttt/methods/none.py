"""No tuning: the model as it is."""

from contextlib import AbstractContextManager, nullcontext

from vqttt.methods.base import Method, Outcome, compose
from vqttt.models.base import Generation, Inputs
from vqttt.types import Answer


class NoTuning(Method):
    """Return the untuned answers."""

    def answer(self, inputs: Inputs, base: Generation) -> list[Answer]:
        """Return the untuned answers."""
        outcome = Outcome.of(base)
        return compose(outcome, outcome, steps=[0] * inputs.count, rolled_back=[False] * inputs.count, seconds=0.0)

    def seen(self, inputs: Inputs, base: Generation) -> AbstractContextManager[Inputs]:
        """Yield the batch as it is."""
        return nullcontext(inputs)
