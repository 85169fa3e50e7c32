"""How images are laid out in a tensor of pixel values."""

from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor

PLANES = "planes"
"""Images or tiles, (..., 3, H, W)."""

STRIP = "channel row patch column"
"""Patches side by side, (1, 3, side, patches * side)."""

CHANNELS_LAST = "frame row column channel"
ORDERS = ("frame channel row column", "channel frame row column", CHANNELS_LAST)
"""Orders in which the values of a packed patch may come."""

_AXES = {"frame": 0, "channel": 1, "row": 2, "column": 3}
FRAMES = (1, 2, 4)


@dataclass(frozen=True)
class Levels:
    """Black and white as pixel values, by channel: what a processor's normalisation makes of the levels 0 and 255."""

    black: tuple[float, ...]
    white: tuple[float, ...]

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation, by channel, of levels from 0 to 1."""
        scale = tuple(1 / (white - black) for black, white in zip(self.black, self.white, strict=True))
        return tuple(-black * std for black, std in zip(self.black, scale, strict=True)), scale

    def of(self, pixels: Tensor) -> Tensor:
        """Return the levels, 0 to 255, of pixel values (..., 3, H, W)."""
        black, white = (pixels.new_tensor(values)[:, None, None] for values in (self.black, self.white))
        return (pixels - black) / (white - black) * 255


@dataclass(frozen=True)
class Layout:
    """How images are laid out in a tensor.

    Attributes:
        order: `PLANES` for images or tiles, (..., 3, H, W); `STRIP`; or one of `ORDERS` for packed patches, whose
            values are the tensor's last dimensions.
        frames: how many equal frames a packed patch has.
        side: of a packed patch, in pixels.
        joined: whether all images' patches are in one row, (patches, values); else each row is an image of its own.
        dimensions: of the tensor at its end that hold a packed patch's values.
    """

    order: str = PLANES
    frames: int = 1
    side: int = 0
    joined: bool = False
    dimensions: int = 3

    @property
    def words(self) -> str:
        """The layout in a few words."""
        if not self.packed:
            return "images or tiles"
        kind = "patches side by side" if self.order == STRIP else "packed patches" if self.joined else "rows of patches"
        return f"{kind} of {self.side} pixels" + (f", {self.frames} frames" if self.frames > 1 else "")

    @property
    def packed(self) -> bool:
        """Whether the tensor holds patches, not whole images."""
        return self.order != PLANES

    def rows(self, tensor: Tensor) -> Tensor:
        """Return the tensor with a row for whatever can be selected."""
        if self.order != STRIP:
            return tensor
        return tensor.view(3, self.side, -1, self.side).permute(2, 0, 1, 3)

    def unrows(self, rows: Tensor) -> Tensor:
        """Return the tensor of such rows."""
        return rows if self.order != STRIP else rows.permute(1, 2, 0, 3).reshape(1, 3, self.side, -1)

    def parts(self, tensor: Tensor) -> Tensor:
        """Return the tensor as planes (..., 3, H, W), or patches (..., 3, side, side); of equal frames the first."""
        if not self.packed or self.order == STRIP:
            return self.rows(tensor)
        return self._ordered(tensor)[..., 0, :, :, :]

    def packed_parts(self, parts: Tensor) -> Tensor:
        """Return patches (n, 3, side, side) in the tensor's order, (n, ...)."""
        if self.order == STRIP:
            return parts
        frames = parts[:, None].expand(-1, self.frames, -1, -1, -1)
        return frames.permute(0, *(1 + _AXES[name] for name in self.order.split()))

    def equal_frames(self, tensor: Tensor) -> bool:
        """Tell whether all frames of each patch are equal."""
        if not self.packed or self.order == STRIP:
            return True
        ordered = self._ordered(tensor)
        return torch.equal(ordered, ordered[..., :1, :, :, :].expand_as(ordered))

    def _ordered(self, tensor: Tensor) -> Tensor:
        """Return patches as (..., frame, channel, row, column)."""
        names = self.order.split()
        sizes = {"frame": self.frames, "channel": 3, "row": self.side, "column": self.side}
        leading = tensor.shape[: tensor.ndim - self.dimensions]
        split = tensor.reshape(*leading, *(sizes[name] for name in names))
        return split.permute(*range(len(leading)), *(len(leading) + names.index(name) for name in _AXES))


def candidates(tensor: Tensor, patch: int) -> list[Layout]:
    """Return layouts that a tensor's shape allows.

    Args:
        tensor: pixel values.
        patch: side of the vision encoder's patches, in pixels; 0 if it is not known.
    """
    shape = tuple(tensor.shape)
    if tensor.ndim >= 4 and shape[-3] == 3:
        if patch and shape[-2] == patch and shape[-1] % patch == 0:
            if shape[0] == 1 and shape[-1] > patch:
                return [Layout(STRIP, side=patch, joined=True)]
            return [Layout(ORDERS[0], side=patch, joined=tensor.ndim == 4)]
        return [Layout()]
    if tensor.ndim >= 4 and shape[-1] == 3 and shape[-2] == shape[-3]:
        frames = shape[-4] if tensor.ndim > 4 else 1
        dimensions = 4 if tensor.ndim > 4 else 3
        return [Layout(CHANNELS_LAST, frames, shape[-2], joined=tensor.ndim == dimensions + 1, dimensions=dimensions)]
    if tensor.ndim < 2 or shape[-1] % 3:
        return []
    sides = {frames: isqrt(shape[-1] // 3 // frames) for frames in FRAMES}
    return [
        Layout(order, frames=frames, side=side, joined=tensor.ndim == 2, dimensions=1)
        for frames, side in sides.items()
        if 3 * frames * side**2 == shape[-1]
        for order in ORDERS
    ]
