"""A contact sheet: one picture under every degradation at every severity."""

from collections.abc import Sequence

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from vqttt.degradations import CLEAN, DEGRADATIONS, SEVERITIES, degrade
from vqttt.images import check_image
from vqttt.types import Image

_INK, _PAPER = "#222222", "#ffffff"


def contact_sheet(
    image: Image,
    kinds: Sequence[str] | None = None,
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
    scale: str = "relative",
    tile: int = 160,
) -> Image:
    """Lay out the clean picture, then one labelled row for each degradation with one column for each severity.

    Args:
        image: uint8 RGB of shape (H, W, 3).
        kinds: names in `DEGRADATIONS`; None takes them all.
        severities: 1 to 5.
        seed: as for `degrade`, which sees the picture in its full size.
        scale: as for `degrade`.
        tile: longer side of each picture on the sheet, in pixels.

    Returns:
        uint8 RGB, white behind.

    Raises:
        InputError: as `degrade` does.
    """
    check_image(image)
    kinds = list(DEGRADATIONS) if kinds is None else list(kinds)
    gap = max(tile // 20, 2)
    font_size = max(tile // 11, 8)
    font = ImageFont.load_default(size=font_size)
    labels = {kind: kind.replace("_", "\n") for kind in (CLEAN, *kinds)}

    pen = ImageDraw.Draw(PILImage.new("RGB", (1, 1)))
    boxes = [pen.multiline_textbbox((0, 0), label, font=font) for label in labels.values()]
    margin = round(max(box[2] for box in boxes)) + 2 * gap
    header = font_size + 2 * gap

    zoom = tile / max(image.shape[:2])
    tile_size = max(round(image.shape[1] * zoom), 1), max(round(image.shape[0] * zoom), 1)
    # A small picture keeps its pixels visible; a large one is averaged.
    method = PILImage.Resampling.NEAREST if zoom > 1 else PILImage.Resampling.LANCZOS
    step_x, step_y = tile_size[0] + gap, max(tile_size[1], round(max(box[3] for box in boxes))) + gap

    sheet = PILImage.new("RGB", (margin + step_x * len(severities), header + step_y * (1 + len(kinds))), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, severity in enumerate(severities):
        centre = margin + column * step_x + tile_size[0] // 2
        pen.text((centre, header // 2), f"severity {severity}", fill=_INK, font=font, anchor="mm")
    for row, (kind, label) in enumerate(labels.items()):
        top = header + row * step_y
        pen.multiline_text((margin - gap, top + step_y // 2), label, fill=_INK, font=font, anchor="rm", align="right")
        for column, severity in enumerate([0] if kind == CLEAN else severities):
            degraded = PILImage.fromarray(degrade(image, kind, severity, seed, scale))
            sheet.paste(degraded.resize(tile_size, method), (margin + column * step_x, top))
    return np.array(sheet)
