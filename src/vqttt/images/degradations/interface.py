"""What every degradation and style is: a function of an image, a severity, a random generator and a unit of length."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from vqttt.types import Image

Degradation: TypeAlias = Callable[[Image, int, np.random.Generator, float], Image]
"""`(image, severity, rng, unit) -> image`, of the same shape.

`image` is uint8 RGB with sides of at least `MIN_SIDE` pixels and is read-only; `severity` is 1 to 5; all randomness
comes from `rng`; a published length of n pixels is n * `unit` pixels in this image.
"""

MIN_SIDE = 16
"""Shorter sides, in pixels, are padded to this before an image is degraded: some degradations need that much room."""

REFERENCE_SIDE = 224
"""The short side, in pixels, of the images for which the published lengths were chosen."""
