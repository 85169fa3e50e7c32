"""Lay out values of image tokens over the image."""

from collections.abc import Sequence
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Map = NDArray[np.float64]
"""One value for each part of an image, (rows, columns); NaN where no token covers the part."""


def on_grid(values: Tensor, grid: Tensor) -> Map:
    """Lay out the values (T,) of a sample's image tokens on an image's grid (see `ImageTokens.grids`)."""
    laid_out: Map = values.double().cpu().numpy()[grid.clamp_min(0).cpu().numpy()]
    return np.where(grid.cpu().numpy() < 0, np.nan, laid_out)


def mosaic(parts: Sequence[NDArray[Any]], fill: float = 0) -> NDArray[Any]:
    """Arrange images or maps of one size, (h, w, ...), in about as many rows as columns; gaps get the value `fill`."""
    columns = ceil(sqrt(len(parts)))
    padded = [*parts, *[np.full_like(parts[0], fill)] * (-len(parts) % columns)]
    rows = [np.concatenate(padded[start : start + columns], axis=1) for start in range(0, len(padded), columns)]
    return np.concatenate(rows)
