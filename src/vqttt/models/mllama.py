"""Llama 3.2 Vision (Grattafiori et al. 2024): the text attends to tiles of the images by cross-attention.

`pixel_values` is (N, images, tiles, 3, S, S). Samples with fewer images, and images with fewer tiles, are padded with
zeros. An image smaller than its tiles has black margins on the right and at the bottom.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers.models.mllama.image_processing_mllama import get_image_size_fit_to_canvas, get_optimal_tiled_canvas

from vqttt.models.base import Inputs
from vqttt.models.decoder import square
from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.tunable import ImageContent


class Mllama(HuggingFaceModel):
    """Llama 3.2 Vision; every tile counts as an image."""

    nested = True
    mixes = False

    def view(self, inputs: Inputs) -> ImageContent:
        """Return the tiles. Their margins follow from the sizes of the images, for a black edge may be content."""
        pixels = inputs.tensors["pixel_values"]
        samples, images, tiles = pixels.shape[:3]
        mask = torch.zeros(samples, images, tiles, 1, *pixels.shape[-2:], dtype=torch.bool, device=pixels.device)
        for n, of_sample in enumerate(inputs.sizes):
            for place, size in enumerate(of_sample):
                cut = self._content(size)
                mask[n, place, : len(cut), 0] = cut.to(mask)
        owner = torch.arange(samples, device=pixels.device).repeat_interleave(images * tiles)
        return ImageContent(pixels.flatten(0, 2), owner, mask.flatten(0, 2))

    def _content(self, size: tuple[int, int]) -> Tensor:
        """Return where the tiles of an image of `size`, (height, width), have content, (tiles, S, S)."""
        stats = self.processor.image_processor
        side = stats.size["height"]
        height, width = get_optimal_tiled_canvas(*size, stats.max_image_tiles, side)
        inner = get_image_size_fit_to_canvas(*size, height, width, side)
        canvas = torch.zeros(height, width, dtype=torch.bool)
        canvas[: inner[0], : inner[1]] = True
        return canvas.view(height // side, side, width // side, side).transpose(1, 2).flatten(0, 1)

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
