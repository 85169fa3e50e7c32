"""Restorers: what is done about a degraded picture before a model sees it; none of them sees the undegraded one.

Most are registered by name. `none` changes nothing. `matched` takes the restorer that `MATCHING` names for what
happened to the picture, which only an experiment knows; the registered `auto` has to guess it from the picture.
`spandrel:PATH` loads the weights of a published network from a file.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np

from vqttt.errors import InputError, PluginError, UnknownNameError
from vqttt.images import check_image
from vqttt.registry import Registry
from vqttt.types import Image

__all__ = [
    "MATCHED",
    "MATCHING",
    "NONE",
    "RESTORERS",
    "SPANDREL",
    "Restorer",
    "check_restorer",
    "find",
    "fingerprint",
    "restore",
]

Restorer: TypeAlias = Callable[[Image], Image]
"""Gives a picture of the same shape, or a larger one of the same proportions; draws nothing at random.

The picture has sides of at least `MIN_SIDE` pixels and must not be written to.
"""

NONE, MATCHED, SPANDREL = "none", "matched", "spandrel:"

MIN_SIDE = 16
"""A picture with a shorter side, in pixels, is padded to this while it is restored."""

RESTORERS: Registry[Restorer] = Registry("restorer", group="vqttt.restorers")

MATCHING: dict[str, str] = {}
"""The restorer for each degradation that has one; for all others, `matched` leaves the picture as it is."""


def check_restorer(name: str) -> None:
    """Raise `UnknownNameError` unless `name` is one that `restore` takes."""
    if name not in (NONE, MATCHED) and not name.startswith(SPANDREL) and name not in RESTORERS:
        raise UnknownNameError(RESTORERS.kind, name, [NONE, MATCHED, *RESTORERS, f"{SPANDREL}PATH"])


def restore(image: Image, restorer: str, degradation: str | None = None) -> Image:
    """Restore a picture; the same arguments always give the same pixels.

    Args:
        image: uint8 RGB of shape (H, W, 3), any size; never modified.
        restorer: `none`, `matched`, `spandrel:PATH` or a name in `RESTORERS`.
        degradation: what happened to the picture, for `matched`; of several joined by `+`, the last is undone first.

    Returns:
        uint8 RGB of the same shape, or larger after super-resolution; `image` itself for `none`.

    Raises:
        UnknownNameError: if `restorer` is not known.
        InputError: if `image` is not as described, or the weights of a restorer cannot be used.
        MissingExtraError: if what a restorer needs is not installed.
        PluginError: if what another package registered gives no such picture.
    """
    check_image(image)
    check_restorer(restorer)
    if restorer == MATCHED:
        if degradation is None:
            raise InputError(f"{MATCHED} is for studies, which know what happened to a picture; auto guesses it")
        names = [MATCHING[name] for name in reversed(degradation.split("+")) if name in MATCHING]
    else:
        names = [] if restorer == NONE else [restorer]
    for name in dict.fromkeys(names):
        image = _padded(name, image)
    return image


def find(restorer: str) -> Restorer:
    """Return the function behind `spandrel:PATH` or a name in `RESTORERS`, its weights loaded if it has any."""
    if restorer.startswith(SPANDREL):
        from vqttt.restorers import learned

        return learned.load(restorer.removeprefix(SPANDREL))
    return RESTORERS[restorer]


def fingerprint(restorer: str) -> str:
    """Return the SHA-256 of the weights that a restorer reads from a file; empty for one that reads none.

    Raises:
        InputError: if it has weights that are not there.
    """
    file: Path | None = None
    if restorer.startswith(SPANDREL):
        find(restorer)
        file = Path(restorer.removeprefix(SPANDREL)).expanduser()
    return hashlib.sha256(file.read_bytes()).hexdigest() if file else ""


def _padded(name: str, image: Image) -> Image:
    height, width = image.shape[:2]
    padding = ((0, max(MIN_SIDE - height, 0)), (0, max(MIN_SIDE - width, 0)), (0, 0))
    padded = np.pad(image, padding, mode="edge") if min(height, width) < MIN_SIDE else image
    restored = find(name)(padded)
    zoom = restored.shape[0] // padded.shape[0]
    if restored.shape != (padded.shape[0] * zoom, padded.shape[1] * zoom, 3) or restored.dtype != np.uint8:
        made = f"{restored.dtype} of shape {restored.shape}"
        raise PluginError(f"{name} made {made} of a picture of shape {padded.shape}; it must keep the proportions")
    return np.ascontiguousarray(restored[: height * zoom, : width * zoom])
