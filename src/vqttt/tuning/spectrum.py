"""What an image's own power spectrum says of its quality: noise lifts the high bands, blur lowers them, haze all.

Natural images have a power that falls as 1/f^2 (Field 1987), so each band is measured relative to that. Frequencies
are in cycles per pixel of the model's input.
"""

from functools import lru_cache
from itertools import pairwise
from math import log10, pi

import torch
from torch import Tensor

from vqttt.tuning.filters import blurred

BANDS = 9
DIRECTIONS = 4
DESCRIPTORS = BANDS + DIRECTIONS + 13
_LOWEST, _HIGHEST = 1.5 / 112, 0.5
_FLOOR = 1e-6  # of power: far below what eight bits can show


def describe(pixels: Tensor) -> Tensor:
    """Describe images (P, 3, H, W), normalised, by 26 numbers of about unit size, (P, DESCRIPTORS).

    The first nine are the shape of the spectrum by band, relative to 1/f^2 and to its own mean; four are the
    directions' excess; six the channel means and their colour cast; then the spectrum's level, the spread of the
    pixels, their skewness, how spiky the finest detail is, the shares at either end, and log spread. Our choice.
    """
    wide = pixels.float()
    shape, level, directions = _log_power(wide)
    means, spread = wide.mean((2, 3)), wide.std((1, 2, 3))
    fine = wide - blurred(wide, 0.6)
    spikes = fine.pow(4).mean((1, 2, 3)) / fine.square().mean((1, 2, 3)).clamp_min(1e-8).square()
    standard = (wide - means.mean(1)[:, None, None, None]) / spread.clamp_min(0.02)[:, None, None, None]
    scalars = (
        (level + 2) / 3,
        spread - 0.8,
        standard.pow(3).mean((1, 2, 3)) / 2,
        spikes.clamp(1, 50).log() - 1.5,
        (wide > 1.9).float().mean((1, 2, 3)) * 2,
        (wide < -1.9).float().mean((1, 2, 3)) * 2,
        spread.clamp_min(0.02).log(),
    )
    cast = 2 * (means - means.mean(1, keepdim=True))
    return torch.cat([shape / 2, directions, means / 1.5, cast, torch.stack(scalars, 1)], 1)


def unnaturalness(pixels: Tensor) -> Tensor:
    """Return how far the spectrum of images (P, 3, H, W) is from 1/f^2: mean square of its log shape, (P,)."""
    return _log_power(pixels.float())[0].square().mean(1) / 4


def _log_power(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return log power by band relative to 1/f^2 and to its mean (P, 9), that mean (P,), and by direction (P, 4)."""
    height, width = pixels.shape[2:]
    pools, decline = _pools(height, width)
    window = torch.hann_window(height)[:, None] * torch.hann_window(width)
    window = window.to(pixels.device)
    gray = pixels.mean(1)
    gray = (gray - gray.mean((1, 2), keepdim=True)) * window
    power = torch.fft.rfft2(gray).abs().square() / window.square().sum()
    pooled = (power.flatten(1) @ pools.to(pixels.device).mT + _FLOOR).log()
    bands, directions = pooled[:, :BANDS] + decline.to(pixels.device), pooled[:, BANDS:]
    level = bands.mean(1)
    return bands - level[:, None], level, directions - directions.mean(1, keepdim=True)


@lru_cache(maxsize=32)
def _pools(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return weights that average power within each band and direction, and 2 log f by band."""
    down, across = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
    radius, angle = (down**2 + across**2).sqrt(), torch.atan2(down, across)
    edges = torch.logspace(log10(_LOWEST), log10(_HIGHEST), BANDS + 1)
    rings = [(radius >= low) & (radius < high) for low, high in pairwise(edges)]
    middle = (radius > 0.08) & (radius < 0.4)
    turns = [turn * pi / DIRECTIONS for turn in range(DIRECTIONS)]
    wedges = [middle & (((angle - turn + pi / 2) % pi - pi / 2).abs() < pi / 8) for turn in turns]
    masks = torch.stack([*rings, *wedges]).float().flatten(1)
    return masks / masks.sum(1, keepdim=True).clamp_min(1), (edges[:-1] * edges[1:]).sqrt().log() * 2
