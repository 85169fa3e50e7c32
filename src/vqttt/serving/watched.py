"""A model that counts the looks of the request at hand, keeps what they gave, and knows when time is up."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from math import inf

from vqttt.models.base import Generation, Model
from vqttt.models.batch import Shown

_SMOOTHING = 0.2
"""The weight of the latest look in the mean time of looks."""


@dataclass
class Looks:
    """What one request asked of the model.

    Attributes:
        deadline: by `time.monotonic`, when the answer is due; infinite without a deadline.
        generations: what the looks gave, the untuned answer first.
        silent: looks that gave no answer, but something to learn from.
        late: whether another look was given up because it would have ended too late.
    """

    deadline: float = inf
    generations: list[Generation] = field(default_factory=list)
    silent: int = 0
    late: bool = False

    @property
    def count(self) -> int:
        """How often the model was asked."""
        return len(self.generations) + self.silent

    def add(self, others: "Looks") -> None:
        """Add what was asked in another thread."""
        self.generations += others.generations
        self.silent += others.silent

    def of(self, text: str, entropy: float) -> Generation | None:
        """Return the look that gave an answer: the one with this text whose entropy is nearest; None if none did."""
        same = [one for one in self.generations if one.texts[0] == text]
        return min(same, key=lambda one: abs(one.entropies[0] - entropy), default=None)


_CURRENT: ContextVar[Looks | None] = ContextVar("looks", default=None)


class WatchedModel(Model):
    """Passes questions on; within a block of `watching`, for the request of this thread."""

    def __init__(self, model: Model, answer: Callable[[Sequence[Shown], Sequence[str], int], Generation]) -> None:
        """Watch a model.

        Args:
            model: the model.
            answer: answers in its place, such as `SharedPasses.answer`.
        """
        self.name, self.scope = model.name, model.scope
        self.independent, self.certain = True, model.certain
        self._model, self._answer = model, answer
        self._mean, self._lock = 0.0, threading.Lock()

    @contextmanager
    def watching(self, deadline: float = inf) -> Iterator[Looks]:
        """Within the block, watch what this thread asks."""
        looks = Looks(deadline=deadline)
        token = _CURRENT.set(looks)
        try:
            yield looks
        finally:
            _CURRENT.reset(token)

    def answer(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> Generation:
        """Answer, and take note."""
        began = time.monotonic()
        generation = self._answer(images, questions, max_new_tokens)
        seconds = time.monotonic() - began
        with self._lock:
            self._mean += (_SMOOTHING if self._mean else 1.0) * (seconds - self._mean)
        if (looks := _CURRENT.get()) is not None:
            looks.generations.append(generation)
        return generation

    def may_look(self) -> bool:
        """Tell whether another look, if it takes as long as looks do now, ends before the deadline."""
        looks = _CURRENT.get()
        if looks is None or time.monotonic() + self._mean <= looks.deadline:
            return True
        looks.late = True
        return False

    def fingerprint(self) -> str:
        """Return the model's fingerprint."""
        return self._model.fingerprint()

    def tuned_for(self) -> str:
        """Return what the model's learned files must match, computed once."""
        return self._tuned_for

    @cached_property
    def _tuned_for(self) -> str:
        return self._model.tuned_for()

    @property
    def device_type(self) -> str:
        """The type of the model's device."""
        return self._model.device_type
