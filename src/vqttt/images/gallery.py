"""Contact sheets: one image under every degradation and style, or after every restorer."""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from vqttt.images.degradations import DEGRADATIONS, SEVERITIES, STYLES, degrade
from vqttt.images.ops import to_uint8
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
    """Lay out the clean image, then a labelled row for each degradation and style, with a column for each severity.

    Args:
        image: uint8 RGB of shape (H, W, 3).
        kinds: degradations and styles, as `degrade` takes them; None for all registered ones.
        severities: 1 to 5.
        seed: as for `degrade`, which is given the full-size image.
        scale: as for `degrade`.
        tile: longer side of each image on the sheet, in pixels.

    Raises:
        InputError, PluginError: as `degrade` does.
    """
    rows = {CLEAN: [_shrunk(degrade(image, CLEAN, 0, seed), tile)]}
    for kind in [*DEGRADATIONS, *STYLES] if kinds is None else kinds:
        rows[kind] = [_shrunk(degrade(image, kind, severity, seed, scale), tile) for severity in severities]
    return grid(rows, [f"severity {severity}" for severity in severities], tile)


def restored_sheet(image: Image, restorers: Iterable[str], tile: int = 320) -> Image:
    """Lay out an image, then a labelled row for each restorer: the restored image, and what changed in it.

    Args:
        image: uint8 RGB of shape (H, W, 3).
        restorers: as `restore` takes them; `restorers.installed()` names all that can run.
        tile: longer side of each image on the sheet, in pixels.

    Raises:
        InputError, MissingExtraError, PluginError: as `restore` does.
    """
    rows = {"input": [_shrunk(restore(image, NONE), tile)]}
    for name in restorers:
        restored = restore(image, name)
        alike = np.array(PILImage.fromarray(restored).resize(image.shape[1::-1], PILImage.Resampling.BOX))
        change = to_uint8(128 + 4 * (alike.astype(np.float32) - image))
        rows[name] = [_shrunk(restored, tile), _shrunk(change, tile)]
    return grid(rows, ["restored", "change x 4"], tile)


def grid(rows: Mapping[str, Sequence[Image]], columns: Sequence[str], tile: int) -> Image:
    """Lay out images in rows on white, each row with its label at the left, one line per word.

    Args:
        rows: label to images, uint8 RGB.
        columns: the headings.
        tile: longer side of the first image on the sheet, in pixels; all others are resized to the same shape.
    """
    gap, font_size = max(tile // 20, 2), min(max(tile // 11, 8), 18)
    font = ImageFont.load_default(size=font_size)
    labels = [re.sub(r"[_ +]", "\n", label) for label in rows]
    pen = ImageDraw.Draw(PILImage.new("RGB", (1, 1)))
    boxes = [pen.multiline_textbbox((0, 0), label, font=font) for label in labels]
    margin, header = round(max(box[2] for box in boxes)) + 2 * gap, font_size + 2 * gap

    size = _fitted(next(iter(rows.values()))[0], tile)
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


def _shrunk(image: Image, tile: int) -> Image:
    """Shrink an image to a tile as soon as it is made: a hundred full-size images would not fit into memory."""
    if max(image.shape[:2]) <= tile:
        return image
    return np.array(PILImage.fromarray(image).resize(_fitted(image, tile), PILImage.Resampling.LANCZOS))


def _fitted(image: Image, tile: int) -> tuple[int, int]:
    """Return width and height of an image scaled to a longer side of `tile` pixels."""
    zoom = tile / max(image.shape[:2])
    return max(round(image.shape[1] * zoom), 1), max(round(image.shape[0] * zoom), 1)
