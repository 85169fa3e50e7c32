"""Idefics2 (Laurençon et al. 2024), Idefics3 and SmolVLM: images or tiles, with a mask that marks padding.

`pixel_values` is (N, images, 3, H, W), `pixel_attention_mask` (N, images, H, W). Images of zeros are padding. The model
recognises them by their zeros and drops them before its vision encoder, so not a bit of them may change.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from vqttt.models.base import ImageContent, Inputs
from vqttt.models.decoder import square
from vqttt.models.huggingface import HuggingFaceModel


class Idefics2(HuggingFaceModel):
    """Idefics2, Idefics3 and SmolVLM."""

    nested = True

    def view(self, inputs: Inputs) -> ImageContent:
        """Return all images, padded to one size."""
        pixels = inputs.tensors["pixel_values"].flatten(0, 1)
        owner = torch.arange(inputs.count, device=pixels.device).repeat_interleave(len(pixels) // inputs.count)
        mask = inputs.tensors["pixel_attention_mask"].flatten(0, 1)[:, None].bool()
        return ImageContent(pixels, owner, mask & _real(pixels)[:, None, None, None])

    def with_view(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Replace the images."""
        return inputs.with_tensors(pixel_values=pixels.view_as(inputs.tensors["pixel_values"]))

    def packed(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return nothing: every tensor has one row per sample."""
        return {}

    def select(self, inputs: Inputs, rows: Sequence[int]) -> Inputs:
        """Return a batch of some samples; without `pixel_values` if none of them has an image."""
        chosen = super().select(inputs, rows)
        if "pixel_values" not in chosen.tensors or chosen.tensors["pixel_values"].any():
            return chosen
        return replace(chosen, tensors={key: t for key, t in chosen.tensors.items() if not key.startswith("pixel")})

    def row_owner(self, inputs: Inputs) -> Tensor:
        """Return the owners of the images that are not padding; only these reach the vision encoder."""
        pixels, owner, _ = self.pixels(inputs)
        return owner[_real(pixels)]

    def token_grid(self, tokens: Tensor) -> Tensor | None:
        """Return None for the latents of Idefics2's perceiver, and a square for Idefics3 and SmolVLM."""
        return None if hasattr(self.network.config, "perceiver_config") else square(tokens)


def _real(pixels: Tensor) -> Tensor:
    """Return which of the images (P, 3, H, W) are not padding, (P,)."""
    return (pixels != 0).flatten(1).any(1)
