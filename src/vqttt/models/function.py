"""A model made of somebody's own function."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vqttt.errors import InputError
from vqttt.models.base import Model
from vqttt.models.batch import Shown, as_shown
from vqttt.models.generation import ListedGeneration
from vqttt.types import Image

AnswerFunction = Callable[[Image, str], tuple[str, Sequence[float]]]
"""From an image (uint8, (H, W, 3)) and a question to the answer's text and the log-probability of each token of it."""

_ROUNDING = 1e-3
"""How far above 0 a log-probability may be for rounding's sake."""


class FunctionModel(Model):
    """Asks a function, question by question; what it raises ends the batch.

    Of each token only its own probability is known, so an entropy is a lower bound: all other tokens count as one.
    """

    independent = True

    def __init__(self, function: AnswerFunction, name: str = "", *, certain: bool = True) -> None:
        """Store the function.

        Args:
            function: the function.
            name: of the model in records, and all that its fingerprint says; the function's own for want of another.
            certain: whether the function gives log-probabilities. If not, they may be an empty list, and confidences
                and entropies are NaN.

        Raises:
            InputError: if it cannot be called.
        """
        if not callable(function):
            raise InputError(f"a model is a name, a model or a function (image, question), not {function!r}")
        self.function, self.certain = function, certain
        self.name = name or getattr(function, "__qualname__", type(function).__qualname__)

    def answer(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> ListedGeneration:
        """Ask the function for each sample; it decides how long its answers are.

        Raises:
            InputError: if a sample has several images or none, or the function returns something else.
        """
        texts, chosen = [], []
        for shown, question in zip(as_shown(images), questions, strict=True):
            if not isinstance(shown, np.ndarray):
                raise InputError(f"a function is given one image, not {len(shown)}")
            text, logprobs = self._checked(self.function(shown, question))
            texts.append(text.strip())
            chosen.append(logprobs)
        return ListedGeneration(texts=texts, chosen=chosen, likeliest=[[[one] for one in own] for own in chosen])

    def fingerprint(self) -> str:
        """Return a hash of the name: a function has no weights to look at."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    def _checked(self, returned: Any) -> tuple[str, list[float]]:
        try:
            text, logprobs = returned
            numbers = [float(value) for value in logprobs]
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{self.name} must return a text and a list of log-probabilities, not {returned!r}"
            ) from error
        if not isinstance(text, str):
            raise InputError(f"{self.name} must return a text first, not {text!r}")
        if numbers and max(numbers) > _ROUNDING:
            raise InputError(f"{self.name} returned {max(numbers)}; log-probabilities are at most 0, so give log(p)")
        if self.certain and text.strip() and not numbers:
            raise InputError(
                f"{self.name} returned no log-probabilities; give one for each token, or choose a method that needs "
                "none, such as none"
            )
        return text, numbers
