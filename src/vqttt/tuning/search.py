"""Search: learn along the stream, from the objective alone, which correction suits which image.

For some samples, the loss under every correction is measured by forward passes without gradients. The predictor
generalises from these samples' spectra to all others. Gradients cannot replace this: for an image that has lost its
contrast, the gradient at the identity does not point to a good correction.
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
    """A predictor and the choice of samples that it learns from: all at first, later a share of each batch."""

    def __init__(self, model: TunableModel, *, first: int, share: float, caution: float) -> None:
        """Start without evidence.

        Args:
            model: the model whose loss is measured.
            first: number of samples at the beginning of the stream to learn from.
            share: share of each later batch to learn from, 0 to 1.
            caution: see `Predictor`.
        """
        self.model, self.first, self.share = model, first, share
        self.predictor = Predictor(caution=caution)

    @property
    def exploring(self) -> bool:
        """Whether fewer than `first` samples have been learned from."""
        return self.predictor.observed < self.first

    def corrected(self, inputs: Inputs, base: LogitGeneration, tuner: Tuner | None) -> tuple[Inputs, Tensor]:
        """Choose a correction for each sample; return the corrected batch and the corrections' numbers, (N,).

        Args:
            inputs: the batch.
            base: its untuned answers.
            tuner: measures the loss under each correction, so that the predictor first learns from the batch. None to
                learn nothing.
        """
        described = self.describe(inputs)
        if tuner is not None:
            self._observe(inputs, base, tuner, described)
        choice = self.predictor.choose(described)
        return self.apply(inputs, choice), choice

    def describe(self, inputs: Inputs) -> Tensor:
        """Return the mean description of each sample's images, (N, DESCRIPTORS)."""
        return self.model.pixels(inputs).averaged(describe, inputs.count, DESCRIPTORS)

    def apply(self, inputs: Inputs, choice: Tensor) -> Inputs:
        """Return a batch with each sample's images changed by the correction whose number `choice` (N,) gives."""
        images = self.model.pixels(inputs)
        chosen = choice[images.owner]
        return _changed(self.model, inputs, images, lambda content, which: correct(content, chosen[which]))

    def _observe(self, inputs: Inputs, base: LogitGeneration, tuner: Tuner, described: Tensor) -> None:
        """Let the predictor learn from the first samples of a batch."""
        count = min(inputs.count, max(self.first - self.predictor.observed, ceil(self.share * inputs.count)))
        at_once = max(1, inputs.count // len(names()))  # no pass has more rows than the batch, if possible
        for start in range(0, count, at_once):
            rows = list(range(start, min(start + at_once, count)))
            self.predictor.observe(described[rows], self._changes(inputs, base, tuner, rows))

    def _changes(self, inputs: Inputs, base: LogitGeneration, tuner: Tuner, rows: list[int]) -> Tensor:
        """Return how each correction changes the loss of the samples `rows`, (rows, corrections); one forward pass."""
        each = torch.arange(len(names()), device=self.model.device).repeat(len(rows))
        repeated = [n for n in rows for _ in names()]
        corrected = self.apply(self.model.select(inputs, repeated), each)
        losses = tuner.losses(corrected, base.select(repeated)).view(len(rows), -1)
        return losses - losses[:, :1]


@torch.no_grad()
def views(model: TunableModel, inputs: Inputs) -> Iterator[Inputs]:
    """Yield a batch under each correction in turn, the identity first."""
    images = model.pixels(inputs)
    for name in names():
        yield _changed(model, inputs, images, lambda content, which, name=name: CORRECTIONS[name](content))


def _changed(model: TunableModel, inputs: Inputs, images: ImageContent, change: Callable[..., Tensor]) -> Inputs:
    """Return a batch with `change` applied to the content of its images."""
    if not len(images.pixels):
        return inputs
    return model.with_pixels(inputs, images.changed(lambda content, which: change(content, which).to(content.dtype)))
