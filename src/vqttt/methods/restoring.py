"""The blind restorer as one more view of an uncertain picture, kept where it makes the answer more certain.

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
def restored_where_better(
    model: Model, inputs: Inputs, untuned: Outcome, max_new_tokens: int
) -> tuple[Inputs, Outcome]:
    """Return a batch with the pictures of those samples restored whose answer that makes more certain.

    The second is the answers to what is returned; padding stays as it is.
    """
    pictures = model.pixels(inputs)
    if not len(pictures.pixels):
        return inputs, untuned
    mended = pictures.changed(lambda content, which: torch.stack([_restored(model, picture) for picture in content]))
    outcome = Outcome.of(model.generate(model.with_pixels(inputs, mended), max_new_tokens))
    better = [n for n in range(inputs.count) if outcome.entropies[n] < untuned.entropies[n]]
    chosen = torch.isin(pictures.owner, torch.tensor(better, device=pictures.owner.device))[:, None, None, None]
    seen = model.with_pixels(inputs, torch.where(chosen, mended, pictures.pixels))
    return seen, untuned.replaced(outcome, {n: n for n in better})


def _restored(model: Model, picture: Tensor) -> Tensor:
    return model.to_pixels(restore(model.to_image(picture), "auto", CLEAN)).to(picture)
