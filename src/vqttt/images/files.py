"""Images in and out: from files of any kind to uint8 RGB arrays, and from arrays to files, hashes and HTML."""

import base64
import contextlib
import hashlib
import io
import logging
import re
import threading
import warnings
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageCms, ImageOps, UnidentifiedImageError

from vqttt.errors import ImageError, InputError
from vqttt.images.ops import to_uint8
from vqttt.types import Image

MAX_PIXELS = 100_000_000
"""The largest image that is decoded, in pixels; a larger one is refused before decoding, by the size in its header."""

SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {},
    ".jpg": {"quality": 95},
    ".jpeg": {"quality": 95},
    ".webp": {"quality": 95},
    ".bmp": {},
    ".tif": {},
    ".tiff": {},
}
"""The file suffixes that `save_image` supports, and the encoder options for each."""

# Formats whose integers of more than 8 bits have 16, though Pillow may keep them in 32.
_ALWAYS_16_BITS = ("PNG", "PPM")

# What white is in gray of more than 8 bits, for integers and for floats; a file does not say.
_WHITES: dict[str, tuple[float, ...]] = {"i": (255.0, 65535.0), "f": (1.0, 255.0, 65535.0)}

_OVERSHOOT = 0.1
"""How far resampling may take gray levels beyond black and white, as a part of the full scale."""

_DARKEST = 1 / 16
"""Where the brightest level is below this part of a scale, the scale is not clear."""

_RIGHT_LEVELS = "give 8-bit or 16-bit integers, or floats from 0 to 1 or 0 to 255"

# Vector formats: Pillow would run other programs to draw them.
_DRAWINGS = ("EPS", "WMF")

_DATA_URI = re.compile(r"\s*data:[^,]*?(?P<base64>;base64)?\s*,", re.IGNORECASE)
_STANDARD = str.maketrans("-_", "+/")

# Before Python 3.14, warning filters are global to the process, so only one thread at a time may silence Pillow's.
_QUIET = threading.Lock()

# Pillow logs complaints about TIFF files. Without a handler they would reach stderr beside our own message.
logging.getLogger("PIL").addHandler(logging.NullHandler())


def load_image(source: str | Path | bytes, max_pixels: int = MAX_PIXELS) -> Image:
    """Read an image from a file, or from the bytes of one.

    Every raster format that Pillow supports is read, and turned upright by its EXIF orientation. Palettes, CMYK and
    Lab are converted to RGB; gray of more than 8 bits is scaled to 8 bits, not clipped; transparent pixels are blended
    with white; an animation yields its first frame.

    Gray may be integers of 8 or 16 bits, also stored in 32, or floats from 0 to 1, 0 to 255 or 0 to 65535. A file does
    not say which of them it has: its darkest and brightest levels must leave no doubt.

    Args:
        source: the path of a file, or its contents.
        max_pixels: the most that are accepted.

    Returns:
        A new uint8 array of shape (H, W, 3).

    Raises:
        ImageError: if the file is missing, damaged or not an image, has more than `max_pixels`, or has gray levels
            that are not finite, or whose range is not clear.
    """
    name = f"an image of {len(source):,} bytes" if isinstance(source, bytes) else " ".join(str(source).splitlines())
    with io.BytesIO(source) if isinstance(source, bytes) else _open_file(Path(source)) as stream:
        if not stream.read(1):
            raise ImageError(f"{name}: empty; give the whole image file")
        stream.seek(0)
        with _QUIET, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(stream, name, max_pixels)


def decode_base64(text: str) -> bytes:
    """Return the bytes of a base64 text, or of a data URI.

    Both alphabets are read, the standard and the URL-safe one, with or without padding, in one line or several.

    Raises:
        ImageError: if it is neither.
    """
    uri = _DATA_URI.match(text)
    if uri and not uri["base64"]:
        return unquote_to_bytes(text[uri.end() :])
    plain = "".join(text[uri.end() if uri else 0 :].split())
    plain = plain.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=").rstrip("=").translate(_STANDARD)
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError as error:
        raise ImageError(f"an image is not valid base64 ({_reason(error)}); encode the whole image file") from error


def from_pillow(image: PILImage.Image) -> Image:
    """Convert a Pillow image to a new uint8 array of shape (H, W, 3), by the rules of `load_image`.

    Raises:
        ImageError: if it has gray levels that are not finite, or whose range is not clear.
    """
    image.load()
    upright = image
    with contextlib.suppress(Exception):  # a malformed EXIF block does not make the image unusable
        upright = ImageOps.exif_transpose(image)
    return np.array(_to_rgb(upright, image.format))


def as_image(value: Image | PILImage.Image) -> Image:
    """Return an image in our form: an array as it is, a Pillow image of any mode by the rules of `load_image`.

    Raises:
        InputError: if it is neither a uint8 array of shape (H, W, 3) nor a Pillow image that can be read.
    """
    if isinstance(value, PILImage.Image):
        try:
            value = from_pillow(value)
        except Exception as error:  # it may be read from its file only now
            raise ImageError(f"the Pillow image cannot be read: {_reason(error)}") from error
    check_image(value)
    return value


def save_image(image: Image, path: str | Path) -> None:
    """Write `image` to `path`, in the format given by the suffix (see `SAVE_OPTIONS`).

    Raises:
        InputError: if the suffix is not supported, the folder does not exist, or the file cannot be written.
    """
    check_image(image)
    path = Path(path)
    options = SAVE_OPTIONS.get(path.suffix.lower())
    if options is None:
        raise InputError(f"{path}: no image format has the suffix {path.suffix!r}; use {', '.join(SAVE_OPTIONS)}")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; create it first")
    try:
        PILImage.fromarray(image).save(path, **options)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be written: {_reason(error)}") from error


def sha256(image: Image) -> str:
    """Return the hexadecimal SHA-256 of the image's shape and pixels."""
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def to_data_uri(image: Image, max_side: int | None = None) -> str:
    """Return `image` as a `data:image/webp;base64,...` string, for the `src` of an HTML `<img>`; slightly lossy.

    Args:
        image: uint8 RGB of shape (H, W, 3).
        max_side: the longer side is scaled down to at most this many pixels; None keeps the size.
    """
    check_image(image)
    scaled = PILImage.fromarray(image)
    if max_side is not None:
        scaled.thumbnail((max_side, max_side), PILImage.Resampling.LANCZOS)
    buffer = io.BytesIO()
    scaled.save(buffer, format="WEBP", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def check_image(image: Image) -> None:
    """Raise `InputError` unless `image` is uint8 of shape (H, W, 3) with at least one pixel."""
    if not isinstance(image, np.ndarray):
        kind = type(image).__name__
        raise InputError(f"an image must be a uint8 array of shape (H, W, 3), or a Pillow image; got a {kind}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise InputError(f"an image must be a uint8 array of shape (H, W, 3); got {image.dtype} of shape {image.shape}")


def _open_file(path: Path) -> BinaryIO:
    name = " ".join(str(path).splitlines())  # a message is one line, whatever a table gives as a path
    try:
        if path.is_dir():
            raise ImageError(f"{name}: a folder; give an image file inside it")
        if not path.exists():
            raise ImageError(f"{name}: no such file; check the path")
        if not path.is_file():
            raise ImageError(f"{name}: neither a file nor a folder; give an image file")
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: cannot be opened: {_reason(error)}; give a file that can be read") from error


def _decode(stream: BinaryIO, name: str, max_pixels: int) -> Image:
    too_large = f"{name}: more than {max_pixels / 1e6:g} million pixels; scale the image down first"
    try:
        with PILImage.open(stream) as image:
            if image.width * image.height > max_pixels:
                raise ImageError(too_large)
            if image.format in _DRAWINGS:
                raise ImageError(f"{name}: a vector drawing ({image.format}); give a PNG of it")
            return from_pillow(image)
    except _LevelsError as error:
        raise ImageError(f"{name}: {error}") from error
    except ImageError:
        raise
    except PILImage.DecompressionBombError as error:
        raise ImageError(too_large) from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: not an image; give a PNG, JPEG, WebP, TIFF, GIF or BMP file") from error
    except Exception as error:  # Pillow's decoders raise errors of any type on damaged files
        raise ImageError(
            f"{name}: truncated, damaged or of an unsupported kind ({_reason(error)}); "
            "give an image that other programs can open"
        ) from error


class _LevelsError(ImageError):
    """Gray levels that do not say what is white."""


def _to_rgb(image: PILImage.Image, file_format: str | None) -> PILImage.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        gray = np.asarray(image)
        deep = gray.dtype.kind == "u" or (image.mode == "I" and file_format in _ALWAYS_16_BITS)
        white = 65535.0 if deep else _white(gray)
        levels = to_uint8(gray.astype(np.float64) / white * 255)
        return PILImage.fromarray(levels).convert("RGB")
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        rgb = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert rgb is not None, "only an in-place conversion returns nothing"
        return rgb
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        return PILImage.alpha_composite(PILImage.new("RGBA", image.size, "white"), layers).convert("RGB")
    return image.convert("RGB")


def _white(gray: NDArray[Any]) -> float:
    """Return the level that is white in gray of 32 bits or more: the smallest usual scale that the levels fit.

    Floats may lie a little outside, as resampling leaves them; they are clipped.

    Raises:
        _LevelsError: if a level is not finite, if the levels fit no scale, or if it is not clear which one.
    """
    darkest, brightest = float(gray.min()), float(gray.max())
    if not (isfinite(darkest) and isfinite(brightest)):
        count = gray.size - int(np.isfinite(gray).sum())
        raise _LevelsError(f"{count:,} of {gray.size:,} gray levels are not finite (NaN or infinity); {_RIGHT_LEVELS}")
    scales, over = _WHITES[gray.dtype.kind], _OVERSHOOT if gray.dtype.kind == "f" else 0.0
    white = next((scale for scale in scales if brightest <= scale * (1 + over)), None)
    if white is None or darkest < -white * over or not _clear(gray, brightest, white):
        raise _LevelsError(
            f"its gray levels run from {darkest:.6g} to {brightest:.6g}, so it is not clear what is black and white; "
            f"{_RIGHT_LEVELS}"
        )
    return white


def _clear(gray: NDArray[Any], brightest: float, white: float) -> bool:
    """Tell whether the levels, the brightest of which is below `white`, are not those of a smaller scale.

    An image that would be next to black may have a smaller scale, which some levels exceed. Whole numbers up to 255 are
    levels of 8 bits, however dark.
    """
    if gray.dtype.kind == "i":
        return white == 255 or brightest > 255 * (1 + _OVERSHOOT)
    if white == 1 or brightest >= white * _DARKEST:
        return True
    return white == 255 and bool((gray == np.rint(gray)).all())


def _reason(error: Exception) -> str:
    """Return the reason for `error` in one line."""
    return (error.strerror if isinstance(error, OSError) else None) or " ".join(str(error).split()) or repr(error)
