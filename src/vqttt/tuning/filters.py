"""Filters on pixels (P, C, H, W) that kernels, descriptions and quality views share; edges are repeated outwards."""

import torch
from torch import Tensor
from torch.nn import functional as F


def padded(pixels: Tensor, reach: int) -> Tensor:
    """Repeat the edge pixels outwards, `reach` pixels on each side."""
    return F.pad(pixels, (reach, reach, reach, reach), mode="replicate")


def blurred(pixels: Tensor, sigma: float) -> Tensor:
    """Blur by a Gaussian with standard deviation `sigma` in pixels.

    For a sigma of 4 or more, a smaller copy of the image is blurred and enlarged: faster, with no visible difference.
    """
    shrink = max(1, int(sigma / 2))
    small = F.avg_pool2d(pixels, shrink, ceil_mode=True, count_include_pad=False) if shrink > 1 else pixels
    reach = min(round(3 * sigma / shrink), min(small.shape[2:]) - 1)
    bell = torch.exp(-(torch.arange(-reach, reach + 1) ** 2) / (2 * (sigma / shrink) ** 2))
    row = (bell / bell.sum()).to(pixels).expand(pixels.shape[1], 1, 1, -1)
    soft = F.conv2d(F.conv2d(padded(small, reach), row, groups=len(row)), row.mT, groups=len(row))
    return F.interpolate(soft, pixels.shape[2:], mode="bilinear", align_corners=False) if shrink > 1 else soft


def smeared(pixels: Tensor, *, down: bool, length: int = 3) -> Tensor:
    """Blur by a box of odd `length`, down the columns or along the rows."""
    shape = (length, 1) if down else (1, length)
    pads = (0, 0, length // 2, length // 2) if down else (length // 2, length // 2, 0, 0)
    return F.avg_pool2d(F.pad(pixels, pads, mode="replicate"), shape, stride=1)
