"""Running a network on large images in overlapping tiles that are blended where they meet.

A network with global attention or global means sees only one tile at a time. Its tones may then differ slightly from
tile to tile; blending makes the change gradual.
"""

import math
from collections.abc import Callable

import numpy as np
import torch

from vqttt.images.ops import to_uint8
from vqttt.types import Image

__all__ = ["Network", "apply_in_tiles"]

Network = Callable[[torch.Tensor], torch.Tensor]
"""Takes pixels (0 to 1) of shape (1, C, H, W); returns as many channels, and sides that are a multiple of these."""


@torch.inference_mode()
def apply_in_tiles(network: Network, image: Image, tile: int, overlap: int) -> Image:
    """Apply a network to an image; one larger than `tile` is split into overlapping tiles of equal size.

    Where tiles overlap, the weight of each falls linearly toward its border.

    Args:
        network: see `Network`.
        image: uint8 RGB of shape (H, W, 3).
        tile: longest side, in pixels, that is processed at once.
        overlap: pixels that neighbouring tiles share at least; should grow with the network's receptive field.
    """
    pixels = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))[None] / 255
    tops, height = _spans(pixels.shape[2], tile, overlap)
    lefts, width = _spans(pixels.shape[3], tile, overlap)
    whole = weights = torch.empty(0)
    for top in tops:
        for left in lefts:
            restored = network(pixels[:, :, top : top + height, left : left + width])[0]
            zoom = restored.shape[1] // height
            if not whole.numel():
                sides = pixels.shape[2] * zoom, pixels.shape[3] * zoom
                whole, weights = torch.zeros(len(restored), *sides), torch.zeros(1, *sides)
            down, across = (
                _ramp(length * zoom, overlap * zoom, start > 0, start < starts[-1])
                for length, start, starts in ((height, top, tops), (width, left, lefts))
            )
            weight = down[:, None] * across
            place = slice(top * zoom, (top + height) * zoom), slice(left * zoom, (left + width) * zoom)
            whole[:, *place] += restored * weight
            weights[:, *place] += weight
    return to_uint8((whole / weights).permute(1, 2, 0).numpy() * 255)


def _spans(length: int, tile: int, overlap: int) -> tuple[list[int], int]:
    """Return the evenly spaced starts of the tiles along a side, and the length of each tile."""
    if length <= tile:
        return [0], length
    count = math.ceil((length - overlap) / (tile - overlap))
    return [round(index * (length - tile) / (count - 1)) for index in range(count)], tile


def _ramp(length: int, overlap: int, rises: bool, falls: bool) -> torch.Tensor:
    """Return weights along a side: 1, falling to almost 0 toward each neighbouring tile."""
    ramp = torch.ones(length)
    slope = (torch.arange(overlap) + 0.5) / max(overlap, 1)
    if rises:
        ramp[:overlap] = slope
    if falls:
        ramp[length - overlap :] = torch.minimum(ramp[length - overlap :], slope.flip(0))
    return ramp
