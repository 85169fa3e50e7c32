"""The blind restorer's image as one more attempt.

Unlike a correction it decides for itself what happened to the image, so nothing has to be learned about when to use it:
one more forward pass tells whether the answer grows surer.
"""

import torch
from torch import Tensor

from vqttt.images.restorers import restore
from vqttt.methods.attempts import Attempt, Outcome
from vqttt.models.base import Inputs, TunableModel


@torch.no_grad()
def restored(model: TunableModel, inputs: Inputs) -> Inputs:
    """Return a batch with every image restored; padding stays as it is."""
    images = model.pixels(inputs)
    if not len(images.pixels):
        return inputs
    mended = images.changed(lambda content, which: torch.stack([_restored(model, image) for image in content]))
    return model.with_pixels(inputs, mended)


@torch.no_grad()
def answered_when_restored(model: TunableModel, inputs: Inputs, max_new_tokens: int) -> Attempt:
    """Answer a batch on restored images, untuned."""
    mended = restored(model, inputs)
    outcome = Outcome.of(model.generate(mended, max_new_tokens))
    return Attempt(how=["restored blindly"] * inputs.count, inputs=mended, outcome=outcome)


def _restored(model: TunableModel, image: Tensor) -> Tensor:
    return model.to_pixels(restore(model.to_image(image), "auto")).to(image)
