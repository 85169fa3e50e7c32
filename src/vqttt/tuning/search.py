"""Search: which correction suits an image, learned along the stream from the objective alone.

For some samples the loss under every correction is measured, by forward passes without gradients. The predictor
generalises from their spectra to all others. Gradients cannot do this: at the identity they point nowhere for an image
that has lost its contrast.
"""

from collections.abc import Callable, Iterator
from math import ceil

import torch
from torch import Tensor

from vqttt.models.base import ImageContent, Inputs, LogitGeneration, TunableModel
from vqttt.tuning.corrections import CORRECTIONS, correct, names
from vqttt.tuning.predictor import Predictor
from vqttt.tuning.spectrum import DESCRIPTORS, describe
from vqttt.tuning.tuner import Tuner


class Search:
    """A predictor, and the samples it learns from: the first ones all, later a share of each batch."""

    def __init__(self, model: TunableModel, *, first: int, share: float, caution: float) -> None:
        """Start without any evidence."""
        self.model, self.first, self.share = model, first, share
        self.predictor = Predictor(caution=caution)

    @property
    def exploring(self) -> bool:
        """Whether the first samples are still being explored, all of them."""
        return self.predictor.observed < self.first

    def corrected(self, inputs: Inputs, base: LogitGeneration, tuner: Tuner | None) -> tuple[Inputs, Tensor]:
        """Return a batch through the corrections chosen for it, and their numbers, (N,).

        With a `tuner`, whose objective tells how good a correction is, the predictor first learns from the batch.
        """
        described = self.describe(inputs)
        if tuner is not None:
            self._observe(inputs, base, tuner, described)
        choice = self.predictor.choose(described)
        return self.through(inputs, choice), choice

    def describe(self, inputs: Inputs) -> Tensor:
        """Return the mean description of each sample's images, (N, DESCRIPTORS)."""
        return self.model.pixels(inputs).averaged(describe, inputs.count, DESCRIPTORS)

    def through(self, inputs: Inputs, choice: Tensor) -> Inputs:
        """Return a batch with each sample's images through the correction that `choice` (N,) says."""
        images = self.model.pixels(inputs)
        chosen = choice[images.owner]
        return _changed(self.model, inputs, images, lambda content, which: correct(content, chosen[which]))

    def _observe(self, inputs: Inputs, base: LogitGeneration, tuner: Tuner, described: Tensor) -> None:
        count = min(inputs.count, max(self.first - self.predictor.observed, ceil(self.share * inputs.count)))
        at_once = max(1, inputs.count // len(names()))  # no more rows in one pass than the batch has samples
        for start in range(0, count, at_once):
            rows = list(range(start, min(start + at_once, count)))
            self.predictor.observe(described[rows], self._changes(inputs, base, tuner, rows))

    def _changes(self, inputs: Inputs, base: LogitGeneration, tuner: Tuner, rows: list[int]) -> Tensor:
        """Return what every correction does to the loss of some samples, (rows, corrections), by one forward pass."""
        each = torch.arange(len(names()), device=self.model.device).repeat(len(rows))
        repeated = [n for n in rows for _ in names()]
        corrected = self.through(self.model.select(inputs, repeated), each)
        losses = tuner.losses(corrected, base.select(repeated)).view(len(rows), -1)
        return losses - losses[:, :1]


@torch.no_grad()
def views(model: TunableModel, inputs: Inputs) -> Iterator[Inputs]:
    """Yield a batch through each correction, the identity first."""
    images = model.pixels(inputs)
    for name in names():
        yield _changed(model, inputs, images, lambda content, which, name=name: CORRECTIONS[name](content))


def _changed(model: TunableModel, inputs: Inputs, images: ImageContent, change: Callable[..., Tensor]) -> Inputs:
    if not len(images.pixels):
        return inputs
    return model.with_pixels(inputs, images.changed(lambda content, which: change(content, which).to(content.dtype)))
