"""Quality views: one image, a little sharper, softer, stronger or weaker, for objectives that compare answers."""

import torch
from torch import Tensor

from vqttt.tuning.filters import blurred, smeared


def quality_views(pixels: Tensor) -> Tensor:
    """Return ten views of pixels (P, 3, H, W) by fixed kernels of unit DC gain, the image first, as (10, P, 3, H, W).

    Gradients pass. Our choice: two Gaussian blurs, two sharpenings by them, three contrasts, two smears.
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
