"""Where the images of a batch lie in one tensor of pixels; and reading and replacing them there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vqttt.models.content import ImageContent
from vqttt.models.discovered.layout import Layout


@dataclass(frozen=True, kw_only=True)
class Planes:
    """Images or tiles, (..., 3, H, W).

    Attributes:
        owner: the sample that each belongs to, (...).
        mask: where it has content, (..., 1, H, W); None if everywhere.
        size: of each, in pixels.
    """

    owner: Tensor
    mask: Tensor | None
    size: int

    @property
    def row_owner(self) -> Tensor:
        """The sample that each row of the tensor's first dimension belongs to."""
        return _of_rows(self.owner)

    def read(self, layout: Layout, tensor: Tensor) -> ImageContent:
        """Return the images."""
        shape = tensor.shape[-3:]
        mask = None if self.mask is None else self.mask.reshape(-1, 1, *shape[1:])
        return ImageContent(tensor.reshape(-1, *shape), self.owner.flatten(), mask)

    def written(self, layout: Layout, tensor: Tensor, pixels: Tensor) -> Tensor:
        """Return the tensor with other images."""
        return pixels.view(tensor.shape)

    def of_samples(self, samples: Sequence[int]) -> "Planes":
        """Return the part that some samples have, in that order."""
        index, owner = _index(self.row_owner, samples)
        mask = None if self.mask is None else self.mask[index]
        return Planes(owner=_spread(owner, self.owner[index]), mask=mask, size=self.size)

    def to(self, device: torch.device) -> "Planes":
        """Return the same on a device."""
        mask = None if self.mask is None else self.mask.to(device)
        return Planes(owner=self.owner.to(device), mask=mask, size=self.size)

    def areas(self) -> tuple[Tensor, Tensor]:
        """Return the owner of each image, and how much content it has, in pixels."""
        if self.mask is None:
            return self.owner.flatten(), torch.full_like(self.owner, self.size).flatten()
        return self.owner.flatten(), self.mask.flatten(-3).sum(-1).flatten()


@dataclass(frozen=True, kw_only=True)
class Patches:
    """Packed patches (..., values). Each field has the shape of the tensor's leading dimensions.

    Attributes:
        owner: the sample that each belongs to.
        frame: the number of the image or tile that it is a patch of; -1 for padding.
        row, column: where it is in its frame, counted in patches.
        mask: where it has content, (..., side, side); None if it is all content.
    """

    owner: Tensor
    frame: Tensor
    row: Tensor
    column: Tensor
    mask: Tensor | None = None

    @property
    def row_owner(self) -> Tensor:
        """The sample that each row of the tensor's first dimension belongs to."""
        return _of_rows(self.owner)

    def read(self, layout: Layout, tensor: Tensor) -> ImageContent:
        """Return the images; smaller ones are padded with zeros on the right and at the bottom."""
        frame, row, column, real = self._flat()
        high, wide = int(row.max()) + 1, int(column.max()) + 1
        parts, side = layout.parts(tensor).flatten(0, self.owner.ndim - 1)[real], layout.side
        count = int(frame.max()) + 1
        grid = parts.new_zeros(count, high, wide, *parts.shape[1:]).index_put((frame, row, column), parts)
        known = torch.zeros(count, high, wide, side, side, dtype=torch.bool, device=grid.device)
        known[frame, row, column] = True if self.mask is None else self.mask.flatten(0, -3)[real]
        owner = torch.zeros(count, dtype=torch.long, device=grid.device)
        owner[frame] = self.owner.flatten()[real]
        mask = known.transpose(2, 3).reshape(count, 1, high * side, wide * side)
        pixels = grid.permute(0, 3, 1, 4, 2, 5).reshape(count, 3, high * side, wide * side)
        return ImageContent(pixels, owner, None if known.all() else mask)

    def written(self, layout: Layout, tensor: Tensor, pixels: Tensor) -> Tensor:
        """Return the tensor with other images."""
        frame, row, column, real = self._flat()
        side = layout.side
        grid = pixels.view(len(pixels), 3, pixels.shape[2] // side, side, pixels.shape[3] // side, side)
        parts = grid.permute(0, 2, 4, 1, 3, 5)[frame, row, column]
        rows = layout.rows(tensor).flatten(0, self.owner.ndim - 1)
        packed = layout.packed_parts(parts).reshape(-1, *rows.shape[1:])
        if not real.all():
            packed = rows.index_put((real.nonzero()[:, 0],), packed)
        return layout.unrows(packed).reshape(tensor.shape)

    def _flat(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return frame, row and column of the patches that are not padding, and which these are."""
        real = (self.frame >= 0).flatten()
        pairs = torch.stack([self.owner.flatten()[real], self.frame.flatten()[real]], 1)
        frame = torch.unique_consecutive(pairs, dim=0, return_inverse=True)[1]
        return frame, self.row.flatten()[real], self.column.flatten()[real], real

    def of_samples(self, samples: Sequence[int]) -> "Patches":
        """Return the part that some samples have, in that order."""
        index, owner = _index(self.row_owner, samples)
        return self._changed(lambda part: part[index], _spread(owner, self.owner[index]))

    def to(self, device: torch.device) -> "Patches":
        """Return the same on a device."""
        return self._changed(lambda part: part.to(device), self.owner.to(device))

    def _changed(self, change: Callable[[Tensor], Tensor], owner: Tensor) -> "Patches":
        mask = None if self.mask is None else change(self.mask)
        return Patches(
            owner=owner, frame=change(self.frame), row=change(self.row), column=change(self.column), mask=mask
        )

    def areas(self) -> tuple[Tensor, Tensor]:
        """Return the owner of each image, and how much content it has, in patches."""
        frame, *_, real = self._flat()
        owner = torch.zeros(int(frame.max()) + 1, dtype=torch.long, device=frame.device)
        owner[frame] = self.owner.flatten()[real]
        return owner, frame.bincount()


def _of_rows(owner: Tensor) -> Tensor:
    """Return the owner of each row of the first dimension."""
    return owner.flatten(1)[:, 0] if owner.ndim > 1 else owner


def _index(owner: Tensor, samples: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the rows of some samples, (n,), and which of the samples each is of, counted from 0, (n,)."""
    found = [(owner == sample).nonzero()[:, 0] for sample in samples]
    counts = torch.tensor([len(rows) for rows in found], device=owner.device)
    return torch.cat(found), torch.arange(len(samples), device=owner.device).repeat_interleave(counts)


def starts(place: "Places", samples: int) -> Tensor:
    """Return how many planes or patches come before each sample's first, (samples,)."""
    counts = place.owner.flatten().bincount(minlength=samples)
    return counts.cumsum(0) - counts


Places = Planes | Patches


def _spread(owner: Tensor, rows: Tensor) -> Tensor:
    """Return the owner of each row, (n,), for everything in it, of the shape of `rows`."""
    return owner.view(-1, *[1] * (rows.ndim - 1)).expand_as(rows).contiguous()


def joined(parts: Sequence[ImageContent]) -> ImageContent:
    """Return images of several tensors as one; smaller ones are padded with zeros on the right and at the bottom."""
    if len(parts) == 1:
        return parts[0]
    high, wide = (max(part.pixels.shape[axis] for part in parts) for axis in (2, 3))
    pixels, masks = [], []
    for part in parts:
        margins = (0, wide - part.pixels.shape[3], 0, high - part.pixels.shape[2])
        mask = torch.ones_like(part.pixels[:, :1], dtype=torch.bool) if part.mask is None else part.mask
        pixels.append(torch.nn.functional.pad(part.pixels, margins))
        masks.append(torch.nn.functional.pad(mask, margins))
    return ImageContent(torch.cat(pixels), torch.cat([part.owner for part in parts]), torch.cat(masks))
