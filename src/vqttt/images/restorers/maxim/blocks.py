"""The blocks that MAXIM is built from, named as in the paper.

Tensors between them are (batch, height, width, channels): most layers mix only channels, so with channels last they are
plain matrix products.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Norm(nn.LayerNorm):
    """Layer normalisation over channels."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-6)


class Conv(nn.Conv2d):
    """A convolution with channels last; needs no copy if its weights are stored in that order as well."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Up(nn.ConvTranspose2d):
    """A transposed convolution that doubles height and width."""

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__(inward, outward, 2, stride=2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Enlarge."""
        return super().forward(x.permute(0, 3, 1, 2), output_size).permute(0, 2, 3, 1)


class SpatialMix(nn.Linear):
    """A linear layer along the first axis, the same for all channels."""

    def __init__(self, side: int) -> None:
        super().__init__(side * side, side * side)

    def forward(self, cells: Tensor) -> Tensor:
        """Mix."""
        return torch.addmm(self.bias[:, None], self.weight, cells.flatten(1)).view_as(cells)


class MultiAxis(nn.Module):
    """Mix pixels in space: one half of the channels along a grid over the whole image, the other within small blocks.

    Pixels that are mixed with each other are put on the first axis: `side` x `side` of them, spread evenly over the
    image, or next to each other.
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.norm = Norm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.project = nn.Linear(2 * width, width)

    def along_axes(self, x: Tensor, grid: Callable[[Tensor], Tensor], block: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the projection of both halves; `grid` and `block` take and give (side**2, anything, channels)."""
        batch, height, width, channels = x.shape
        side, rows, columns = self.side, height // self.side, width // self.side
        result = self.project.bias.expand_as(x).contiguous()
        shapes = ((batch, side, rows, side, columns, channels), (batch, rows, side, columns, side, channels))
        orders = ((1, 3, 2, 0, 4, 5), (2, 4, 1, 0, 3, 5))
        expand = zip(self.expand.weight.chunk(2), self.expand.bias.chunk(2), strict=True)
        project = self.project.weight.chunk(2, dim=1)
        for mix, shape, order, (weight, bias), back in zip((grid, block), shapes, orders, expand, project, strict=True):
            source, target = x.view(shape).permute(order), result.view(shape).permute(order)
            # One row of cells at a time fits into a processor's cache.
            for row in range(rows):
                cells = source[:, :, row].reshape(side * side, -1, channels)
                cells = F.linear(mix(_gelu(F.linear(self.norm(cells), weight, bias))), back)
                target[:, :, row] += cells.view(side, side, batch, columns, channels)
        return result


class GatedMLP(nn.Module):
    """A gMLP (Liu et al. 2021): one half of the channels, mixed along the first axis, gates the other half."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.norm = Norm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.gate_norm = Norm(width)
        self.mix = SpatialMix(side)
        self.project = nn.Linear(width, width)

    def forward(self, cells: Tensor) -> Tensor:
        """Transform `cells` and add the result to them."""
        kept, gate = _gelu(self.expand(self.norm(cells))).chunk(2, dim=-1)
        transformed: Tensor = self.project(torch.addcmul(kept, kept, self.mix(self.gate_norm(gate))))
        return cells + transformed


class MultiAxisGatedMLP(MultiAxis):
    """The multi-axis gated MLP block."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__(width, side)
        self.grid, self.block = GatedMLP(width, side), GatedMLP(width, side)

    def forward(self, x: Tensor) -> Tensor:
        """Transform `x` and add the result to it."""
        return x + self.along_axes(x, self.grid, self.block)


class SpatialGate(MultiAxis):
    """The gate that one of two signals computes for the other."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__(width, side)
        self.grid, self.block = SpatialMix(side), SpatialMix(side)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gate."""
        return self.along_axes(x, self.grid, self.block)


class ChannelAttention(nn.Module):
    """Squeeze and excitation: weights for the channels, from the mean of each over the image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, width // 4)
        self.excite = nn.Linear(width // 4, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the weights of the channels of `x`."""
        return torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean(dim=(1, 2), keepdim=True)))))


class ResidualChannelAttention(nn.Module):
    """The residual channel attention block: two convolutions of 3 x 3 (1 x 1 in the bottleneck), then attention."""

    def __init__(self, width: int, dense: bool = False) -> None:
        super().__init__()
        self.dense = dense
        self.norm = Norm(width)
        self.first = nn.Linear(width, width) if dense else Conv(width, width, 3, padding=1)
        self.second = nn.Linear(width, width) if dense else Conv(width, width, 3, padding=1)
        self.attention = ChannelAttention(width)

    def forward(self, x: Tensor) -> Tensor:
        """Transform `x` and add the result to it."""
        inner = self.first(self.norm(x))
        inner = self.second(_gelu(inner) if self.dense else F.leaky_relu(inner, 0.2, inplace=True))
        return torch.addcmul(x, inner, self.attention(inner))


class CrossGating(nn.Module):
    """The cross-gating block: two signals gate each other, and the second is added to the first."""

    def __init__(self, width: int, side: int, inward: int, below: int | None = None) -> None:
        """Make a block of `width` channels for a signal of `inward` channels and one of `below`, at half the size."""
        super().__init__()
        self.up = Up(below, width) if below else nn.Identity()
        self.enter_x, self.enter_y = nn.Linear(inward, width), nn.Linear(width, width)
        self.norm_x, self.norm_y = Norm(width), Norm(width)
        self.expand_x, self.expand_y = nn.Linear(width, width), nn.Linear(width, width)
        self.gate_x, self.gate_y = SpatialGate(width, side), SpatialGate(width, side)
        self.project_x, self.project_y = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return both signals, gated."""
        x, y = self.enter_x(x), self.enter_y(self.up(y))
        inner_x, inner_y = _gelu(self.expand_x(self.norm_x(x))), _gelu(self.expand_y(self.norm_y(y)))
        y = y + self.project_y(inner_y * self.gate_x(inner_x))
        x = x + y + self.project_x(inner_x * self.gate_y(inner_y))
        return x, y


class SupervisedAttention(nn.Module):
    """The supervised attention module (Zamir et al. 2021): a first estimate of the image decides what to pass on."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.features = Conv(width, width, 3, padding=1)
        self.estimate = Conv(width, 3, 3, padding=1)
        self.mask = Conv(3, width, 3, padding=1)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """Return the features for the next stage; `image` is the input image at the size of `x`."""
        mask = torch.sigmoid(self.mask(image + self.estimate(x)))
        return torch.addcmul(x, self.features(x), mask)


def _gelu(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")
