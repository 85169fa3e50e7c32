"""Running a MAXIM network on an image of any size, in tiles if it is large."""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file as load_weights
from torch import Tensor

from vqttt.errors import InputError
from vqttt.images.restorers.maxim.network import Config, Maxim
from vqttt.images.restorers.tiling import apply_in_tiles
from vqttt.types import Image

TILE, OVERLAP = 768, 64


class MaximRestorer:
    """A network that is ready to restore images."""

    def __init__(self, network: Maxim, tile: int = TILE, overlap: int = OVERLAP) -> None:
        """Prepare the network; images longer than `tile` pixels are split into tiles that share `overlap` pixels."""
        self.network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.tile, self.overlap = tile, overlap

    def __call__(self, image: Image) -> Image:
        """Restore an image; see `Restorer`."""
        height, width = image.shape[:2]
        (top, bottom), (left, right) = (_padding(side, self.network.config.multiple) for side in (height, width))
        padded = np.pad(image, ((top, bottom), (left, right), (0, 0)), mode="reflect")
        restored = apply_in_tiles(self._channels_first, padded, self.tile, self.overlap)
        return np.ascontiguousarray(restored[top : top + height, left : left + width])

    def _channels_first(self, pixels: Tensor) -> Tensor:
        restored: Tensor = self.network(pixels.permute(0, 2, 3, 1).contiguous())
        return restored.permute(0, 3, 1, 2)


@cache
def load_file(path: Path, modified: int) -> MaximRestorer:
    """Return the restorer with the weights in a file.

    Args:
        path: the weights file.
        modified: time of its last change, so that a changed file is read again.

    Raises:
        InputError: if it does not hold the weights of a MAXIM network.
    """
    try:
        weights = load_weights(path)
        with torch.device("meta"):
            network = Maxim(Config.of(weights))
        network.load_state_dict(weights, assign=True)
    except Exception as error:  # other weights lack names, shapes or anything else that the network is built by
        install = f"delete it, and run: vqttt restorers install {path.stem}"
        raise InputError(f"{path}: not the weights of a MAXIM network; {install}") from error
    return MaximRestorer(network)


def _padding(side: int, multiple: int) -> tuple[int, int]:
    lacking = -side % multiple
    return lacking // 2, lacking - lacking // 2
