"""The images in an encoded batch: a view that lets code change their content and leaves padding untouched."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vqttt.errors import ModelError
from vqttt.types import Image


class ImageContent(NamedTuple):
    """The images of a batch, in the same form for every family.

    Attributes:
        pixels: (P, 3, H, W), normalised.
        owner: (P,), the sample that each image belongs to.
        mask: (P, 1, H, W), True on content, which is a rectangle or empty, and False on padding, which must not
            change. None if there is no padding.
    """

    pixels: Tensor
    owner: Tensor
    mask: Tensor | None

    def contents(self) -> Iterator[tuple[Tensor, tuple[slice, slice]]]:
        """Yield groups of images whose content is the same rectangle: their numbers (p,), and its rows and columns.

        An image that is all padding is in no group.
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
        """Return the mean of `measure` over each sample's images, (count, *shape). Gradients pass.

        Args:
            measure: maps content (p, 3, h, w) to (p, *shape).
            count: number of samples. Those without an image get zeros.
            shape: shape of one measurement.
        """
        total = torch.zeros(count, *shape, device=self.pixels.device)
        images = torch.zeros(count, *[1] * len(shape), device=self.pixels.device)
        for which, (rows, columns) in self.contents():
            owner, measured = self.owner[which], measure(self.pixels[which][..., rows, columns])
            total = total.index_add(0, owner, measured.to(total.dtype))
            images = images.index_add(0, owner, torch.ones(len(owner), *images.shape[1:], device=images.device))
        return total / images.clamp_min(1)

    def changed(self, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return the pixels with `change` applied to the content; padding keeps every bit. Gradients pass.

        Args:
            change: takes content (p, 3, h, w), cropped so that padding cannot bleed into it, and the numbers of its
                images, (p,). Returns new content of that shape, or V versions of it, (V, p, 3, h, w).

        Returns:
            (P, 3, H, W), or (V, P, 3, H, W) for V versions.
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


def apart_from_padding(pixels: Tensor, mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return images whose content is not all zeros, for a model that drops images of zeros as padding.

    Where content has become zero, for example a white tile under a shift of brightness, it is set to the smallest
    normal number of `dtype`: at most 6.1e-5, in float16, where one level of 255 is 7.8e-3 or more. All other images
    keep every bit. Gradients pass as if nothing were set.

    Args:
        pixels: (P, 3, H, W), normalised.
        mask: (P, 1, H, W), True on content.
        dtype: that in which the model compares with zero.
    """
    empty = mask.flatten(1).any(1) & (pixels.to(dtype) == 0).flatten(1).all(1)
    if not empty.any():
        return pixels
    least = max(torch.finfo(dtype).tiny, torch.finfo(pixels.dtype).tiny)
    return torch.where(empty[:, None, None, None] & mask, pixels + (least - pixels).detach(), pixels)


def check_finite(pixels: Tensor) -> None:
    """Refuse pixels that cannot be shown as an image; a level that is not a number would become black.

    Raises:
        ModelError: if any value is not finite.
    """
    if not pixels.isfinite().all():
        raise ModelError("the image has values that are not finite, so it cannot be shown; try another dtype")


def denormalised(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Image:
    """Return pixels (3, H, W) as an image; values outside 0 to 255 are clipped.

    Args:
        pixels: normalised.
        mean: of the normalisation, by channel, of levels from 0 to 1.
        std: likewise.

    Raises:
        ModelError: if any value is not finite.
    """
    check_finite(pixels)
    middle, scale = (pixels.new_tensor(values, dtype=torch.float32)[:, None, None] for values in (mean, std))
    levels = ((pixels.float() * scale + middle).clamp(0, 1) * 255).round().to(torch.uint8)
    image: Image = levels.permute(1, 2, 0).cpu().numpy()
    return image


def normalised(image: Image, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return an image as pixels (3, H, W): the inverse of `denormalised`, up to rounding."""
    middle, scale = (torch.tensor(values)[:, None, None] for values in (mean, std))
    return (torch.tensor(image).permute(2, 0, 1).float() / 255 - middle) / scale


def _places(mask: Tensor) -> list[tuple[int, ...]]:
    """Return the rectangle of each mask (P, H, W): top, bottom, left, right; bottom and right exclusive.

    An empty mask gives zeros.
    """
    edges = []
    for content in (mask.any(2), mask.any(1)):
        first = content.int().argmax(1)
        edges += [first, first + content.sum(1)]
    return [tuple(place) for place in torch.stack(edges, 1).tolist()]
