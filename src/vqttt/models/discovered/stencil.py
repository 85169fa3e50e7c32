"""Where the images of a batch lie in the tensors that a processor made of them.

A processor is asked once more, with images of the same sizes that say where they are: their red rises from left to
right, their green from top to bottom, and their blue tells the image's number. What it makes of them shows, for any
layout, which values are content and which are padding, whose image each value is of, and where in it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vqttt.errors import InputError
from vqttt.models.discovered.layout import Layout, Levels
from vqttt.models.discovered.places import Patches, Places, Planes
from vqttt.types import Image

Shown = Sequence[Sequence[Image]]
"""The images of each sample."""

Sizes = tuple[tuple[tuple[int, int], ...], ...]
"""Height and width, in pixels, of each sample's images."""

LEAST_GAP = 0.2
"""Levels between neighbouring patches at least; less is rounding."""

MOST_IMAGES = 255
"""Images in a batch at most; each has a level of blue."""


def coded(sizes: Sizes) -> Shown:
    """Return images of these sizes that say where they are (see the module).

    Raises:
        InputError: if there are too many to tell apart.
    """
    if sum(map(len, sizes)) > MOST_IMAGES:
        raise InputError(f"at most {MOST_IMAGES} images can be in a batch; use a smaller one")
    levels = iter(range(MOST_IMAGES, 0, -1))
    return [[_coded(height, width, next(levels)) for height, width in own] for own in sizes]


def _coded(height: int, width: int, level: int) -> Image:
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, width).round()
    image[..., 1] = np.linspace(0, 255, height).round()[:, None]
    image[..., 2] = level
    return image


def grey(sizes: Sizes, level: int) -> Shown:
    """Return images of these sizes, all of one level, 0 to 255."""
    return [[np.full((*size, 3), level, np.uint8) for size in own] for own in sizes]


def read_places(
    layout: Layout, levels: Levels, shown: Tensor, black: Tensor, sizes: Sizes, lengths: Tensor | None
) -> Places:
    """Return where images lie in a tensor of pixels.

    Args:
        layout: of the tensor.
        levels: by which its values are levels.
        shown: the tensor of coded images.
        black: the tensor of black images of the same sizes.
        sizes: those of the images.
        lengths: patches of each image or tile, (n,), if all are joined and the processor says it.

    Raises:
        InputError: if an image is so large, or so small, that its patches cannot be told apart.
    """
    red, green, blue = levels.of(layout.parts(shown)).unbind(-3)
    rise = blue - levels.of(layout.parts(black))[..., 2, :, :]  # 0 on padding, whatever its level
    level = rise.where(rise > 0.5, float("nan")).flatten(-2).nanmedian(-1).values.nan_to_num(0).round()
    image = (MOST_IMAGES - level.long()).where(level > 0, -1)
    if int(image.max()) >= sum(map(len, sizes)):
        raise InputError("an image is so small that it cannot be told from its padding; make it larger")
    # Half of the image's own level: where an image ends, a processor may blend it with padding.
    content = rise > level[..., None, None].clamp_min(1) / 2
    samples = torch.tensor([n for n, own in enumerate(sizes) for _ in own] or [0])
    owner = _owners(samples[image.clamp_min(0)], image >= 0, len(sizes))
    if not layout.packed:
        size = content.shape[-2] * content.shape[-1]
        return Planes(owner=owner, mask=None if content.all() else content.unsqueeze(-3), size=size)
    across, down = (_level(channel, content) for channel in (red, green))
    frame = _rows(image) if not layout.joined else image if lengths is None else _runs(image, lengths)
    row, column = _ranks(down, frame), _ranks(across, frame)
    _check_full(frame, row, column)
    whole = bool(content[frame >= 0].all())
    return Patches(owner=owner, frame=frame, row=row, column=column, mask=None if whole else content)


def _level(channel: Tensor, content: Tensor) -> Tensor:
    """Return the mean level of each patch's content."""
    return (channel.double() * content).sum((-2, -1)) / content.sum((-2, -1)).clamp_min(1)


def _owners(owner: Tensor, real: Tensor, samples: int) -> Tensor:
    """Return owners in which padding belongs to the sample whose place it is in."""
    if len(owner) == samples and owner.ndim > 1:
        rows = torch.arange(samples).view(-1, *[1] * (owner.ndim - 1)).expand_as(owner)
        if torch.equal(owner[real], rows[real]):  # one row a sample; not only as many rows as samples
            return rows.contiguous()
    last = torch.where(real.flatten(), torch.arange(real.numel()), 0).cummax(0).values
    return owner.flatten()[last].view_as(owner)


def _rows(image: Tensor) -> Tensor:
    """Return the number of the row that each patch is in; -1 for padding."""
    rows = image.flatten(0, -2)
    return torch.arange(len(rows))[:, None].expand_as(rows).where(rows >= 0, -1).view_as(image)


def _runs(image: Tensor, lengths: Tensor) -> Tensor:
    """Return the number of the run that each of the joined patches is in; -1 for padding."""
    return torch.arange(len(lengths)).repeat_interleave(lengths).where(image >= 0, -1)


def _ranks(level: Tensor, frame: Tensor) -> Tensor:
    """Return how many levels of its frame are below that of each patch."""
    place = torch.zeros_like(frame)
    for number in set(frame[frame >= 0].tolist()):
        own = frame == number
        order = level[own].sort()
        gaps = order.values.diff(prepend=order.values[:1])
        steps = (gaps > max(LEAST_GAP, 0.4 * float(gaps.max()))).long()
        ranks = torch.empty_like(order.indices)
        ranks[order.indices] = steps.cumsum(0)
        place[own] = ranks
    return place


def _check_full(frame: Tensor, row: Tensor, column: Tensor) -> None:
    """Check that the patches of every frame fill a rectangle.

    Raises:
        InputError: if they do not; levels rise too slowly in a very large image, and too fast in a tiny one.
    """
    for number in set(frame[frame >= 0].tolist()):
        own = frame == number
        height, width = int(row[own].max()) + 1, int(column[own].max()) + 1
        cells = row[own] * width + column[own]
        if len(cells) != height * width or len(set(cells.tolist())) != len(cells):
            raise InputError(
                "an image is too large or too small to tell its packed patches apart; make it smaller or larger"
            )
