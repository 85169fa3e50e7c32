"""A model made of somebody's own function."""

import hashlib
from collections.abc import Callable, Sequence
from math import nan
from typing import Any

import numpy as np

from vqttt.errors import InputError
from vqttt.models.base import Model
from vqttt.models.batch import Shown, as_shown
from vqttt.models.generation import ListedGeneration
from vqttt.types import Image

AnswerFunction = Callable[[Image, str], tuple[str, Sequence[float]]]
"""From an image (uint8, (H, W, 3)) and a question to the answer's text and the log-probability of each token of it."""


class FunctionModel(Model):
    """Asks a function, question by question; what it raises ends the batch.

    Of each token only its own probability is known, so an entropy is a lower bound: all other tokens count as one.
    """

    independent = True

    def __init__(self, function: AnswerFunction, name: str = "function") -> None:
        """Store the function and the model's name in records."""
        self.function, self.name = function, name

    def answer(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> ListedGeneration:
        """Ask the function for each sample; it decides how long its answers are.

        Raises:
            InputError: if a sample has several images or none, or the function returns something else.
        """
        texts, chosen = [], []
        for shown, question in zip(as_shown(images), questions, strict=True):
            if not isinstance(shown, np.ndarray):
                raise InputError(f"a function is given one image, not {len(shown)}")
            text, logprobs = _checked(self.function(shown, question))
            texts.append(text.strip())
            chosen.append(logprobs)
        return ListedGeneration(texts=texts, chosen=chosen, likeliest=[[[one] for one in own] for own in chosen])

    def fingerprint(self) -> str:
        """Return a hash of the name: a function has no weights to look at."""
        return hashlib.sha256(self.name.encode()).hexdigest()


def _checked(returned: Any) -> tuple[str, list[float]]:
    try:
        text, logprobs = returned
        numbers = [float(value) for value in logprobs]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"a function for answers returns a text and a list of log-probabilities, not {returned!r}"
        ) from error
    if not isinstance(text, str):
        raise InputError(f"the first that a function for answers returns is a text, not {text!r}")
    return text, numbers or [nan]
