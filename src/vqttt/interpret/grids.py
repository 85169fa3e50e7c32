"""Numbers for image tokens, laid out as the images that the tokens are of."""

from collections.abc import Sequence
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Map = NDArray[np.float64]


def on_grid(values: Tensor, grid: Tensor) -> Map:
    """Lay out the values (T,) of a sample's image tokens on the grid of an image, (rows, columns); NaN for none."""
    found: Map = values.double().cpu().numpy()[grid.clamp_min(0).cpu().numpy()]
    return np.where(grid.cpu().numpy() < 0, np.nan, found)


def mosaic(parts: Sequence[NDArray[Any]], fill: float = 0) -> NDArray[Any]:
    """Put images or maps of one size, (h, w, ...), side by side, in about as many rows as columns."""
    columns = ceil(sqrt(len(parts)))
    padded = [*parts, *[np.full_like(parts[0], fill)] * (-len(parts) % columns)]
    rows = [np.concatenate(padded[start : start + columns], axis=1) for start in range(0, len(padded), columns)]
    return np.concatenate(rows)
