"""Restorers: they undo a degradation before a model sees the image, from the degraded image alone.

Most are registered by name. Three forms are not: `none` changes nothing; `matched` applies the restorer that
`MATCHING` gives for the degradation, which only an experiment knows (the registered `auto` guesses it from the image);
`spandrel:PATH` loads the weights of a published network from a file.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image as PILImage

from vqttt.errors import InputError, PluginError, UnknownNameError
from vqttt.images.files import as_image
from vqttt.images.ops import at_least
from vqttt.images.restorers import corrections, maxim
from vqttt.images.restorers.auto import auto
from vqttt.images.restorers.deblur import richardson_lucy, wiener
from vqttt.images.restorers.denoise import bilateral, median, non_local_means, total_variation
from vqttt.images.restorers.detail import deblock, lanczos, unsharp_mask
from vqttt.images.restorers.tone import clahe, dehaze, gamma
from vqttt.registry import Registry
from vqttt.runs.records import NONE
from vqttt.types import Image

__all__ = [
    "CORRECTIONS",
    "MATCHED",
    "MATCHING",
    "RESTORERS",
    "SPANDREL",
    "Restorer",
    "check_restorer",
    "find",
    "fingerprint",
    "guess",
    "installed",
    "restore",
]

Restorer: TypeAlias = Callable[[Image], Image]
"""Returns an image of the same shape, or a larger one of the same proportions; deterministic.

The input is uint8 RGB with sides of at least `MIN_SIDE` pixels and is read-only.
"""

AUTO, MATCHED, SPANDREL = "auto", "matched", "spandrel:"

MIN_SIDE = 16
"""Shorter sides, in pixels, are padded to this before an image is restored."""

RESTORERS: Registry[Restorer] = Registry("restorer", group="vqttt.restorers", reserved=(NONE, MATCHED))
RESTORERS.add(AUTO, auto, "guesses the degradation from the image, and applies the restorer that fits")
RESTORERS.add("non-local-means", non_local_means, "averages similar patches: removes noise")
RESTORERS.add("bilateral", bilateral, "averages neighbouring pixels of similar colour: removes noise")
RESTORERS.add("total-variation", total_variation, "finds the nearby image with the least variation: removes noise")
RESTORERS.add("median", median, "replaces isolated values that turned black or white")
RESTORERS.add("wiener", wiener, "estimates the blur, and inverts it as far as noise allows")
RESTORERS.add("richardson-lucy", richardson_lucy, "estimates the blur, and undoes it step by step")
RESTORERS.add("unsharp-mask", unsharp_mask, "sharpens the edges of a slightly blurred image")
RESTORERS.add("dehaze", dehaze, "removes haze and fog by the dark channel")
RESTORERS.add("clahe", clahe, "raises local contrast where it is low")
RESTORERS.add("gamma", gamma, "corrects exposure: too dark, too bright or washed out")
RESTORERS.add("deblock", deblock, "smooths the blocks and ripples of strong JPEG compression")
RESTORERS.add("lanczos", lanczos, "doubles both sides without blurring edges; adds no detail")
RESTORERS.add("soften", corrections.soften, "blurred a little, whatever the image")
RESTORERS.add("smooth", corrections.smooth, "a median of 9 x 9 pixels: specks, streaks and texture go, edges stay")
RESTORERS.add("smooth-and-stretch", corrections.smooth_and_stretch, "smooth, then tones spread over the whole range")
RESTORERS.add("despeckle", corrections.despeckle, "bright specks and streaks of up to 4 pixels removed")
RESTORERS.add("brighten", partial(corrections.brighten, power=0.5), "dark tones raised, by a power of 0.5")
RESTORERS.add("brighten-more", partial(corrections.brighten, power=0.3), "dark tones raised, by a power of 0.3")
RESTORERS.add("denoise-and-spread", corrections.denoise_and_spread, "noise reduced, contrast halfway to the usual")
RESTORERS.add("even-light", corrections.even_light, "divided by the light of each place: shadows and casts go")
for _name, _variant in maxim.VARIANTS.items():
    RESTORERS.add(_name, partial(maxim.restore, name=_name), f"MAXIM network, needs weights: {_variant.summary}")

CORRECTIONS = (
    "even-light",
    "denoise-and-spread",
    "brighten",
    "smooth",
    "gamma",
    "brighten-more",
    "wiener",
    "soften",
    "dehaze",
    "despeckle",
    "smooth-and-stretch",
)
"""The restorers among which `vq-select` chooses by default, the most useful first.

They are quick, and few, since each is one more chance to err.
"""

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
"""The restorer for each degradation that has one; `matched` leaves all others as they are."""


def check_restorer(name: str) -> None:
    """Raise `UnknownNameError` unless `restore` accepts `name`."""
    if name not in (NONE, MATCHED) and not name.startswith(SPANDREL) and name not in RESTORERS:
        raise UnknownNameError(RESTORERS.kind, name, [NONE, MATCHED, *RESTORERS], f"or {SPANDREL}PATH")


def restore(
    image: Image | PILImage.Image,
    restorer: str,
    degradation: str | None = None,
    tell: Callable[[str], object] | None = None,
) -> Image:
    """Restore an image; the same arguments always give the same pixels.

    Args:
        image: uint8 RGB of shape (H, W, 3), any size, or a Pillow image; never modified.
        restorer: `none`, `matched`, `spandrel:PATH` or a name in `RESTORERS`.
        degradation: what was done to the image, for `matched`; of several joined by `+`, the last is undone first.
        tell: is called with what `auto` guessed and did, in words; not called for other restorers.

    Returns:
        uint8 RGB of the same shape, or larger after super-resolution; `image` itself for `none`.

    Raises:
        UnknownNameError: if `restorer` is unknown.
        InputError: if `image` is not as described, or a restorer's weights cannot be used.
        MissingExtraError: if a restorer needs a package or weights that are not installed.
        PluginError: if another package's restorer fails, or returns anything but such an image.
    """
    image = as_image(image)
    check_restorer(restorer)
    if restorer == MATCHED:
        if degradation is None:
            raise InputError(f"{MATCHED} needs to know the degradation, as a study does; auto guesses it")
        names = [MATCHING[name] for name in reversed(degradation.split("+")) if name in MATCHING]
    else:
        names = [] if restorer == NONE else [restorer]
    for name in dict.fromkeys(names):
        image = _applied(name, image, tell)
    return image


def guess(image: Image | PILImage.Image) -> str:
    """Return what `auto` guesses is wrong with an image, and what it does about it; takes as long as restoring."""
    found: list[str] = []
    restore(image, AUTO, tell=found.append)
    return found[0]


def find(restorer: str) -> Restorer:
    """Return the function for `spandrel:PATH` or a name in `RESTORERS`, with its weights loaded if it has any."""
    if restorer.startswith(SPANDREL):
        from vqttt.images.restorers import learned

        return learned.load(restorer.removeprefix(SPANDREL))
    return maxim.load(restorer) if restorer in maxim.VARIANTS else RESTORERS[restorer]


def installed() -> list[str]:
    """Return the registered restorers that can run; those that need weights only if these are installed."""
    return [name for name in RESTORERS if name not in maxim.VARIANTS or maxim.weights_path(name).is_file()]


def fingerprint(restorer: str) -> str:
    """Return the SHA-256 of a restorer's weights file, or of `MATCHING` for `matched`; empty for all others.

    Raises:
        InputError, MissingExtraError: if its weights are missing or cannot be used.
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


def _applied(name: str, image: Image, tell: Callable[[str], object] | None) -> Image:
    """Apply one restorer to an image that is padded to `MIN_SIDE`, and cut the padding off again."""
    height, width = image.shape[:2]
    padded = at_least(image, MIN_SIDE)
    told = (tell,) if name == AUTO and tell is not None else ()
    restored = find(name)(padded) if name.startswith(SPANDREL) else RESTORERS.call(name, padded, *told)
    zoom = restored.shape[0] // padded.shape[0]
    if restored.shape != (padded.shape[0] * zoom, padded.shape[1] * zoom, 3) or not zoom:
        raise PluginError(
            f"{name} turned an image of shape {padded.shape} into one of {restored.shape}; it must keep the proportions"
        )
    return np.ascontiguousarray(restored[: height * zoom, : width * zoom])
