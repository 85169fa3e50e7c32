"""Qwen2-VL (Wang et al. 2024), Qwen2.5-VL and Qwen3-VL: all patches of all images in one packed sequence.

`pixel_values` is (patches, 3 * 2 * S * S): patches in the order (height / 2, width / 2, 2, 2), each over two frames,
which are equal for an image. The vision blocks get the packed sequence, (patches, width). Qwen2.5-VL reorders it by
windows, but no window spans two images.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from vqttt.models.base import Inputs
from vqttt.models.huggingface import HuggingFaceModel
from vqttt.models.tunable import ImageContent


class QwenVL(HuggingFaceModel):
    """Qwen2-VL, Qwen2.5-VL and Qwen3-VL."""

    @property
    def image_marker(self) -> str:
        """What stands for an image in a prompt: its token between those that begin and end an image."""
        tokenizer = self.processor.tokenizer
        begin, end = (getattr(tokenizer, f"vision_{end}_token", f"<|vision_{end}|>") for end in ("start", "end"))
        return f"{begin}{super().image_marker}{end}"

    def view(self, inputs: Inputs) -> ImageContent:
        """Undo the packing; smaller images are padded with zeros on the right and at the bottom."""
        runs = torch.split(inputs.tensors["pixel_values"], self._lengths(inputs))
        images = [self._unpacked(run, *grid) for run, grid in zip(runs, self._grids(inputs), strict=True)]
        height, width = (max(image.shape[axis] for image in images) for axis in (1, 2))
        padded, masks = [], []
        for image in images:
            margins = (0, width - image.shape[2], 0, height - image.shape[1])
            padded.append(pad(image, margins))
            masks.append(pad(torch.ones_like(image[:1], dtype=torch.bool), margins))
        return ImageContent(torch.stack(padded), inputs.owner, torch.stack(masks))

    def with_view(self, inputs: Inputs, pixels: Tensor) -> Inputs:
        """Pack other images of the same sizes."""
        patches = [self._packed(image, *grid) for image, grid in zip(pixels, self._grids(inputs), strict=True)]
        return inputs.with_tensors(pixel_values=torch.cat(patches))

    def packed(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return patches and grid sizes, with the samples they belong to."""
        if "pixel_values" not in inputs.tensors:
            return {}
        return {"pixel_values": self.row_owner(inputs), "image_grid_thw": inputs.owner}

    def row_owner(self, inputs: Inputs) -> Tensor:
        """Return the owners of the patches; a row is a patch."""
        if "pixel_values" not in inputs.tensors:
            return inputs.owner
        return inputs.owner.repeat_interleave(torch.tensor(self._lengths(inputs), device=self.device))

    def token_grids(self, inputs: Inputs, counts: Sequence[int]) -> list[Tensor | None]:
        """Return each image's grid of tokens, one per 2 x 2 patches, padded like the images."""
        shapes = [(rows // self._sizes[0], columns // self._sizes[0]) for rows, columns in self._grids(inputs)]
        height, width = (max(edges) for edges in zip(*shapes, strict=True))
        numbers = torch.cat([torch.arange(count) for count in counts])
        runs = torch.split(numbers, [rows * columns for rows, columns in shapes])
        return [
            pad(run.view(rows, columns), (0, width - columns, 0, height - rows), value=-1)
            for run, (rows, columns) in zip(runs, shapes, strict=True)
        ]

    def _grids(self, inputs: Inputs) -> list[tuple[int, int]]:
        """Return the rows and columns of patches of each image."""
        return [(rows, columns) for _, rows, columns in inputs.tensors["image_grid_thw"].tolist()]

    def _lengths(self, inputs: Inputs) -> list[int]:
        """Return the number of patches of each image."""
        return [rows * columns for rows, columns in self._grids(inputs)]

    @property
    def _sizes(self) -> tuple[int, int, int]:
        """How many patches are merged along a side, the frames of a patch, and its side in pixels."""
        processor = self.processor.image_processor
        return processor.merge_size, processor.temporal_patch_size, processor.patch_size

    def _unpacked(self, patches: Tensor, rows: int, columns: int) -> Tensor:
        """Return the image (3, H, W) that patches (rows * columns, 3 * 2 * S * S) are made of."""
        merged, frames, side = self._sizes
        tiles = patches.view(rows // merged, columns // merged, merged, merged, 3, frames, side, side)[:, :, :, :, :, 0]
        return tiles.permute(4, 0, 2, 5, 1, 3, 6).reshape(3, rows * side, columns * side)

    def _packed(self, image: Tensor, rows: int, columns: int) -> Tensor:
        """Return the patches of an image, without its padding: the inverse of `_unpacked`."""
        merged, frames, side = self._sizes
        inner = image[:, : rows * side, : columns * side]
        tiles = inner.reshape(3, rows // merged, merged, side, columns // merged, merged, side)
        patches = tiles.permute(1, 4, 2, 5, 0, 3, 6).unsqueeze(5).expand(-1, -1, -1, -1, -1, frames, -1, -1)
        return patches.reshape(rows * columns, -1)
