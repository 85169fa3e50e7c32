"""Describe an image's quality by its power spectrum: noise raises the high bands, blur lowers them, haze lowers all.

The power of natural images falls as 1/f^2 (Field 1987), so each band is measured relative to that. Frequencies are in
cycles per pixel of the model's input.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from math import log10, pi

import cv2
import numpy as np
import torch
from torch import Tensor

from vqttt.models.batch import Shown, listed
from vqttt.tuning.filters import blurred

SPECTRUM_BANDS = 9
"""Number of bands, equally wide in log frequency."""

DIRECTIONS = 4
"""Number of directions in which the power of the middle frequencies is measured."""

DESCRIPTORS = SPECTRUM_BANDS + DIRECTIONS + 13
"""Number of values that describe an image."""

_LOWEST, _HIGHEST = 1.5 / 112, 0.5
_SMALL = 112  # pixels; the side of the copy that `describe_images` describes
_MEAN, _DEVIATION = 0.455, 0.27  # by which a usual processor normalises
_FLOOR = 1e-6  # power far below the quantisation noise of 8-bit images; avoids log 0


def describe(pixels: Tensor) -> Tensor:
    """Describe normalised images (P, 3, H, W) by 26 values of about unit size each, (P, DESCRIPTORS).

    In order: the log power of 9 bands relative to 1/f^2 and to their mean; that of 4 directions relative to their mean;
    3 channel means; their 3 deviations from gray; the mean log power of the bands; the standard deviation of the
    pixels; their skewness; the kurtosis of the finest detail; the shares of very bright and of very dark pixels; the
    log of the standard deviation. The selection is our choice.
    """
    wide = pixels.float()
    shape, level, directions = _log_power(wide)
    means, spread = wide.mean((2, 3)), wide.std((1, 2, 3))
    fine = wide - blurred(wide, 0.6)
    kurtosis = fine.pow(4).mean((1, 2, 3)) / fine.square().mean((1, 2, 3)).clamp_min(1e-8).square()
    standard = (wide - means.mean(1)[:, None, None, None]) / spread.clamp_min(0.02)[:, None, None, None]
    scalars = (
        (level + 2) / 3,
        spread - 0.8,
        standard.pow(3).mean((1, 2, 3)) / 2,
        kurtosis.clamp(1, 50).log() - 1.5,
        (wide > 1.9).float().mean((1, 2, 3)) * 2,
        (wide < -1.9).float().mean((1, 2, 3)) * 2,
        spread.clamp_min(0.02).log(),
    )
    cast = 2 * (means - means.mean(1, keepdim=True))
    return torch.cat([shape / 2, directions, means / 1.5, cast, torch.stack(scalars, 1)], 1)


def describe_images(images: Sequence[Shown]) -> Tensor:
    """Return the mean description of each sample's images, (N, DESCRIPTORS); zeros for a sample without one.

    A small copy of each image is described, whatever its size and proportions: of what a model sees, not of the file.
    """
    own = [listed(shown) for shown in images]
    small = [cv2.resize(image, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA) for of in own for image in of]
    if not small:
        return torch.zeros(len(images), DESCRIPTORS)
    pixels = (torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float() / 255 - _MEAN) / _DEVIATION
    each = torch.split(describe(pixels), [len(of) for of in own])
    return torch.stack([one.mean(0) if len(one) else torch.zeros(DESCRIPTORS) for one in each])


def unnaturalness(pixels: Tensor) -> Tensor:
    """Return how far the spectrum of images (P, 3, H, W) is from 1/f^2: the mean squared log ratio / 4, (P,)."""
    return _log_power(pixels.float())[0].square().mean(1) / 4


def _log_power(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the log power of images (P, 3, H, W).

    Returns:
        by band relative to 1/f^2 and to the mean over bands, (P, 9); that mean, (P,); and by direction relative to the
        mean over directions, (P, 4).
    """
    height, width = pixels.shape[2:]
    pools, decline = _pools(height, width)
    window = torch.hann_window(height)[:, None] * torch.hann_window(width)
    window = window.to(pixels.device)
    gray = pixels.mean(1)
    gray = (gray - gray.mean((1, 2), keepdim=True)) * window
    power = torch.fft.rfft2(gray).abs().square() / window.square().sum()
    pooled = (power.flatten(1) @ pools.to(pixels.device).mT + _FLOOR).log()
    bands, directions = pooled[:, :SPECTRUM_BANDS] + decline.to(pixels.device), pooled[:, SPECTRUM_BANDS:]
    level = bands.mean(1)
    return bands - level[:, None], level, directions - directions.mean(1, keepdim=True)


_CACHE_BYTES = 32 * 2**20
"""Memory that kept weights may take: 100 shapes of 112 x 112 pixels fit, one of 1000 x 1000."""

_kept: OrderedDict[tuple[int, int], tuple[Tensor, Tensor]] = OrderedDict()


def _pools(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return weights that average the power within each band and direction, (13, frequencies), and 2 log f by band.

    Those last used are kept, within `_CACHE_BYTES`: families that keep each image's own shape ask for many.
    """
    shape = (height, width)
    made = _kept.pop(shape) if shape in _kept else _measured_pools(height, width)
    _kept[shape] = made
    while sum(pools.nbytes for pools, _ in _kept.values()) > _CACHE_BYTES:
        _kept.popitem(last=False)
    return made


def _measured_pools(height: int, width: int) -> tuple[Tensor, Tensor]:
    down, across = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
    radius, angle = (down**2 + across**2).sqrt(), torch.atan2(down, across)
    edges = torch.logspace(log10(_LOWEST), log10(_HIGHEST), SPECTRUM_BANDS + 1)
    rings = [(radius >= low) & (radius < high) for low, high in pairwise(edges)]
    middle = (radius > 0.08) & (radius < 0.4)
    turns = [turn * pi / DIRECTIONS for turn in range(DIRECTIONS)]
    wedges = [middle & (((angle - turn + pi / 2) % pi - pi / 2).abs() < pi / 8) for turn in turns]
    masks = torch.stack([*rings, *wedges]).float().flatten(1)
    return masks / masks.sum(1, keepdim=True).clamp_min(1), (edges[:-1] * edges[1:]).sqrt().log() * 2
