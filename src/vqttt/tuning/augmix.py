"""AugMix: a random view of an image, mixed from chains of simple operations; as MEMO uses it.

Hendrycks et al., "AugMix: A Simple Data Processing Method to Improve Robustness and Uncertainty", ICLR 2020. A view is
a random crop of the image, resized to the whole, mirrored half of the time; mixed with three chains of one to three
operations on it. The weights of the chains are from Dirichlet(1, 1, 1), that of the mixture from Beta(1, 1). All
operations are at their mildest strength, as MEMO's published code has it.
"""

from collections.abc import Callable
from math import log, sqrt

import numpy as np
from PIL import Image as PILImage
from PIL import ImageOps

from vqttt.types import Image

_GRAY = (128, 128, 128)
_CHAINS, _LONGEST = 3, 3

Operation = Callable[[PILImage.Image, np.random.Generator], PILImage.Image]


def augmix(image: Image, rng: np.random.Generator) -> Image:
    """Return a random view of an image, of the same size; the mixture is rounded to whole levels."""
    start = _cropped(PILImage.fromarray(image), rng)
    weights, share = rng.dirichlet([1.0] * _CHAINS), rng.beta(1.0, 1.0)
    mixed = np.zeros(image.shape)
    for weight in weights:
        made = start
        for _ in range(rng.integers(1, _LONGEST + 1)):
            made = OPERATIONS[rng.integers(len(OPERATIONS))](made, rng)
        mixed += weight * np.asarray(made, dtype=np.float64)
    view: Image = (share * np.asarray(start) + (1 - share) * mixed).round().clip(0, 255).astype(np.uint8)
    return view


def _cropped(image: PILImage.Image, rng: np.random.Generator) -> PILImage.Image:
    """Return a rectangle of 8 to 100% of the image's area, at aspect ratios 3:4 to 4:3, in the size of the whole.

    Where none of ten draws fits, the whole image is taken. It is mirrored half of the time.
    """
    width, height = image.size
    box = (0.0, 0.0, float(width), float(height))
    for _ in range(10):
        area, ratio = rng.uniform(0.08, 1.0) * width * height, np.exp(rng.uniform(log(3 / 4), log(4 / 3)))
        across, down = max(1, round(sqrt(area * ratio))), max(1, round(sqrt(area / ratio)))
        if across <= width and down <= height:
            left, top = rng.integers(width - across + 1), rng.integers(height - down + 1)
            box = (float(left), float(top), float(left + across), float(top + down))
            break
    made = image.resize(image.size, PILImage.Resampling.BILINEAR, box=box)
    return ImageOps.mirror(made) if rng.random() < 0.5 else made


def _strength(rng: np.random.Generator) -> float:
    """Return a share of an operation's range, 0.01 to 0.1."""
    return float(rng.uniform(0.01, 0.1))


def _signed(rng: np.random.Generator, value: float) -> float:
    return value if rng.random() < 0.5 else -value


def _moved(image: PILImage.Image, matrix: tuple[float, ...]) -> PILImage.Image:
    """Return the image under an affine map of its coordinates, gray where there was none."""
    return image.transform(
        image.size, PILImage.Transform.AFFINE, matrix, resample=PILImage.Resampling.BILINEAR, fillcolor=_GRAY
    )


def _rotated(image: PILImage.Image, rng: np.random.Generator) -> PILImage.Image:
    degrees = _signed(rng, int(_strength(rng) * 30))
    return image.rotate(degrees, resample=PILImage.Resampling.BILINEAR, fillcolor=_GRAY)


def _sheared_across(image: PILImage.Image, rng: np.random.Generator) -> PILImage.Image:
    return _moved(image, (1, _signed(rng, _strength(rng) * 0.3), 0, 0, 1, 0))


def _sheared_down(image: PILImage.Image, rng: np.random.Generator) -> PILImage.Image:
    return _moved(image, (1, 0, 0, _signed(rng, _strength(rng) * 0.3), 1, 0))


def _shifted_across(image: PILImage.Image, rng: np.random.Generator) -> PILImage.Image:
    return _moved(image, (1, 0, _signed(rng, int(_strength(rng) * image.width / 3)), 0, 1, 0))


def _shifted_down(image: PILImage.Image, rng: np.random.Generator) -> PILImage.Image:
    return _moved(image, (1, 0, 0, 0, 1, _signed(rng, int(_strength(rng) * image.height / 3))))


def _solarized(image: PILImage.Image, rng: np.random.Generator) -> PILImage.Image:
    return ImageOps.solarize(image, 256 - int(_strength(rng) * 256))


OPERATIONS: tuple[Operation, ...] = (
    lambda image, rng: ImageOps.autocontrast(image),
    lambda image, rng: ImageOps.equalize(image),
    _rotated,
    _solarized,
    _sheared_across,
    _sheared_down,
    _shifted_across,
    _shifted_down,
    lambda image, rng: ImageOps.posterize(image, 4),  # at the mildest strength the number of bits does not vary
)
"""What a chain is made of."""
