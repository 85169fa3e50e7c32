"""IDEFICS (Laurençon et al. 2023), after Flamingo: the text looks at the pictures by cross-attention.

`pixel_values` is (N, pictures, 3, S, S); a sample of fewer pictures than others is padded with pictures of zeros.
"""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image as PILImage
from torch import Tensor

from vqttt.models.base import Inputs, Pictures
from vqttt.models.decoder import square
from vqttt.models.huggingface import HuggingFaceModel


class Idefics(HuggingFaceModel):
    """The IDEFICS seam; its processor has no chat template, but takes texts and pictures in turn."""

    def process(self, shown: list[list[PILImage.Image]], questions: Sequence[str]) -> dict[str, Tensor]:
        """Ask as the instruct models were taught: `User:`, pictures, the question, `Assistant:`."""
        prompts: list[list[Any]] = [
            ["User:", *pictures, question, "\nAssistant:"] if pictures else [f"User:{question}", "\nAssistant:"]
            for pictures, question in zip(shown, questions, strict=True)
        ]
        return dict(self.processor(text=prompts, return_tensors="pt", padding=True))

    def view(self, inputs: Inputs) -> Pictures:
        """View the pictures, those of zeros as padding."""
        pixels = inputs.tensors["pixel_values"]
        flat = pixels.flatten(0, 1)
        owner = torch.arange(inputs.count, device=pixels.device).repeat_interleave(pixels.shape[1])
        real = (flat != 0).flatten(1).any(1)
        return Pictures(flat, owner, real[:, None, None, None].expand(-1, 1, *flat.shape[2:]))

    def with_view(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Show other pictures."""
        return inputs.with_tensors(pixel_values=pixels.view_as(inputs.tensors["pixel_values"]))

    def packed(self, inputs: Inputs) -> dict[str, Tensor]:
        """Every tensor has a row a sample."""
        return {}

    def image_keys(self, inputs: Inputs) -> Tensor:
        """Mark the latents of each picture, or its patches, that are not of a picture of zeros."""
        real = (inputs.tensors["pixel_values"] != 0).flatten(2).any(2)
        return real.repeat_interleave(self._tokens_a_picture, 1)

    def token_grid(self, tokens: Tensor) -> Tensor | None:
        """Latents of the resampler have no places; without it there is a class token before the patches."""
        return None if self.network.config.use_resampler else square(tokens[1:])

    @property
    def _tokens_a_picture(self) -> int:
        config = self.network.config
        vision = config.vision_config
        patches: int = (vision.image_size // vision.patch_size) ** 2
        return int(config.perceiver_config.resampler_n_latents) if config.use_resampler else patches + 1
