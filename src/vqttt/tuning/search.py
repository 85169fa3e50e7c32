"""Search: which member of the bank an image is seen through, learned along the stream from the objective alone.

Of some samples every member's loss is measured, by forward passes without gradients; the predictor generalises from
their spectra to all. Gradients cannot do this: from the identity they point nowhere for an image of no contrast.
"""

from collections.abc import Callable, Iterator
from math import ceil

import torch
from torch import Tensor

from vqttt.models.base import Generation, ImageContent, Inputs, Model
from vqttt.tuning.corrections import BANK, corrected, members
from vqttt.tuning.predictor import Predictor
from vqttt.tuning.spectrum import FEATURES, features
from vqttt.tuning.tuner import Tuner


class Search:
    """A predictor, and how many samples it learns from: the first ones all, later a share of each batch."""

    def __init__(self, model: Model, *, first: int, share: float, caution: float) -> None:
        """Know nothing."""
        self.model, self.first, self.share = model, first, share
        self.predictor = Predictor(caution=caution)

    def corrected(self, inputs: Inputs, base: Generation, tuner: Tuner) -> Inputs:
        """Learn from a batch, and return it as seen through the members that are chosen for it."""
        described = self.describe(inputs)
        count = min(inputs.count, max(self.first - self.predictor.seen, ceil(self.share * inputs.count)))
        at_once = max(1, inputs.count // len(members()))  # no more views in one pass than a batch has samples
        for start in range(0, count, at_once):
            rows = list(range(start, min(start + at_once, count)))
            self.predictor.observe(described[rows], self._changes(inputs, base, tuner, rows))
        return self.through(inputs, self.predictor.choose(described))

    def _changes(self, inputs: Inputs, base: Generation, tuner: Tuner, rows: list[int]) -> Tensor:
        """Return what every member does to the loss of some samples, (rows, members), by one forward pass."""
        each = torch.arange(len(members()), device=self.model.device).repeat(len(rows))
        repeated = [n for n in rows for _ in members()]
        views = self.through(self.model.select(inputs, repeated), each)
        losses = tuner.losses(views, base.select(repeated)).view(len(rows), -1)
        return losses - losses[:, :1]

    def choose(self, inputs: Inputs) -> Tensor:
        """Return the number of the member that a batch's samples are seen through, (N,), learning nothing."""
        return self.predictor.choose(self.describe(inputs))

    def describe(self, inputs: Inputs) -> Tensor:
        """Return the mean description of each sample's images, (N, FEATURES)."""
        return self.model.pixels(inputs).averaged(features, inputs.count, FEATURES)

    def through(self, inputs: Inputs, choice: Tensor) -> Inputs:
        """Return a batch as seen through a member of the bank for each sample."""
        images = self.model.pixels(inputs)
        chosen = choice[images.owner]
        return _seen(self.model, inputs, images, lambda content, which: corrected(content, chosen[which]))


@torch.no_grad()
def views(model: Model, inputs: Inputs) -> Iterator[Inputs]:
    """Yield a batch as seen through each member of the bank, the identity first."""
    images = model.pixels(inputs)
    for name in members():
        yield _seen(model, inputs, images, lambda content, which, name=name: BANK[name](content))


def _seen(model: Model, inputs: Inputs, images: ImageContent, change: Callable[..., Tensor]) -> Inputs:
    if not len(images.pixels):
        return inputs
    return model.with_pixels(inputs, images.changed(lambda content, which: change(content, which).to(content.dtype)))
