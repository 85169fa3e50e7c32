"""No tuning: the model as it is."""

from math import inf

from vqttt.methods.attempts import Attempt
from vqttt.methods.base import Method
from vqttt.models.base import Generation, Inputs, Model


class NoTuning(Method):
    """Return the untuned answers."""

    needs = Model
    gate = inf

    def attempts(self, inputs: Inputs, base: Generation, *, learn: bool = True) -> list[Attempt]:
        """Attempt nothing; the gate lets no sample through."""
        return []
