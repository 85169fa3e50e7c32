"""The blocks that MAXIM is built of, named as in the paper.

What flows between them is (batch, height, width, channels): most layers mix channels alone, and so are plain matrix
products.
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
    """A convolution that takes and gives channels last; without a copy, if its weights lie in that order, too."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Up(nn.ConvTranspose2d):
    """Twice the height and width, by a transposed convolution."""

    def __init__(self, inward: int, outward: int) -> None:
        super().__init__(inward, outward, 2, stride=2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Enlarge."""
        return super().forward(x.permute(0, 3, 1, 2), output_size).permute(0, 2, 3, 1)


class SpatialMix(nn.Linear):
    """Mix what lies along the first axis, the same way for all channels."""

    def __init__(self, side: int) -> None:
        super().__init__(side * side, side * side)

    def forward(self, cells: Tensor) -> Tensor:
        """Mix."""
        return torch.addmm(self.bias[:, None], self.weight, cells.flatten(1)).view_as(cells)


class MultiAxis(nn.Module):
    """Two halves of the channels, each mixed in space: along a grid over the whole image, and within small blocks.

    Pixels that are mixed with each other are put on the first axis: `side` x `side` of them, spread evenly over the
    image or lying side by side.
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
            # A row of cells at a time, which is what a processor's cache holds.
            for row in range(rows):
                cells = source[:, :, row].reshape(side * side, -1, channels)
                cells = F.linear(mix(_gelu(F.linear(self.norm(cells), weight, bias))), back)
                target[:, :, row] += cells.view(side, side, batch, columns, channels)
        return result


class GatedMLP(nn.Module):
    """A gMLP (Liu et al. 2021): half of the channels, mixed along the first axis, gates the other half."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.norm = Norm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.gate_norm = Norm(width)
        self.mix = SpatialMix(side)
        self.project = nn.Linear(width, width)

    def forward(self, cells: Tensor) -> Tensor:
        """Transform `cells` and add them."""
        kept, gate = _gelu(self.expand(self.norm(cells))).chunk(2, dim=-1)
        transformed: Tensor = self.project(torch.addcmul(kept, kept, self.mix(self.gate_norm(gate))))
        return cells + transformed


class MultiAxisGatedMLP(MultiAxis):
    """The multi-axis gated MLP block."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__(width, side)
        self.grid, self.block = GatedMLP(width, side), GatedMLP(width, side)

    def forward(self, x: Tensor) -> Tensor:
        """Transform `x` and add it."""
        return x + self.along_axes(x, self.grid, self.block)


class SpatialGate(MultiAxis):
    """The gate that one of two crossing signals makes for the other."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__(width, side)
        self.grid, self.block = SpatialMix(side), SpatialMix(side)

    def forward(self, x: Tensor) -> Tensor:
        """Return the gate."""
        return self.along_axes(x, self.grid, self.block)


class ChannelAttention(nn.Module):
    """Squeeze and excitation: how much of each channel is kept depends on its mean over the image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, width // 4)
        self.excite = nn.Linear(width // 4, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the weights of the channels of `x`."""
        return torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean(dim=(1, 2), keepdim=True)))))


class ResidualChannelAttention(nn.Module):
    """The residual channel attention block: two convolutions of 3 x 3 (in the bottleneck of 1 x 1), then attention."""

    def __init__(self, width: int, dense: bool = False) -> None:
        super().__init__()
        self.dense = dense
        self.norm = Norm(width)
        self.first = nn.Linear(width, width) if dense else Conv(width, width, 3, padding=1)
        self.second = nn.Linear(width, width) if dense else Conv(width, width, 3, padding=1)
        self.attention = ChannelAttention(width)

    def forward(self, x: Tensor) -> Tensor:
        """Transform `x` and add it."""
        inner = self.first(self.norm(x))
        inner = self.second(_gelu(inner) if self.dense else F.leaky_relu(inner, 0.2, inplace=True))
        return torch.addcmul(x, inner, self.attention(inner))


class CrossGating(nn.Module):
    """The cross-gating block: two signals gate each other; the first one also takes up the second."""

    def __init__(self, width: int, side: int, inward: int, below: int | None = None) -> None:
        """Make a block of `width` channels for a signal of `inward`, and one of `below` that is half as large."""
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
    """The supervised attention module (Zamir et al. 2021): a first estimate of the image says what to pass on."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.features = Conv(width, width, 3, padding=1)
        self.estimate = Conv(width, 3, 3, padding=1)
        self.mask = Conv(3, width, 3, padding=1)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """Return the features `x` that go to the next stage; `image` is the image at their size."""
        mask = torch.sigmoid(self.mask(image + self.estimate(x)))
        return torch.addcmul(x, self.features(x), mask)


def _gelu(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")
