"""Idefics2 (Laurençon et al. 2024), Idefics3 and SmolVLM: images or tiles, with a mask that marks padding.

`pixel_values` is (N, images, 3, H, W), `pixel_attention_mask` (N, images, H, W). Images of zeros, with a mask of zeros,
are padding. The model looks at the pixels alone, and drops every image of zeros before its vision encoder. So not a bit
of the padding may change, and content must not become zero: it is kept apart (see `apart_from_padding`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vqttt.models.base import Inputs
from vqttt.models.batch import Given
from vqttt.models.content import apart_from_padding
from vqttt.models.decoder import square
from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.tunable import ImageContent


class Idefics2(HuggingFaceModel):
    """Idefics2, Idefics3 and SmolVLM."""

    nested = True

    @staticmethod
    def image_settings(config: Any) -> dict[str, Any]:
        """Return the number of tokens of an image: the latents of Idefics2's perceiver, else the merged patches."""
        if hasattr(config, "perceiver_config"):
            return {"image_seq_len": config.perceiver_config.resampler_n_latents}
        vision = config.vision_config
        return {"image_seq_len": (vision.image_size // vision.patch_size) ** 2 // config.scale_factor**2}

    def encode(self, images: Sequence[Given], questions: Sequence[str]) -> Inputs:
        """Encode; a black image is not padding, even if the processor does not normalise and makes it zeros."""
        inputs = super().encode(images, questions)
        return self.with_pixels(inputs, self.pixels(inputs).pixels)

    def view(self, inputs: Inputs) -> ImageContent:
        """Return all images, padded to one size."""
        pixels = inputs.tensors["pixel_values"].flatten(0, 1)
        owner = torch.arange(inputs.count, device=pixels.device).repeat_interleave(len(pixels) // inputs.count)
        return ImageContent(pixels, owner, _mask(inputs))

    def with_view(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Replace the images; none of them becomes padding."""
        kept = apart_from_padding(pixels, _mask(inputs), self.network.dtype)
        return inputs.with_tensors(pixel_values=kept.view_as(inputs.tensors["pixel_values"]))

    def packed(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return nothing: every tensor has one row per sample."""
        return {}

    def select(self, inputs: Inputs, rows: Sequence[int]) -> Inputs:
        """Return a batch of some samples; without `pixel_values` if none of them has an image."""
        chosen = super().select(inputs, rows)
        if "pixel_values" not in chosen.tensors or chosen.tensors["pixel_attention_mask"].any():
            return chosen
        return replace(chosen, tensors={key: t for key, t in chosen.tensors.items() if not key.startswith("pixel")})

    def row_owner(self, inputs: Inputs) -> Tensor:
        """Return the owners of the images that are not padding; only these reach the vision encoder."""
        _, owner, mask = self.pixels(inputs)
        return owner if mask is None else owner[mask.flatten(1).any(1)]

    def token_grid(self, tokens: Tensor) -> Tensor | None:
        """Return None for the latents of Idefics2's perceiver, and a square for Idefics3 and SmolVLM."""
        return None if hasattr(self.network.config, "perceiver_config") else square(tokens)


def _mask(inputs: Inputs) -> Tensor:
    """Return the mask of each image's content, (P, 1, H, W)."""
    return inputs.tensors["pixel_attention_mask"].flatten(0, 1)[:, None].bool()
