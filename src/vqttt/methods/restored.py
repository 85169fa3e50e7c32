"""The blind restorer's image as one more way to see an uncertain one; the more certain answer is taken.

Unlike a member of the bank it decides for itself what happened to the image, so nothing has to be learned about
when to use it: one more forward pass tells.
"""

import torch
from torch import Tensor

from vqttt.images.restorers import restore
from vqttt.methods.base import Outcome
from vqttt.models.base import Inputs, Model
from vqttt.runs.records import CLEAN


@torch.no_grad()
def restored(model: Model, inputs: Inputs) -> Inputs:
    """Return a batch with every image restored; padding stays as it is."""
    images = model.pixels(inputs)
    if not len(images.pixels):
        return inputs
    mended = images.changed(lambda content, which: torch.stack([_restored(model, image) for image in content]))
    return model.with_pixels(inputs, mended)


@torch.no_grad()
def answers_when_restored(model: Model, inputs: Inputs, max_new_tokens: int) -> Outcome:
    """Answer a batch on restored images, untuned."""
    return Outcome.of(model.generate(restored(model, inputs), max_new_tokens))


def _restored(model: Model, image: Tensor) -> Tensor:
    return model.to_pixels(restore(model.to_image(image), "auto", CLEAN)).to(image)
