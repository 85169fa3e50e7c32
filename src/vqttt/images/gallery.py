"""Contact sheets: one image under everything that can happen to it, and under every remedy."""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from vqttt.images.degradations import DEGRADATIONS, SEVERITIES, STYLES, degrade
from vqttt.images.files import to_uint8
from vqttt.images.restorers import restore
from vqttt.runs.records import CLEAN, NONE
from vqttt.types import Image

_INK, _PAPER = "#222222", "#ffffff"


def contact_sheet(
    image: Image,
    kinds: Iterable[str] | None = None,
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
    scale: str = "relative",
    tile: int = 160,
) -> Image:
    """Lay out the clean image, then one labelled row for each degradation and style, one column for each severity.

    Args:
        image: uint8 RGB of shape (H, W, 3).
        kinds: what `degrade` takes; None takes all that is registered.
        severities: 1 to 5.
        seed: as for `degrade`, which sees the image in its full size.
        scale: as for `degrade`.
        tile: longer side of each image on the sheet, in pixels.

    Raises:
        InputError: as `degrade` does.
    """
    rows = {CLEAN: [_small(degrade(image, CLEAN, 0, seed), tile)]}
    for kind in [*DEGRADATIONS, *STYLES] if kinds is None else kinds:
        rows[kind] = [_small(degrade(image, kind, severity, seed, scale), tile) for severity in severities]
    return grid(rows, [f"severity {severity}" for severity in severities], tile)


def restored_sheet(image: Image, restorers: Iterable[str], tile: int = 320) -> Image:
    """Lay out an image, then a labelled row for each restorer: what it makes of the image, and what it changed.

    Args:
        image: uint8 RGB of shape (H, W, 3).
        restorers: what `restore` takes; `restorers.installed()` is all that can be had.
        tile: longer side of each image on the sheet, in pixels.

    Raises:
        InputError, MissingExtraError: as `restore` does.
    """
    rows = {"as it was": [_small(restore(image, NONE), tile)]}
    for name in restorers:
        restored = restore(image, name)
        alike = np.array(PILImage.fromarray(restored).resize(image.shape[1::-1], PILImage.Resampling.BOX))
        change = to_uint8(128 + 4 * (alike.astype(np.float32) - image))
        rows[name] = [_small(restored, tile), _small(change, tile)]
    return grid(rows, ["restored", "change, 4 times"], tile)


def _small(image: Image, tile: int) -> Image:
    """Shrink an image to a tile at once, for some hundred large ones would fill the memory."""
    zoom = tile / max(image.shape[:2])
    if zoom >= 1:
        return image
    size = max(round(image.shape[1] * zoom), 1), max(round(image.shape[0] * zoom), 1)
    return np.array(PILImage.fromarray(image).resize(size, PILImage.Resampling.LANCZOS))


def grid(rows: Mapping[str, Sequence[Image]], columns: Sequence[str], tile: int) -> Image:
    """Lay out images in rows with their labels (a line for each word) at the left; white behind.

    Args:
        rows: label to images, uint8 RGB.
        columns: the headings.
        tile: longer side of the first image on the sheet, in pixels; all others are fitted into its frame.
    """
    gap, font_size = max(tile // 20, 2), min(max(tile // 11, 8), 18)
    font = ImageFont.load_default(size=font_size)
    labels = [re.sub(r"[_ +]", "\n", label) for label in rows]
    pen = ImageDraw.Draw(PILImage.new("RGB", (1, 1)))
    boxes = [pen.multiline_textbbox((0, 0), label, font=font) for label in labels]
    margin, header = round(max(box[2] for box in boxes)) + 2 * gap, font_size + 2 * gap

    first = next(iter(rows.values()))[0]
    zoom = tile / max(first.shape[:2])
    size = max(round(first.shape[1] * zoom), 1), max(round(first.shape[0] * zoom), 1)
    step_x, step_y = size[0] + gap, max(size[1], round(max(box[3] for box in boxes))) + gap

    sheet = PILImage.new("RGB", (margin + step_x * len(columns), header + step_y * len(rows)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for index, heading in enumerate(columns):
        centre = margin + index * step_x + size[0] // 2
        pen.text((centre, header // 2), heading, fill=_INK, font=font, anchor="mm")
    for row, (label, images) in enumerate(zip(labels, rows.values(), strict=True)):
        top = header + row * step_y
        pen.multiline_text((margin - gap, top + step_y // 2), label, fill=_INK, font=font, anchor="rm", align="right")
        for index, image in enumerate(images):
            # A small image keeps its pixels visible; a large one is averaged.
            small = image.shape[1] < size[0]
            method = PILImage.Resampling.NEAREST if small else PILImage.Resampling.LANCZOS
            sheet.paste(PILImage.fromarray(image).resize(size, method), (margin + index * step_x, top))
    return np.array(sheet)
