"""What a method that reaches into a model asks of it: every pass is counted, and the answers that it gave are kept."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from vqttt.models.base import Generation, Inputs, Model
from vqttt.models.generation import LogitGeneration
from vqttt.serving.shared_passes import counted
from vqttt.serving.watched import Looks

_PASSES = ("generate", "generate_with_gradient", "answer_logits")
"""The ways in which methods run a model's network."""


class Notes:
    """The looks of each sample of a batch.

    Attributes:
        inputs: the batch; a method must be given this one, by whose images its samples are told apart.
        looks: those of each sample.
    """

    def __init__(self, inputs: Inputs) -> None:
        """Start at none."""
        self.inputs = replace(inputs, images=tuple(shown[:] for shown in inputs.images))
        self.looks = [Looks() for _ in range(inputs.count)]
        self._rows = {id(shown): n for n, shown in enumerate(self.inputs.images)}
        self._inside = False

    @contextmanager
    def taken(self, model: Model) -> Iterator[None]:
        """Within the block, take note of every pass of a model, which nothing else may use meanwhile."""
        own = vars(model)
        before = {name: own[name] for name in _PASSES if name in own}
        own.update({name: self._noting(getattr(model, name)) for name in _PASSES if hasattr(model, name)})
        try:
            yield
        finally:
            for name in _PASSES:
                own.pop(name, None)
            own.update(before)

    def _noting(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """Return a way to run the network that takes note; one that calls another is one pass."""

        def noting(inputs: Inputs, *given: Any, **named: Any) -> Any:
            if self._inside:
                return run(inputs, *given, **named)
            self._inside = True
            try:
                found = run(inputs, *given, **named)
            finally:
                self._inside = False
            self._note(inputs, found)
            return found

        return noting

    def _note(self, inputs: Inputs, found: Any) -> None:
        """Count a pass for each of its samples, once for each of its views, and keep the answers if it gave any."""
        answers = counted(inputs, _without_gradient(found)) if isinstance(found, Generation) else None
        for row, sample in enumerate(self._samples(inputs)):
            if sample is None:
                continue
            if answers is None:
                self.looks[sample].silent += 1
            else:
                self.looks[sample].generations.append(answers.select([row]))

    def _samples(self, inputs: Inputs) -> Sequence[int | None]:
        """Return the sample that each row of a pass belongs to; None where that is not known."""
        if len(self.looks) == 1:
            return [0] * inputs.count
        return [self._rows.get(id(shown)) for shown in inputs.images]


def _without_gradient(answers: Generation) -> Generation:
    """Return answers that keep no activations alive."""
    return replace(answers, logits=answers.logits.detach()) if isinstance(answers, LogitGeneration) else answers
