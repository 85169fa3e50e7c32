"""The image content of a batch as images, and how to work on what is content and leave padding alone."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor


class ImageContent(NamedTuple):
    """The image content of a batch, viewed as images whatever layout the family uses.

    `pixels` is (P, 3, H, W), normalised; `owner` (P,) says which sample an image belongs to; `mask`, (P, 1, H, W), is
    True where there is content, a rectangle or nothing, and False on padding, which must stay what it was; None where
    nothing is padding.
    """

    pixels: Tensor
    owner: Tensor
    mask: Tensor | None

    def contents(self) -> Iterator[tuple[Tensor, tuple[slice, slice]]]:
        """Yield groups of images whose content has the same place: which they are, (p,), its rows and columns.

        An image that is padding alone is in no group.
        """
        device = self.pixels.device
        if self.mask is None:
            if len(self.pixels):
                yield torch.arange(len(self.pixels), device=device), (slice(None), slice(None))
            return
        groups: dict[tuple[int, ...], list[int]] = {}
        for n, place in enumerate(_places(self.mask[:, 0])):
            if place[1] > place[0]:
                groups.setdefault(place, []).append(n)
        for (top, bottom, left, right), which in groups.items():
            yield torch.tensor(which, device=device), (slice(top, bottom), slice(left, right))

    def averaged(self, measure: Callable[[Tensor], Tensor], count: int, *shape: int) -> Tensor:
        """Return for each of `count` samples the mean of `measure` over its images' content, (count, *shape).

        `measure` is given content (p, 3, h, w) and returns (p, *shape). Zeros where a sample has none; gradients pass.
        """
        total = torch.zeros(count, *shape, device=self.pixels.device)
        seen = torch.zeros(count, *[1] * len(shape), device=self.pixels.device)
        for which, (rows, columns) in self.contents():
            owner, found = self.owner[which], measure(self.pixels[which][..., rows, columns])
            total = total.index_add(0, owner, found.to(total.dtype))
            seen = seen.index_add(0, owner, torch.ones(len(owner), *seen.shape[1:], device=seen.device))
        return total / seen.clamp_min(1)

    def changed(self, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return the pixels with `change` made to the content; padding keeps every bit. Gradients pass.

        `change` is given content (p, 3, h, w), cut out so that padding cannot bleed into it, and which images it is
        of, (p,). It returns as many pixels, or several views of them, (V, p, 3, h, w), and then so does this.
        """
        if self.mask is None:
            return change(self.pixels, torch.arange(len(self.pixels), device=self.pixels.device))
        made = [
            (which, rows, columns, change(self.pixels[which][..., rows, columns], which))
            for which, (rows, columns) in self.contents()
        ]
        views = made[0][-1].shape[:-4] if made else ()
        out = self.pixels.expand(*views, *self.pixels.shape).clone()
        for which, rows, columns, content in made:
            out[..., which, :, rows, columns] = content
        return out


def _places(mask: Tensor) -> list[tuple[int, ...]]:
    """Return each content's first and last row and column, the last ones exclusive; zeros where there is none."""
    edges = []
    for content in (mask.any(2), mask.any(1)):
        first = content.int().argmax(1)
        edges += [first, first + content.sum(1)]
    return [tuple(place) for place in torch.stack(edges, 1).tolist()]
