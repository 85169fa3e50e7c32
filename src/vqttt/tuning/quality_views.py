"""Quality views of an image: slightly sharper, softer, or of other contrast, for objectives that compare answers."""

import torch
from torch import Tensor

from vqttt.tuning.filters import blurred, smeared


def quality_views(pixels: Tensor) -> Tensor:
    """Return ten views of images (P, 3, H, W), as (10, P, 3, H, W); the first is the image itself. Gradients pass.

    Each is a fixed linear filter that keeps the mean: two Gaussian blurs, two unsharp masks with these blurs, three
    contrasts and two box blurs. The selection is our choice.
    """
    soft, softer = blurred(pixels, 0.8), blurred(pixels, 1.5)
    mean = pixels.mean((2, 3), keepdim=True)
    return torch.stack(
        [
            pixels,
            soft,
            softer,
            2 * pixels - soft,
            2 * pixels - softer,
            mean + 0.6 * (pixels - mean),
            mean + 1.6 * (pixels - mean),
            mean + 2.5 * (pixels - mean),
            smeared(pixels, down=False),
            smeared(pixels, down=True),
        ]
    )
