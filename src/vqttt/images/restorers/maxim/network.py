"""MAXIM (Z. Tu et al., "MAXIM: Multi-Axis MLP for Image Processing", CVPR 2022).

Stages follow one another, each a U-Net: an encoder that halves the size at every level, a bottleneck, and a decoder
that doubles it again. At every level the decoder gets the features of all encoder levels, gated by the signal that
comes up from the bottleneck. Stages after the first also get the features of the one before. The last stage outputs the
difference between the restored image and the input.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqttt.images.restorers.maxim.blocks import (
    Conv,
    CrossGating,
    MultiAxisGatedMLP,
    ResidualChannelAttention,
    SupervisedAttention,
    Up,
)


@dataclasses.dataclass(frozen=True)
class Config:
    """The size of a network."""

    stages: int = 3
    width: int = 32
    """Channels at the first level; they double with each level."""
    sides: tuple[int, ...] = (16, 16, 8)
    """Side of the grid and of the blocks at each level; the bottleneck uses that of the last level."""
    groups: int = 2
    """Pairs of a multi-axis and an attention block in each encoder, bottleneck and decoder."""
    bottlenecks: int = 2

    @property
    def multiple(self) -> int:
        """The number of which height and width must be multiples."""
        return math.lcm(*(side << level for level, side in enumerate((*self.sides, self.sides[-1]))))

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> "Config":
        """Return the configuration of the network to which these weights belong.

        Raises:
            KeyError: if they are not the weights of a MAXIM network.
        """

        def count(prefix: str) -> int:
            return len({name[len(prefix) :].split(".")[0] for name in weights if name.startswith(prefix)})

        mix = "stages.0.encoders.{}.body.mixers.0.grid.mix.bias"
        levels = range(count("stages.0.encoders."))
        return cls(
            stages=count("stages."),
            width=len(weights["stages.0.inputs.0.bias"]),
            sides=tuple(math.isqrt(len(weights[mix.format(level)])) for level in levels),
            groups=count("stages.0.encoders.0.body.mixers."),
            bottlenecks=count("stages.0.bottleneck."),
        )


class Maxim(nn.Module):
    """The network: from images of shape (batch, height, width, 3), where white is 1, to restored ones."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.stages = nn.ModuleList(Stage(config, first=index == 0) for index in range(config.stages))
        self.output = Conv(config.width, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Restore an image whose height and width are multiples of `Config.multiple`."""
        strides = [1 << level for level in range(len(self.config.sides))]
        scales = [image[:, stride // 2 :: stride, stride // 2 :: stride] for stride in strides]
        features = None
        for stage in self.stages:
            features = stage(scales, features)
        assert features is not None, "a network has at least one stage"
        residue: Tensor = self.output(features.decoded[0])
        return image + residue


@dataclasses.dataclass(frozen=True)
class Features:
    """The features of a stage, for each level."""

    encoded: list[Tensor]
    decoded: list[Tensor]


class Stage(nn.Module):
    """One U-Net."""

    def __init__(self, config: Config, first: bool) -> None:
        super().__init__()
        sides, groups, count = config.sides, config.groups, len(config.sides)
        widths = [config.width << level for level in range(count)]
        bottom = widths[-1]
        levels = list(zip(widths, sides, [*widths[1:], bottom], strict=True))
        self.inputs = nn.ModuleList(Conv(3, width, 3, padding=1) for width in widths)
        if not first:
            self.supervised = nn.ModuleList(SupervisedAttention(width) for width in widths)
            self.fusions = nn.ModuleList(CrossGating(width, side, width) for width, side, _ in levels)
        above = [widths[0], *widths]
        self.encoders = nn.ModuleList(
            Encoder(above[level], width, side, groups, not first) for level, (width, side, _) in enumerate(levels)
        )
        self.bottleneck = nn.ModuleList(
            Groups(bottom, bottom, sides[-1], groups, dense=True) for _ in range(config.bottlenecks)
        )
        self.to_gates = nn.ModuleList(Resample(widths, level) for level in range(count))
        self.gates = nn.ModuleList(CrossGating(width, side, count * width, below) for width, side, below in levels)
        self.to_decoders = nn.ModuleList(Resample(widths, level) for level in range(count))
        self.decoders = nn.ModuleList(Decoder(width, side, groups, count, below) for width, side, below in levels)

    def forward(self, scales: Sequence[Tensor], before: Features | None) -> Features:
        """Compute features; `scales` has the image at the size of each level, `before` those of the previous stage."""
        inputs = [conv(scale) for conv, scale in zip(self.inputs, scales, strict=True)]
        if before is not None:
            for level, scale in enumerate(scales):
                attended = self.supervised[level](before.decoded[level], scale)
                inputs[level], _ = self.fusions[level](inputs[level], attended)
        x, encoded = inputs[0], []
        for level, encoder in enumerate(self.encoders):
            memory = None if before is None else before.encoded[level] + before.decoded[level]
            found, x = encoder(x, inputs[level], memory)
            encoded.append(found)
        for groups in self.bottleneck:
            x = groups(x)

        upward = range(len(scales) - 1, -1, -1)
        signal, gated, decoded = x, list(encoded), list(encoded)
        for level in upward:
            gated[level], signal = self.gates[level](torch.cat(self.to_gates[level](encoded), dim=-1), signal)
        for level in upward:
            x = self.decoders[level](x, self.to_decoders[level](gated)[::-1])
            decoded[level] = x
        return Features(encoded, decoded)


class Groups(nn.Module):
    """Multi-axis blocks, each followed by an attention block, with a skip connection around all of them."""

    def __init__(self, inward: int, width: int, side: int, groups: int, dense: bool = False) -> None:
        super().__init__()
        self.enter = nn.Linear(inward, width)
        self.mixers = nn.ModuleList(MultiAxisGatedMLP(width, side) for _ in range(groups))
        self.attentions = nn.ModuleList(ResidualChannelAttention(width, dense) for _ in range(groups))

    def forward(self, x: Tensor) -> Tensor:
        """Transform `x`."""
        inner = shortcut = self.enter(x)
        for mixer, attention in zip(self.mixers, self.attentions, strict=True):
            inner = attention(mixer(inner))
        result: Tensor = shortcut + inner
        return result


class Encoder(nn.Module):
    """One level on the way down."""

    def __init__(self, above: int, width: int, side: int, groups: int, crossed: bool) -> None:
        super().__init__()
        self.body = Groups(above + width, width, side, groups)
        self.cross = CrossGating(width, side, width) if crossed else None
        self.down = Conv(width, width, 4, stride=2, padding=1)

    def forward(self, x: Tensor, scale: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the features of this level, and those for the next; `memory` comes from the previous stage."""
        x = self.body(torch.cat([x, scale], dim=-1))
        if self.cross is not None:
            x, _ = self.cross(x, memory)
        return x, self.down(x)


class Decoder(nn.Module):
    """One level on the way up."""

    def __init__(self, width: int, side: int, groups: int, levels: int, below: int) -> None:
        super().__init__()
        self.up = Up(below, width)
        self.body = Groups((1 + levels) * width, width, side, groups)

    def forward(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        """Return the features of this level, from those below and those of the skip connections."""
        found: Tensor = self.body(torch.cat([self.up(x), *skips], dim=-1))
        return found


class Resample(nn.Module):
    """Bring the features of all levels to the size and width of one."""

    def __init__(self, widths: Sequence[int], level: int) -> None:
        super().__init__()
        self.level = level
        self.project = nn.ModuleList(nn.Linear(width, widths[level]) for width in widths)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return the resampled features, from the first level to the last."""
        resampled = []
        for level, (project, x) in enumerate(zip(self.project, features, strict=True)):
            # Both steps are linear, so their order is free: the projection is done where there are fewer pixels.
            if level < self.level:
                x = project(_resize(x, 0.5 ** (self.level - level)))
            else:
                x = _resize(project(x), 2.0 ** (level - self.level))
            resampled.append(x)
        return resampled


def _resize(x: Tensor, ratio: float) -> Tensor:
    if ratio == 1:
        return x
    mode, smooth = "bilinear", ratio < 1
    return F.interpolate(x.permute(0, 3, 1, 2), scale_factor=ratio, mode=mode, antialias=smooth).permute(0, 2, 3, 1)
