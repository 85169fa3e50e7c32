"""LLaVA-1.5 (Liu et al. 2023): images of one size, (P, 3, H, W).

Any vision tower that transformers' LLaVA accepts will do: CLIP, SigLIP, DINOv2, or SAM with its windowed blocks.
"""

from typing import Any

from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.processors import patch_settings


class Llava(HuggingFaceModel):
    """LLaVA-1.5."""

    @staticmethod
    def fits(config: Any) -> bool:
        """Tell whether images have one size; Pixtral's keep their own."""
        return str(config.vision_config.model_type) != "pixtral"

    @staticmethod
    def image_settings(config: Any) -> dict[str, Any]:
        """Return how patches are counted."""
        return patch_settings(config)
