"""InternVL (Chen et al. 2024), in transformers' format: all tiles of all images in one list, (tiles, 3, S, S)."""

from typing import Any

import torch
from torch import Tensor

from vqttt.models.base import Inputs
from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.tunable import ImageContent


class InternVL(HuggingFaceModel):
    """InternVL; the number of image tokens in a sample's prompt tells how many tiles are the sample's."""

    @staticmethod
    def image_settings(config: Any) -> dict[str, Any]:
        """Return the number of tokens of a tile."""
        vision = config.vision_config
        (height, width), (down, across) = vision.image_size, vision.patch_size
        return {"image_seq_length": int((height // down) * (width // across) * config.downsample_ratio**2)}

    def view(self, inputs: Inputs) -> ImageContent:
        """Return the tiles."""
        pixels = inputs.tensors["pixel_values"]
        return ImageContent(pixels, self._owner(inputs), None)

    def _owner(self, inputs: Inputs) -> Tensor:
        tokens = inputs.tensors["input_ids"].eq(self.network.config.image_token_id).sum(1)
        tiles = tokens * len(inputs.tensors["pixel_values"]) // tokens.sum()
        return torch.arange(inputs.count, device=tokens.device).repeat_interleave(tiles)
