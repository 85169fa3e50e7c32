"""MAXIM, a network of MLPs for noise, blur, haze, rain and dark images, with its published weights.

Z. Tu et al., "MAXIM: Multi-Axis MLP for Image Processing", CVPR 2022. The weights are the authors' (Apache-2.0), as
the npm packages of UpscalerJS carry them for TensorFlow.js (MIT); `install` fetches a package and converts it. Each
variant learned from images of one kind, and does little for others.
"""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from vqttt.errors import MissingExtraError, UnknownNameError
from vqttt.types import Image

if TYPE_CHECKING:
    from vqttt.images.restorers import Restorer

__all__ = ["VARIANTS", "Variant", "install", "load", "restore", "weights_path"]


@dataclasses.dataclass(frozen=True)
class Variant:
    """Where the weights for one kind of degradation come from."""

    package: str
    version: str
    sha256: str
    """Of the package's tarball."""
    summary: str


def _variant(task: str, sha256: str, summary: str) -> Variant:
    return Variant(f"@upscalerjs/maxim-{task}", "0.1.0", sha256, summary)


VARIANTS: dict[str, Variant] = {
    "maxim-denoising": _variant(
        "denoising",
        "2c9fb2350fcc7077982dbc78483691dea730438814c14a8aa24673db8ebef2eb",
        "sensor noise of phones in poor light (learned from SIDD)",
    ),
    "maxim-deblurring": _variant(
        "deblurring",
        "081a260dc1ca0827d203f585fcff8826702f9d4c65e023675d3cf7fcf26dbd16",
        "the camera or things move during exposure (GoPro)",
    ),
    "maxim-dehazing-indoor": _variant(
        "dehazing-indoor",
        "c29872120011c1999d0355a9b1c1b92ca89c20d5d6cb60ad258b88ae6db29802",
        "haze that grows with depth, indoors (RESIDE)",
    ),
    "maxim-dehazing-outdoor": _variant(
        "dehazing-outdoor",
        "928f6f6ed181193c6acd92a04c9f6f8282011e3c21b9eb1cbaf8ca9fff969d4b",
        "haze that grows with depth, outdoors (RESIDE)",
    ),
    "maxim-deraining": _variant(
        "deraining",
        "32eefe4bcc0d835438bf01598e73bc89f53802a7119e3d192f1e9bfc7d663857",
        "streaks of rain (Rain13k)",
    ),
    "maxim-enhancement": _variant(
        "enhancement",
        "02b0064970d10dcd7aea07459ef7c03f12c18c432c8c7fb6ebbc2bd8d816465c",
        "too dark (LOL)",
    ),
}


def weights_path(name: str) -> Path:
    """Return the file where the weights of a variant are kept, installed or not.

    It is in `$VQTTT_CACHE`, else `$XDG_CACHE_HOME/vqttt`, else `~/.cache/vqttt`, in the folder `restorers`.

    Raises:
        UnknownNameError: if there is no such variant.
    """
    if name not in VARIANTS:
        raise UnknownNameError("MAXIM variant", name, VARIANTS)
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("VQTTT_CACHE") or caches / "vqttt")
    return cache.expanduser() / "restorers" / f"{name}.safetensors"


def install(name: str, package: str | Path | None = None) -> Path:
    """Convert the weights of a variant from its npm package, and keep them in the cache.

    Args:
        name: one of `VARIANTS`.
        package: the package's tarball (.tgz), if it is here already; otherwise npm fetches it, unless the weights are
            installed.

    Returns:
        The file of weights.

    Raises:
        UnknownNameError: if there is no such variant.
        MissingExtraError: if the package has to be fetched and npm is not installed.
        InputError: if the package cannot be fetched or is not the expected one, the cache cannot be written, or what it
            holds already is damaged.
    """
    path = weights_path(name)
    if package is not None or not path.is_file():
        from vqttt.images.restorers.maxim.package import install_package

        install_package(VARIANTS[name], path, None if package is None else Path(package))
    else:
        load(name)
    return path


def load(name: str) -> "Restorer":
    """Return the restorer of a variant, loaded once.

    Raises:
        UnknownNameError: if there is no such variant.
        MissingExtraError: if its weights are not installed.
        InputError: if its weights are damaged.
    """
    path = weights_path(name)
    if not path.is_file():
        raise MissingExtraError(f"the weights of {name} are not installed: vqttt restorers install {name}")
    from vqttt.images.restorers.maxim.restorer import load_file

    return load_file(path, path.stat().st_mtime_ns)


def restore(image: Image, name: str) -> Image:
    """Restore an image with a variant; see `load`."""
    return load(name)(image)
