"""The images of a request: from data URLs, or from files in one folder. Nothing is ever fetched."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from vqttt.errors import ImageError
from vqttt.images.files import decode_base64, load_image
from vqttt.serving.limits import Limits
from vqttt.serving.refusals import RequestError
from vqttt.types import Image


def read_images(urls: Sequence[str], limits: Limits, folder: Path | None) -> list[Image]:
    """Read images.

    Args:
        urls: of the images.
        limits: the most images, and the most pixels of all together.
        folder: local images are read from here, and from nowhere else; None for none.

    Raises:
        RequestError: if there are too many, or one cannot be read or is too large; the message says which.
    """
    if len(urls) > limits.images:
        raise RequestError(f"a request has at most {limits.images} images, not {len(urls)}", param="messages")
    images, left = list[Image](), limits.pixels
    for number, url in enumerate(urls, 1):
        images.append(_image(url, f"image {number}", left, limits, folder))
        left -= images[-1].shape[0] * images[-1].shape[1]
    return images


def _image(url: str, name: str, pixels: int, limits: Limits, folder: Path | None) -> Image:
    """Read one image of so many pixels at most."""
    scheme = url[:8].partition(":")[0].strip().lower()
    if scheme in ("http", "https"):
        raise RequestError(
            f"{name}: images are not fetched from URLs; send it as data:image/png;base64,...",
            param="messages",
            code="remote_image",
        )
    try:
        content = decode_base64(url) if scheme == "data" else _local(url, limits, folder)
        if pixels < 1:
            raise ImageError("the images before it have all the pixels that a request may have")
        return load_image(content, max_pixels=pixels)
    except ImageError as error:
        raise RequestError(f"{name}: {error}", param="messages", code="invalid_image") from error


def _local(url: str, limits: Limits, folder: Path | None) -> bytes:
    """Return the contents of the file that a URL or path names, if it is in the folder.

    Raises:
        ImageError: if it is not; the message does not say whether there is such a file, nor where the folder is.
    """
    if folder is None:
        raise ImageError("it must be a data URL, such as data:image/png;base64,...; this server reads no files")
    try:
        path = unquote(urlsplit(url).path) if url.lower().startswith("file:") else url
        found = (folder / path).resolve()
        if found.is_relative_to(folder.resolve()) and found.is_file() and found.stat().st_size <= limits.body:
            return found.read_bytes()
    except (OSError, ValueError, RuntimeError):  # a path that is none, links in a circle, a file that is closed to us
        pass
    raise ImageError(f"there is no such image of up to {limits.body:,} bytes in the server's image folder")
