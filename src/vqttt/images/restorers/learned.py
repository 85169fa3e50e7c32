"""Published restoration networks (NAFNet, SCUNet, SwinIR, ...) from a weights file, loaded by the package spandrel."""

from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from vqttt.errors import InputError, MissingExtraError, in_a_line
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
    except InputError:
        raise
    except Exception as error:  # the architectures raise errors of any type over weights that do not fit
        raise InputError(f"{file}: its weights fit no network: {in_a_line(error)[:200]}") from error
    if not isinstance(descriptor, spandrel.ImageModelDescriptor) or descriptor.input_channels not in (1, 3):
        raise InputError(
            f"{file}: {descriptor.architecture.name} does not turn one image into one; give a network that does"
        )
    descriptor.eval()
    whole = descriptor.tiling is spandrel.ModelTiling.INTERNAL
    network: Any = descriptor if descriptor.input_channels == 3 else _by_colour(descriptor)
    return Learned(network, 2**20 if whole else _TILE)


def _read(file: Path) -> dict[str, Any]:
    """Return what a weights file holds; its content tells the format, and code in a pickle is never run.

    Raises:
        InputError: if it is no weights file, or damaged.
    """
    unreadable = f"{file}: cannot be read as weights"
    try:
        with file.open("rb") as stream:
            head = stream.read(1024)
        if wrong := _no_weights(head):
            raise InputError(f"{unreadable}: {wrong}")
        if head[8:9] == b"{":  # the header of safetensors, after its length
            from safetensors.torch import load_file

            return load_file(file)
        with file.open("rb") as stream:  # given its name, torch would judge a file by its suffix
            found: Any = torch.load(stream, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except UnpicklingError as error:  # torch's own message advises to run the code
        raise InputError(
            f"{unreadable}: it is damaged, or a pickle of more than tensors; give the weights alone, as .safetensors"
        ) from error
    except Exception as error:  # torch raises errors of any type on damaged files
        raise InputError(f"{unreadable}: it is truncated or damaged; download it again") from error
    if not isinstance(found, dict):
        raise InputError(f"{unreadable}: it holds a {type(found).__name__}; give a dictionary of named weights")
    return found


def _no_weights(head: bytes) -> str:
    """Say what a file is instead of weights, and what to do, by its first bytes; empty if it may be weights."""
    if not head:
        return "the file is empty; download it again"
    if head.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the file itself; run git lfs pull"
    if any(byte < 32 and byte not in b"\t\r\n\f" for byte in head):
        return ""
    return (
        "a web page; download the file itself"
        if head.lstrip()[:1] == b"<"
        else "a text, not weights; download the file itself"
    )


def _by_colour(gray: Network) -> Network:
    """Apply a network for gray images to each colour separately."""
    return lambda pixels: torch.cat([gray(pixels[:, i : i + 1]) for i in range(pixels.shape[1])], dim=1)
