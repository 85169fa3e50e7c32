"""Llama 3.2 Vision (Grattafiori et al. 2024): the text attends to tiles of the images by cross-attention.

`pixel_values` is (N, images, tiles, 3, S, S). Samples with fewer images, and images with fewer tiles, are padded with
zeros. An image smaller than its tiles has black margins on the right and at the bottom.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from vqttt.models.base import ImageContent, Inputs
from vqttt.models.decoder import square
from vqttt.models.huggingface import HuggingFaceModel


class Mllama(HuggingFaceModel):
    """Llama 3.2 Vision; every tile counts as an image."""

    nested = True
    mixes = False

    def view(self, inputs: Inputs) -> ImageContent:
        """Return the tiles. The inputs do not say where margins begin, so they are recognised as black."""
        pixels = inputs.tensors["pixel_values"]
        flat = pixels.flatten(0, 2)
        owner = torch.arange(inputs.count, device=pixels.device).repeat_interleave(len(flat) // inputs.count)
        real = inputs.tensors["aspect_ratio_mask"].flatten().bool()
        lit = ((flat - self._black(flat)).abs() > 1e-2).any(1) & real[:, None, None]
        # Content extends to the last row and the last column that are not all black.
        rows, columns = (lit.any(axis).flip(1).cummax(1).values.flip(1) for axis in (2, 1))
        return ImageContent(flat, owner, (rows[:, :, None] & columns[:, None])[:, None])

    def _black(self, pixels: Tensor) -> Tensor:
        """Return black, normalised, (3, 1, 1)."""
        stats = self.processor.image_processor
        mean, std = (torch.tensor(values, device=pixels.device) for values in (stats.image_mean, stats.image_std))
        return (-mean / std).to(pixels.dtype)[:, None, None]

    def with_view(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Replace the tiles."""
        return inputs.with_tensors(pixel_values=pixels.view_as(inputs.tensors["pixel_values"]))

    def packed(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return nothing: every tensor has one row per sample."""
        return {}

    def row_owner(self, inputs: Inputs) -> Tensor:
        """Return the owners of the images; a row is an image with all its tiles, padding included."""
        if "pixel_values" not in inputs.tensors:
            return inputs.owner
        count = inputs.tensors["pixel_values"].shape[1]
        return torch.arange(inputs.count, device=self.device).repeat_interleave(count)

    def image_keys(self, inputs: Inputs) -> Tensor:
        """Mark the class token and the patches of each tile that is not padding."""
        real = inputs.tensors["aspect_ratio_mask"].flatten(1).bool()
        return real.repeat_interleave(self._patches + 1, 1)

    def token_grids(self, inputs: Inputs, counts: Sequence[int]) -> list[Tensor | None]:
        """Return the patches of each tile that is not padding, even if it is all black; a class token precedes them."""
        real = inputs.tensors["aspect_ratio_mask"].flatten(1).bool()
        starts = (real.cumsum(1) - 1) * (self._patches + 1) + 1
        pairs = zip(starts.flatten().tolist(), real.flatten().tolist(), strict=True)
        return [square(start + torch.arange(self._patches)) if shown else None for start, shown in pairs]

    @property
    def _patches(self) -> int:
        vision = self.network.config.vision_config
        return int(vision.image_size // vision.patch_size) ** 2
