"""LLaVA-NeXT (Liu et al. 2024) and LLaVA-OneVision (Li et al. 2024): an overview and tiles of each image.

`pixel_values` is (images, tiles, 3, S, S), padded with tiles of zeros. The tiles are cut from the image after it was
scaled to fit a grid of tiles, which leaves black margins around it.
"""

from collections.abc import Sequence
from math import ceil
from typing import Any

import torch
from torch import Tensor
from transformers.image_processing_utils import select_best_resolution

from vqttt.models.base import Inputs
from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.processors import patch_settings
from vqttt.models.tunable import ImageContent


class LlavaNext(HuggingFaceModel):
    """LLaVA-NeXT; every tile counts as an image, and margins and tiles of zeros are padding."""

    @staticmethod
    def image_settings(config: Any) -> dict[str, Any]:
        """Return how patches are counted."""
        return patch_settings(config)

    def view(self, inputs: Inputs) -> ImageContent:
        """Return the tiles, (images * tiles, 3, S, S)."""
        pixels = inputs.tensors["pixel_values"]
        tiles, side = pixels.shape[1], pixels.shape[-1]
        mask = torch.zeros(*pixels.shape[:2], 1, side, side, dtype=torch.bool, device=pixels.device)
        for n, grid in enumerate(self._grids(inputs)):
            mask[n, 0] = True
            if grid is not None:
                down, across = (edge // side for edge in grid.shape)
                cut = grid.view(down, side, across, side).transpose(1, 2).flatten(0, 1)
                mask[n, 1 : len(cut) + 1, 0] = cut
        return ImageContent(pixels.flatten(0, 1), inputs.owner.repeat_interleave(tiles), mask.flatten(0, 1))

    def with_view(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Replace the tiles."""
        return inputs.with_tensors(pixel_values=pixels.view_as(inputs.tensors["pixel_values"]))

    def packed(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return tiles and sizes, which have one row per image."""
        return {key: inputs.owner for key in ("pixel_values", "image_sizes") if key in inputs.tensors}

    def row_owner(self, inputs: Inputs) -> Tensor:
        """Return the owners of the tiles that are not padding; only these reach the vision tower."""
        if "pixel_values" not in inputs.tensors:
            return inputs.owner
        side = inputs.tensors["pixel_values"].shape[-1]
        counts = [1 if grid is None else 1 + grid.numel() // side**2 for grid in self._grids(inputs)]
        return inputs.owner.repeat_interleave(torch.tensor(counts, device=self.device))

    def token_grids(self, inputs: Inputs, counts: Sequence[int]) -> list[Tensor | None]:
        """Return the grids of each overview and its tiles.

        The overview's tokens come first. The tiles' follow as one image, without margins, with an extra token at the
        end of each row. LLaVA-OneVision shrinks the tiles of a large image to fewer tokens; then only the overview
        has a grid.
        """
        tiles, side = inputs.tensors["pixel_values"].shape[1], self._patches
        starts, grids = [0] * inputs.count, list[Tensor | None]()
        images = list(zip(inputs.owner.tolist(), inputs.tensors["image_sizes"].tolist(), strict=True))
        for (sample, size), tiled in zip(images, self._tiled(inputs), strict=True):
            overview = starts[sample] + torch.arange(side**2).view(side, side)
            cut, length = self._tile_grids(size, starts[sample] + side**2) if tiled else ([], 1)
            starts[sample] += side**2 + length
            grids += [overview, *cut, *[None] * (tiles - 1 - len(cut))]
        whole = [starts[sample] == counts[sample] for sample, _ in images]
        return [grid if n % tiles == 0 or whole[n // tiles] else None for n, grid in enumerate(grids)]

    def _tile_grids(self, size: Sequence[int], start: int) -> tuple[list[Tensor], int]:
        """Return the grids of an image's tiles, whose tokens begin at `start`, and their number, row ends included."""
        rows, columns = (edge // self._side for edge in self._resolution(size))
        side = self._patches
        whole = torch.full((rows * side, columns * side), -1)
        inner = whole[_unpadded(size, rows * side, columns * side)]
        height, width = inner.shape
        inner.copy_(start + torch.arange(height * (width + 1)).view(height, width + 1)[:, :-1])
        cut = whole.view(rows, side, columns, side).transpose(1, 2).flatten(0, 1)
        return list(cut), height * (width + 1)

    @property
    def _side(self) -> int:
        return int(self.network.config.vision_config.image_size)

    @property
    def _patches(self) -> int:
        return self._side // int(self.network.config.vision_config.patch_size)

    def _resolution(self, size: Sequence[int]) -> tuple[int, int]:
        """Return height and width, in pixels, of the grid of tiles for an image of `size`, (height, width)."""
        rows, columns = select_best_resolution(tuple(size), self.network.config.image_grid_pinpoints)
        return rows, columns

    def _grids(self, inputs: Inputs) -> list[Tensor | None]:
        """Return a mask of each image on its grid of tiles, in pixels, (height, width); None if it is not tiled."""
        grids: list[Tensor | None] = []
        tiled = self._tiled(inputs)
        for n, size in enumerate(inputs.tensors["image_sizes"].tolist()):
            rows, columns = self._resolution(size)
            scale = min(rows / size[0], columns / size[1])
            height, width = (min(ceil(edge * scale), whole) for edge, whole in zip(size, (rows, columns), strict=True))
            top, left = (rows - height) // 2, (columns - width) // 2
            grid = torch.zeros(rows, columns, dtype=torch.bool, device=self.device)
            grid[top : top + height, left : left + width] = True
            grids.append(grid if tiled[n] else None)
        return grids

    def _tiled(self, inputs: Inputs) -> list[bool]:
        return [True] * len(inputs.owner)


def _unpadded(size: Sequence[int], rows: int, columns: int) -> tuple[slice, slice]:
    """Return the rows and columns of patches that transformers keeps of an image of `size`, (height, width)."""
    height, width = size
    if width * rows > height * columns:
        cut = (rows - int(round(height * columns / width, 7))) // 2
        return slice(cut, rows - cut), slice(None)
    cut = (columns - int(round(width * rows / height, 7))) // 2
    return slice(None), slice(cut, columns - cut)


class LlavaOneVision(LlavaNext):
    """LLaVA-OneVision; an image is tiled only if its sample has no other."""

    nested = True

    @staticmethod
    def image_settings(config: Any) -> dict[str, Any]:
        """Return the number of patches of a tile."""
        vision = config.vision_config
        strategy = config.vision_feature_select_strategy
        patches = (vision.image_size // vision.patch_size) ** 2
        return {"num_image_tokens": patches, "vision_feature_select_strategy": strategy}

    def packed(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return also the numbers of images, which exist only for samples that have any."""
        packed = super().packed(inputs)
        return {**packed, "batch_num_images": torch.unique_consecutive(inputs.owner)} if packed else {}

    def _tiled(self, inputs: Inputs) -> list[bool]:
        return [count == 1 for count in inputs.shown or [1] * inputs.count for _ in range(count)]
