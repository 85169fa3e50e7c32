"""Answering on corrected images: the one step of which forward-only methods are made."""

from collections.abc import Sequence

import numpy as np

from vqttt.images.restorers import RESTORERS, restore
from vqttt.methods.attempts import Attempt, Outcome
from vqttt.models.base import Inputs, Model
from vqttt.models.batch import Shown


def corrected(shown: Shown, correction: str) -> Shown:
    """Return a sample's images, each put through a restorer, a name in `RESTORERS`."""
    if isinstance(shown, np.ndarray):
        return restore(shown, correction)
    return [restore(image, correction) for image in shown]


def same(one: Shown, other: Shown) -> bool:
    """Tell whether a correction has left a sample's images as they were."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return all(map(np.array_equal, one, other))


def answered_on(
    model: Model, inputs: Inputs, images: Sequence[Shown], corrections: Sequence[str], max_new_tokens: int
) -> Attempt:
    """Answer a batch, untuned, on other images.

    Args:
        model: the model that answers.
        inputs: the batch.
        images: the images of each sample.
        corrections: what was done to them, names in `RESTORERS`.
        max_new_tokens: maximum number of tokens per answer.
    """
    seen = model.batch_of(images, inputs.questions)
    how = [RESTORERS.summary(name) for name in corrections]
    return Attempt(how=how, inputs=seen, outcome=Outcome.of(model.generate(seen, max_new_tokens)))
