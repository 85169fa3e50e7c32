"""Corrections: fixed functions of an image, of which VQ-Select chooses one for each image.

Blurring and sharpening alone cannot undo most degradations, so there are also noise reduction by coring, medians,
openings, and changes of contrast and exposure. All take normalised pixels (P, 3, H, W), about -2 to 2. They are our
choice, made on development scenes (`LOG.md`).
"""

from collections.abc import Callable
from functools import lru_cache, partial

import torch
from torch import Tensor
from torch.nn import functional as F

from vqttt.registry import Registry
from vqttt.tuning.filters import blurred, laplacian

Correction = Callable[[Tensor], Tensor]

CORRECTIONS: Registry[Correction] = Registry("correction")
"""The first is the identity. A saved predictor refers to the corrections by their order, so it must not change."""


def sharpened(pixels: Tensor, amount: float, sigma: float) -> Tensor:
    """Sharpen by an unsharp mask: add `amount` times what a Gaussian blur removes."""
    return pixels + amount * (pixels - blurred(pixels, sigma))


def cored(pixels: Tensor, strength: float) -> Tensor:
    """Reduce noise by coring: shrink small values in the three finest bands (Simoncelli and Adelson 1996).

    A value c of the Laplacian pyramid becomes c^3 / (c^2 + t^2), where t is `strength` times the standard deviation of
    the band's noise, estimated from the median of |c|.
    """
    fine = laplacian(pixels, bands=3)
    noise = fine.abs().flatten(2)[..., ::7].median(2).values / 0.6745  # a seventh of the pixels suffices
    threshold = (strength * noise + 1e-3)[:, :, None, None, None].square()
    return pixels - (fine * threshold / (fine.square() + threshold)).sum(0)


def median(pixels: Tensor, passes: int) -> Tensor:
    """Take the median of 3 x 3 pixels, `passes` times, by sorting columns first (Smith 1996)."""
    for _ in range(passes):
        low, middle, high = _sorted(*_neighbours(pixels, down=True))
        left, here, right = _neighbours(low, down=False)
        highest_low = torch.maximum(torch.maximum(left, here), right)
        left, here, right = _neighbours(high, down=False)
        lowest_high = torch.minimum(torch.minimum(left, here), right)
        pixels = _sorted(highest_low, _sorted(*_neighbours(middle, down=False))[1], lowest_high)[1]
    return pixels


def _neighbours(pixels: Tensor, *, down: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return each pixel's predecessor, the pixel itself and its successor, down the columns or along the rows."""
    if down:
        padded = F.pad(pixels, (0, 0, 1, 1), mode="replicate")
        return padded[:, :, :-2], pixels, padded[:, :, 2:]
    padded = F.pad(pixels, (1, 1, 0, 0), mode="replicate")
    return padded[..., :-2], pixels, padded[..., 2:]


def _sorted(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the smallest, the middle and the largest of three tensors, elementwise."""
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    return torch.minimum(low, c), torch.maximum(low, torch.minimum(high, c)), torch.maximum(high, c)


def opened(pixels: Tensor, side: int) -> Tensor:
    """Remove details that are brighter than their surroundings and narrower than `side` pixels: flakes, streaks."""
    return _highest(-_highest(-pixels, side), side)


def closed(pixels: Tensor, side: int) -> Tensor:
    """Remove details that are darker than their surroundings and narrower than `side` pixels: dirt, drops."""
    return -opened(-pixels, side)


def contrasted(pixels: Tensor, gain: float) -> Tensor:
    """Multiply the difference from each channel's mean by `gain`."""
    mean = pixels.mean((2, 3), keepdim=True)
    return mean + gain * (pixels - mean)


def standardised(pixels: Tensor, share: float) -> Tensor:
    """Move an image toward zero mean and unit standard deviation; `share` is 0 for no change, 1 for all the way."""
    mean = pixels.mean((1, 2, 3), keepdim=True)
    spread = pixels.std((1, 2, 3), keepdim=True).clamp_min(0.03)
    return mean * (1 - share) + (pixels - mean) * spread**-share


def stretched(pixels: Tensor) -> Tensor:
    """Stretch the range between the 2nd and 98th percentile to -2..2."""
    ordered = pixels.flatten(1)[:, ::7].sort(1).values
    low, high = (ordered[:, int(at * ordered.shape[1])][:, None, None, None] for at in (0.02, 0.98))
    return (pixels - low) / (high - low).clamp_min(0.1) * 4 - 2


def locally_normalised(pixels: Tensor, share: float) -> Tensor:
    """Move every neighbourhood toward zero mean and unit standard deviation, against haze, vignettes and shadows.

    `share` is 0 for no change, 1 for all the way.
    """
    sigma = min(pixels.shape[2:]) / 9.3
    mean = blurred(pixels, sigma)
    spread = blurred((pixels - mean).square(), sigma).clamp_min(0.003).sqrt()
    return pixels + share * ((pixels - mean) / spread - pixels)


def shifted(pixels: Tensor, by: float) -> Tensor:
    """Add `by` to all pixels: brighter, or darker if negative."""
    return pixels + by


def chained(*corrections: Correction) -> Correction:
    """Apply one correction after another."""

    def apply(pixels: Tensor) -> Tensor:
        for correction in corrections:
            pixels = correction(pixels)
        return pixels

    return apply


def _highest(pixels: Tensor, side: int) -> Tensor:
    """Return the maximum of side x side pixels around each pixel."""
    reach = side // 2
    return F.max_pool2d(F.pad(pixels, (reach, reach, reach, reach), mode="replicate"), side, 1)


_CORE = partial(cored, strength=2)
for _name, _correction, _summary in (
    ("identity", lambda pixels: pixels, "the image as it is"),
    ("soft", partial(blurred, sigma=0.8), "a Gaussian blur"),
    ("sharp", partial(sharpened, amount=3, sigma=0.8), "fine detail sharpened"),
    ("sharp-wide", partial(sharpened, amount=2, sigma=1.7), "coarser detail sharpened"),
    ("cored", _CORE, "noise reduced in the fine bands"),
    ("cored-strong", partial(cored, strength=4), "noise reduced more strongly"),
    ("median", partial(median, passes=2), "two medians of 3 x 3 pixels"),
    ("opened", partial(opened, side=3), "bright specks of up to 2 pixels removed"),
    ("opened-wide", partial(opened, side=5), "bright specks of up to 4 pixels removed"),
    ("closed", partial(closed, side=3), "dark specks of up to 2 pixels removed"),
    ("weaker", partial(contrasted, gain=0.7), "contrast lowered"),
    ("cored-standardised", chained(_CORE, partial(standardised, share=0.5)), "noise reduced, half standardised"),
    ("stretched", stretched, "contrast stretched to the whole range"),
    ("local", partial(locally_normalised, share=0.25), "a quarter normalised by neighbourhood"),
    ("cored-local", chained(_CORE, partial(locally_normalised, share=0.5)), "noise reduced, half normalised locally"),
    ("darker", partial(shifted, by=-0.5), "darker by half a unit"),
    ("much-darker", partial(shifted, by=-1.0), "darker by one unit"),
    ("brighter", partial(shifted, by=1.0), "brighter by one unit"),
):
    CORRECTIONS.add(_name, _correction, _summary)


@lru_cache
def names() -> tuple[str, ...]:
    """Return the names of all corrections, in order."""
    return tuple(CORRECTIONS)


@torch.no_grad()
def correct(pixels: Tensor, choice: Tensor) -> Tensor:
    """Return images (P, 3, H, W), each changed by the correction whose number `choice` (P,) gives."""
    out = pixels.clone()
    for number in sorted(set(choice.tolist())):
        rows = (choice == number).nonzero()[:, 0]
        out[rows] = CORRECTIONS[names()[number]](pixels[rows])
    return out
