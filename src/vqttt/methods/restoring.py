"""The blind restorer's picture as one more way to see an uncertain one; the more certain answer is taken.

Unlike a member of the bank it decides for itself what happened to the picture, so nothing has to be learned about
when to use it: one more forward pass tells.
"""

import torch
from torch import Tensor

from vqttt.degradations import CLEAN
from vqttt.methods.base import Outcome
from vqttt.models.base import Inputs, Model
from vqttt.restorers import restore


@torch.no_grad()
def restored(model: Model, inputs: Inputs) -> Inputs:
    """Return a batch with every picture restored; padding stays as it is."""
    pictures = model.pixels(inputs)
    if not len(pictures.pixels):
        return inputs
    mended = pictures.changed(lambda content, which: torch.stack([_restored(model, picture) for picture in content]))
    return model.with_pixels(inputs, mended)


@torch.no_grad()
def answers_when_restored(model: Model, inputs: Inputs, max_new_tokens: int) -> Outcome:
    """Answer a batch on restored pictures, untuned."""
    return Outcome.of(model.generate(restored(model, inputs), max_new_tokens))


def _restored(model: Model, picture: Tensor) -> Tensor:
    return model.to_pixels(restore(model.to_image(picture), "auto", CLEAN)).to(picture)
