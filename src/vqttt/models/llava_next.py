"""LLaVA-NeXT (Liu et al. 2024) and LLaVA-OneVision (Li et al. 2024): an overview and tiles of each image.

`pixel_values` is (images, tiles, 3, S, S), padded with tiles of zeros; the tiles are cut from the image scaled to
fit a grid, which leaves black margins about it.
"""

from collections.abc import Sequence
from math import ceil

import torch
from torch import Tensor
from transformers.image_processing_utils import select_best_resolution

from vqttt.models.base import ImageContent, Inputs
from vqttt.models.huggingface import HuggingFaceModel


class LlavaNext(HuggingFaceModel):
    """The LLaVA-NeXT seam; every tile is an image, its margins and the tiles of zeros are padding."""

    def view(self, inputs: Inputs) -> ImageContent:
        """View the tiles, (images * tiles, 3, S, S)."""
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
        """Show other tiles."""
        return inputs.with_tensors(pixel_values=pixels.view_as(inputs.tensors["pixel_values"]))

    def packed(self, inputs: Inputs) -> dict[str, Tensor]:
        """Tiles and sizes have a row an image."""
        return {key: inputs.owner for key in ("pixel_values", "image_sizes") if key in inputs.tensors}

    def row_owner(self, inputs: Inputs) -> Tensor:
        """The vision tower is given the tiles that are not of zeros."""
        if "pixel_values" not in inputs.tensors:
            return inputs.owner
        side = inputs.tensors["pixel_values"].shape[-1]
        counts = [1 if grid is None else 1 + grid.numel() // side**2 for grid in self._grids(inputs)]
        return inputs.owner.repeat_interleave(torch.tensor(counts, device=self.device))

    def token_grids(self, inputs: Inputs, counts: Sequence[int]) -> list[Tensor | None]:
        """An overview, then the tiles as one image less its margins, with one token more at the end of each row.

        Where a large image's tiles were shrunk to fewer tokens, as in LLaVA-OneVision, only its overview has places.
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
        """Number the tokens of an image's tiles from `start`; also returns how many there are, row ends included."""
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
        """Return height and width of the grid of tiles that an image of some size is put on."""
        rows, columns = select_best_resolution(tuple(size), self.network.config.image_grid_pinpoints)
        return rows, columns

    def _grids(self, inputs: Inputs) -> list[Tensor | None]:
        """Return of each image where on its grid of tiles it is, (rows, columns); None where it is not tiled."""
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
    """Return which rows and columns of patches are kept of an image (height, width), as transformers cuts them."""
    height, width = size
    if width * rows > height * columns:
        cut = (rows - int(round(height * columns / width, 7))) // 2
        return slice(cut, rows - cut), slice(None)
    cut = (columns - int(round(width * rows / height, 7))) // 2
    return slice(None), slice(cut, columns - cut)


class LlavaOneVision(LlavaNext):
    """The LLaVA-OneVision seam: an image is tiled only where it is its sample's only one."""

    nested = True

    def packed(self, inputs: Inputs) -> dict[str, Tensor]:
        """Numbers of images there are of those samples alone that show any."""
        packed = super().packed(inputs)
        return {**packed, "batch_num_images": torch.unique_consecutive(inputs.owner)} if packed else {}

    def _tiled(self, inputs: Inputs) -> list[bool]:
        return [count == 1 for count in inputs.shown or [1] * inputs.count for _ in range(count)]
