"""A batch as it goes into a model, and the answers as they come out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vqttt.types import Image

Shown = Image | Sequence[Image]
"""What a sample shows: an image, several of them, or none (an empty list)."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """An encoded batch, ready for the model.

    Attributes:
        tensors: the keyword arguments of the model's forward; token tensors are left-padded, (N, L).
        count: number of samples, N.
        groups: each sample's type of question, where it is known; no model sees it.
        shown: how many images each sample shows; empty where each shows one.
        options: each sample's options, empty for an open question; the question has them as well, if a model is to see
            them.
    """

    tensors: dict[str, Tensor]
    count: int
    groups: tuple[str, ...] = ()
    shown: tuple[int, ...] = ()
    options: tuple[tuple[str, ...], ...] = ()

    def with_tensors(self, **changed: Tensor) -> "Inputs":
        """Return the same batch with some tensors replaced."""
        return replace(self, tensors={**self.tensors, **changed})

    @property
    def owner(self) -> Tensor:
        """Which sample each image that was shown belongs to, on the tensors' device."""
        device = next(iter(self.tensors.values())).device
        samples = torch.arange(self.count, device=device)
        return samples.repeat_interleave(torch.tensor(self.shown, device=device)) if self.shown else samples
