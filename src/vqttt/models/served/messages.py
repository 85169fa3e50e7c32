"""What is sent: images and a question as chat messages."""

import base64
import io
from collections.abc import Iterator, Sequence
from math import sqrt
from typing import Any

from PIL import Image as PILImage

from vqttt.models.conversation import Content, Conversation, Slot
from vqttt.types import Image


def messages(images: Sequence[Image], question: str, max_pixels: int = 0) -> list[dict[str, Any]]:
    """Return the messages of a request.

    Args:
        images: uint8 (H, W, 3), in order.
        question: becomes one message of the user, after the images; of a `Conversation` all messages stay, with the
            images in their places.
        max_pixels: larger images are made smaller; 0 for no limit.
    """
    turns: Sequence[tuple[str, Content]] = [("user", [*[Slot.IMAGE] * len(images), question])]
    if isinstance(question, Conversation):
        turns = question.turns
    left = iter(images)
    return [{"role": role, "content": _content(content, left, max_pixels)} for role, content in turns]


def _content(content: Content, images: Iterator[Image], max_pixels: int) -> str | list[dict[str, Any]]:
    if isinstance(content, str):
        return content
    return [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": data_url(next(images), max_pixels)}}
        for part in content
    ]


def data_url(image: Image, max_pixels: int = 0) -> str:
    """Return an image as a PNG in a data URL. PNG keeps every pixel; JPEG would add a degradation of its own."""
    picture = PILImage.fromarray(image)
    if max_pixels and picture.width * picture.height > max_pixels:
        share = sqrt(max_pixels / (picture.width * picture.height))
        size = max(int(picture.width * share), 1), max(int(picture.height * share), 1)
        picture = picture.resize(size, PILImage.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)  # the quickest; the file is read once
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
