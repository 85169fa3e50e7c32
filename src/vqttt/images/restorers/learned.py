"""Published restoration networks (NAFNet, SCUNet, SwinIR, ...) from a weights file, loaded by the package spandrel."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from vqttt.errors import InputError, MissingExtraError
from vqttt.images.restorers.tiling import Network, apply_in_tiles
from vqttt.types import Image

__all__ = ["load"]

_TILE, _OVERLAP = 512, 64


class Learned:
    """A restoration network, applied in tiles of a given size."""

    def __init__(self, network: Network, tile: int = _TILE) -> None:
        """Store the network and the side of a tile, in pixels."""
        self.network, self.tile = network, tile

    def __call__(self, image: Image) -> Image:
        """Restore an image; see `Restorer`."""
        return apply_in_tiles(self.network, image, self.tile, _OVERLAP)


def load(path: str) -> Learned:
    """Return the restorer for a weights file; spandrel recognises its architecture by the names of the weights.

    Raises:
        MissingExtraError: if spandrel is not installed.
        InputError: if the file is missing or damaged, or its architecture is unknown or does not map image to image.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise InputError(f"{path}: no such file; give the weights of a restorer (.safetensors or .pth)")
    return _load(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _load(file: Path, modified: int) -> Learned:
    try:
        import spandrel
    except ImportError as error:
        raise MissingExtraError("spandrel is not installed: pip install 'vqttt[restorers]'") from error
    registry = spandrel.MAIN_REGISTRY
    try:  # Restormer and others with stricter licences, if the user has installed them
        from spandrel_extra_arches import EXTRA_REGISTRY

        registry = spandrel.MAIN_REGISTRY.copy()
        registry.add(*EXTRA_REGISTRY)
    except ImportError:
        pass
    try:
        weights = spandrel.canonicalize_state_dict(_read(file))
        descriptor = spandrel.ModelLoader("cpu", registry).load_from_state_dict(weights)
    except spandrel.UnsupportedModelError as error:
        raise InputError(
            f"{file}: of no architecture that spandrel knows; Restormer and others need spandrel_extra_arches"
        ) from error
    except Exception as error:  # torch and the architectures raise errors of any type on damaged files
        raise InputError(f"{file}: cannot be read as weights: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(descriptor, spandrel.ImageModelDescriptor) or descriptor.input_channels not in (1, 3):
        raise InputError(
            f"{file}: {descriptor.architecture.name} does not turn one image into one; give a network that does"
        )
    descriptor.eval()
    whole = descriptor.tiling is spandrel.ModelTiling.INTERNAL
    network: Any = descriptor if descriptor.input_channels == 3 else _by_colour(descriptor)
    return Learned(network, 2**20 if whole else _TILE)


def _read(file: Path) -> dict[str, Any]:
    if file.suffix.lower() == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    found: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return found


def _by_colour(gray: Network) -> Network:
    """Apply a network for gray images to each colour separately."""
    return lambda pixels: torch.cat([gray(pixels[:, i : i + 1]) for i in range(pixels.shape[1])], dim=1)
