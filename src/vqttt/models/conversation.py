"""A whole conversation in place of a question, for models behind a server: its messages reach them as they are."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any


class Slot(Enum):
    """A place in a message."""

    IMAGE = "image"


Content = str | Sequence[str | Slot]
"""Of a message: a text, or texts and the places of images."""


class Conversation(str):
    """The text of its last question; only a served model sees the rest.

    Attributes:
        turns: role and content of each message.
        parameters: further ones of the request.
    """

    turns: Sequence[tuple[str, Content]]
    parameters: Mapping[str, Any]

    @classmethod
    def of(
        cls, text: str, turns: Sequence[tuple[str, Content]], parameters: Mapping[str, Any] | None = None
    ) -> "Conversation":
        """Make one; `text` is its last question."""
        made = cls(text)
        made.turns, made.parameters = turns, parameters or {}
        return made
