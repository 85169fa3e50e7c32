"""LLaVA-1.5 (Liu et al. 2023): images of one size, (P, 3, H, W).

Any vision tower that transformers' LLaVA accepts will do: CLIP, SigLIP, DINOv2, or SAM with its windowed blocks.
"""

from vqttt.models.huggingface import HuggingFaceModel


class Llava(HuggingFaceModel):
    """LLaVA-1.5."""
