"""Gemma 3 (Gemma team 2025): images, and with pan and scan also crops of them, in one list, (crops, 3, S, S)."""

from typing import Any

from vqttt.models.internvl import InternVL


class Gemma3(InternVL):
    """Gemma 3; its crops are assigned to samples as InternVL's tiles are."""

    nested = True

    @staticmethod
    def image_settings(config: Any) -> dict[str, Any]:
        """Return nothing: the processor writes out its tokens when it is made."""
        return {}
