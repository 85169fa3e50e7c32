"""LLaVA-1.5 (Liu et al. 2023): images of one size, (P, 3, H, W), straight into the vision tower.

The vision tower may be any that transformers' LLaVA accepts: CLIP, SigLIP, DINOv2, or SAM with its windowed blocks.
"""

from vqttt.models.huggingface import HuggingFaceModel


class Llava(HuggingFaceModel):
    """The LLaVA seam."""
