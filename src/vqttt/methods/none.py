"""No tuning: the model as it is."""

from math import inf
from typing import Any

from vqttt.methods.attempts import Attempt
from vqttt.methods.base import Method
from vqttt.models.base import Generation, Inputs, Model


class NoTuning(Method):
    """Return the untuned answers."""

    needs = Model
    needs_certainty = False
    gate = inf

    @classmethod
    def most_looks(cls, config: Any) -> int:
        """Return 0."""
        return 0

    def attempts(self, inputs: Inputs, base: Generation, *, learn: bool = True) -> list[Attempt]:
        """Attempt nothing; the gate lets no sample through."""
        return []
