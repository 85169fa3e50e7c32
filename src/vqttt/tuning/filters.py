"""Filters on pixels that kernels, corrections and quality views share."""

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

BANDS = 7
"""Bands of a Laplacian pyramid."""


@torch.no_grad()
def laplacian(pixels: Tensor, bands: int = BANDS) -> Tensor:
    """Take images (P, 3, H, W) apart into bands; returns the finest `bands` of seven, (bands, P, 3, H, W).

    All of them add up to the image without its mean.
    """
    finest, widest = 0.6, min(pixels.shape[2:]) / 5.6
    sigmas = [finest * (widest / finest) ** (step / (BANDS - 2)) for step in range(min(bands, BANDS - 1))]
    levels = [pixels, *(blurred(pixels, sigma) for sigma in sigmas)]
    if bands == BANDS:
        levels.append(pixels.mean((2, 3), keepdim=True).expand_as(pixels))
    return torch.stack([fine - coarse for fine, coarse in pairwise(levels)])


def smeared(pixels: Tensor, *, down: bool, length: int = 3) -> Tensor:
    """Blur pixels (P, 3, H, W) along columns or rows by a box of odd `length`."""
    shape = (length, 1) if down else (1, length)
    pads = (0, 0, length // 2, length // 2) if down else (length // 2, length // 2, 0, 0)
    return F.avg_pool2d(F.pad(pixels, pads, mode="replicate"), shape, stride=1)


def blurred(pixels: Tensor, sigma: float) -> Tensor:
    """Blur pixels (P, 3, H, W) by a Gaussian; a wide one works on a smaller image, where nobody sees a difference."""
    shrink = max(1, int(sigma / 2))
    small = F.avg_pool2d(pixels, shrink, ceil_mode=True, count_include_pad=False) if shrink > 1 else pixels
    reach = min(round(3 * sigma / shrink), min(small.shape[2:]) - 1)
    bell = torch.exp(-(torch.arange(-reach, reach + 1) ** 2) / (2 * (sigma / shrink) ** 2))
    row = (bell / bell.sum()).to(pixels).expand(pixels.shape[1], 1, 1, -1)
    blurred = F.conv2d(F.conv2d(padded(small, reach), row, groups=len(row)), row.mT, groups=len(row))
    return F.interpolate(blurred, pixels.shape[2:], mode="bilinear", align_corners=False) if shrink > 1 else blurred


def padded(pixels: Tensor, reach: int) -> Tensor:
    """Repeat the edge pixels `reach` further out."""
    return F.pad(pixels, (reach, reach, reach, reach), mode="replicate")
