"""Gemma 3 (Gemma team 2025): images and, where pan and scan is on, crops of them in one list, (crops, 3, S, S)."""

from vqttt.models.internvl import InternVL


class Gemma3(InternVL):
    """The Gemma 3 seam: crops belong to samples as InternVL's tiles do."""

    nested = True
