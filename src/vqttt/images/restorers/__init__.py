"""Restorers: what is done about a degraded image before a model sees it; none of them sees the undegraded one.

Most are registered by name. `none` changes nothing. `matched` takes the restorer that `MATCHING` names for what
happened to the image, which only an experiment knows; the registered `auto` has to guess it from the image.
`spandrel:PATH` loads the weights of a published network from a file.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from vqttt.errors import InputError, PluginError, UnknownNameError
from vqttt.images.files import at_least, check_image
from vqttt.images.restorers import maxim
from vqttt.images.restorers.auto import auto
from vqttt.images.restorers.deblur import richardson_lucy, wiener
from vqttt.images.restorers.denoise import bilateral, median, non_local_means, total_variation
from vqttt.images.restorers.detail import deblock, lanczos, unsharp_mask
from vqttt.images.restorers.tone import clahe, dehaze, gamma
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
    "installed",
    "restore",
]

Restorer: TypeAlias = Callable[[Image], Image]
"""Gives an image of the same shape, or a larger one of the same proportions; draws nothing at random.

The image has sides of at least `MIN_SIDE` pixels and must not be written to.
"""

NONE, MATCHED, SPANDREL = "none", "matched", "spandrel:"

MIN_SIDE = 16
"""An image with a shorter side, in pixels, is padded to this while it is restored."""

RESTORERS: Registry[Restorer] = Registry("restorer", group="vqttt.restorers", reserved=(NONE, MATCHED))
RESTORERS.add("auto", auto, "guesses from the image what happened to it, and undoes that")
RESTORERS.add("non-local-means", non_local_means, "averages places that look alike: takes noise away")
RESTORERS.add("bilateral", bilateral, "averages neighbours of like colours: takes noise away")
RESTORERS.add("total-variation", total_variation, "the nearby image that changes least: takes noise away")
RESTORERS.add("median", median, "replaces single values that turned black or white")
RESTORERS.add("wiener", wiener, "finds the blur, and undoes it as far as noise allows")
RESTORERS.add("richardson-lucy", richardson_lucy, "finds the blur, and undoes it step by step")
RESTORERS.add("unsharp-mask", unsharp_mask, "steepens the edges of a slightly blurred image")
RESTORERS.add("dehaze", dehaze, "takes away haze and fog by the dark channel")
RESTORERS.add("clahe", clahe, "gives dull parts contrast of their own")
RESTORERS.add("gamma", gamma, "mends exposure: too dark, too bright, or washed out")
RESTORERS.add("deblock", deblock, "smooths what strong JPEG compression left")
RESTORERS.add("lanczos", lanczos, "twice as many pixels, with edges as steep as can be known")
for _name, _variant in maxim.VARIANTS.items():
    RESTORERS.add(_name, partial(maxim.restore, name=_name), f"MAXIM, a network to be installed: {_variant.summary}")

MATCHING: dict[str, str] = {
    "gaussian_noise": "non-local-means",
    "shot_noise": "non-local-means",
    "speckle_noise": "non-local-means",
    "impulse_noise": "median",
    "gaussian_blur": "wiener",
    "defocus_blur": "wiener",
    "motion_blur": "wiener",
    "jpeg_compression": "deblock",
    "messenger_forward": "deblock",
    "fog": "dehaze",
    "haze": "dehaze",
    "contrast": "gamma",
    "brightness": "gamma",
    "low_light": "gamma",
    "phone_at_night": "gamma",
    "overexposure": "gamma",
    "snow": "gamma",
    "frost": "gamma",
}
"""The restorer for each degradation that has one; for all others, `matched` leaves the image as it is."""


def check_restorer(name: str) -> None:
    """Raise `UnknownNameError` unless `name` is one that `restore` takes."""
    if name not in (NONE, MATCHED) and not name.startswith(SPANDREL) and name not in RESTORERS:
        raise UnknownNameError(RESTORERS.kind, name, [NONE, MATCHED, *RESTORERS, f"{SPANDREL}PATH"])


def restore(image: Image, restorer: str, degradation: str | None = None) -> Image:
    """Restore an image; the same arguments always give the same pixels.

    Args:
        image: uint8 RGB of shape (H, W, 3), any size; never modified.
        restorer: `none`, `matched`, `spandrel:PATH` or a name in `RESTORERS`.
        degradation: what happened to the image, for `matched`; of several joined by `+`, the last is undone first.

    Returns:
        uint8 RGB of the same shape, or larger after super-resolution; `image` itself for `none`.

    Raises:
        UnknownNameError: if `restorer` is not known.
        InputError: if `image` is not as described, or the weights of a restorer cannot be used.
        MissingExtraError: if what a restorer needs is not installed.
        PluginError: if what another package registered gives no such image.
    """
    check_image(image)
    check_restorer(restorer)
    if restorer == MATCHED:
        if degradation is None:
            raise InputError(f"{MATCHED} is for studies, which know what happened to an image; auto guesses it")
        names = [MATCHING[name] for name in reversed(degradation.split("+")) if name in MATCHING]
    else:
        names = [] if restorer == NONE else [restorer]
    for name in dict.fromkeys(names):
        image = _padded(name, image)
    return image


def find(restorer: str) -> Restorer:
    """Return the function behind `spandrel:PATH` or a name in `RESTORERS`, its weights loaded if it has any."""
    if restorer.startswith(SPANDREL):
        from vqttt.images.restorers import learned

        return learned.load(restorer.removeprefix(SPANDREL))
    return maxim.load(restorer) if restorer in maxim.VARIANTS else RESTORERS[restorer]


def installed() -> list[str]:
    """Return the registered restorers whose weights, if they need any, are installed."""
    return [name for name in RESTORERS if name not in maxim.VARIANTS or maxim.weights_path(name).is_file()]


def fingerprint(restorer: str) -> str:
    """Return a SHA-256 of the weights that a restorer reads from a file, or of `MATCHING`; empty for all others.

    Raises:
        InputError, MissingExtraError: if it has weights, and they are not there or cannot be used.
    """
    if restorer == MATCHED:
        return hashlib.sha256(repr(sorted(MATCHING.items())).encode()).hexdigest()
    if restorer in maxim.VARIANTS:
        file = maxim.weights_path(restorer)
    elif restorer.startswith(SPANDREL):
        file = Path(restorer.removeprefix(SPANDREL)).expanduser()
    else:
        return ""
    find(restorer)
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _padded(name: str, image: Image) -> Image:
    height, width = image.shape[:2]
    padded = at_least(image, MIN_SIDE)
    restored = find(name)(padded) if name.startswith(SPANDREL) else RESTORERS.call(name, padded)
    zoom = restored.shape[0] // padded.shape[0]
    if restored.shape != (padded.shape[0] * zoom, padded.shape[1] * zoom, 3) or not zoom:
        raise PluginError(
            f"{name} made an image of shape {restored.shape} of one of {padded.shape}; it must keep proportions"
        )
    return np.ascontiguousarray(restored[: height * zoom, : width * zoom])
