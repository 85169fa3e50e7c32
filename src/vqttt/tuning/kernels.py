"""Kernels on the pixels before the vision encoder: the identity plus a low-rank part that is zero at the start.

A kernel has coefficients for each image, and is linear in the image given them. It may have several `sets` of
parameters: one for a whole stream, or one an image, tuned side by side. The paper says that a learnable low-rank kernel
modulates the image's frequency content; parametrisations, sizes and banks are our choice.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from vqttt.registry import Registry
from vqttt.tuning.filters import BANDS, blurred, laplacian, padded
from vqttt.tuning.spectrum import DESCRIPTORS, describe


@dataclass(frozen=True, kw_only=True)
class KernelConfig:
    """Of what size a kernel is.

    Attributes:
        size: side of the `separable` kernel in pixels of the model's input, odd.
        rank: number of outer products of the `separable` kernel.
        hidden: units of the predictor of the `conditional` kernel.
    """

    size: int = 9
    rank: int = 2
    hidden: int = 16

    def __post_init__(self) -> None:
        """Reject what cannot be built."""
        if self.size < 3 or self.size % 2 == 0:
            raise ValueError(f"a kernel's size must be odd and at least 3, not {self.size}")
        if self.rank < 1 or self.hidden < 1:
            raise ValueError(f"a kernel's rank and hidden units must be at least 1, not {self.rank} and {self.hidden}")


class Kernel(ABC):
    """K = identity + a low-rank part of zero sum, so that brightness is kept (unit DC gain).

    Attributes:
        parameters: what is tuned, each (sets, ...).
    """

    def __init__(self, config: KernelConfig, sets: int, generator: torch.Generator) -> None:
        """Start at the identity; what is drawn comes from `generator`, and is the same for every set."""
        self.config = config
        self.parameters = [tensor.expand(sets, *tensor.shape).clone() for tensor in self.start(generator)]

    @abstractmethod
    def start(self, generator: torch.Generator) -> list[Tensor]:
        """Return one set's parameters at the identity."""

    @abstractmethod
    def coefficients(self, pixels: Tensor, owner: Tensor) -> Tensor:
        """Return what each of the images (P, 3, H, W) is filtered by, (P, ...), image p under the set owner[p]."""

    @abstractmethod
    def change(self, coefficients: Tensor, pixels: Tensor) -> Tensor:
        """Return what the low-rank part adds to pixels (P, 3, H, W)."""

    @torch.no_grad()
    def shown(self, pixels: Tensor, owner: Tensor, side: int = 33) -> Tensor:
        """Return the kernel K of each image, (P, side, side): what becomes of a point."""
        point = torch.zeros(len(pixels), 1, side, side, device=pixels.device)
        point[:, :, side // 2, side // 2] = 1
        return (point + self.change(self.coefficients(pixels, owner), point))[:, 0]


class Separable(Kernel):
    """K = identity + sum_r u_r v_r^T, every v_r centred to sum to zero; u starts at 0, v is drawn."""

    def start(self, generator: torch.Generator) -> list[Tensor]:
        """Return u and v in one tensor (2, rank, size)."""
        drawn = torch.randn(self.config.rank, self.config.size, generator=generator) / self.config.size**0.5
        return [torch.stack([torch.zeros_like(drawn), drawn])]

    def coefficients(self, pixels: Tensor, owner: Tensor) -> Tensor:
        """Return u and the centred v, (P, 2, rank, size)."""
        u, v = self.parameters[0][owner].unbind(1)
        return torch.stack([u, v - v.mean(-1, keepdim=True)], 1)

    def change(self, coefficients: Tensor, pixels: Tensor) -> Tensor:
        """Convolve with v along rows and u along columns."""
        u, v = coefficients.to(pixels.dtype).unbind(1)
        count, channels, height, width = pixels.shape
        size = self.config.size
        flat = padded(pixels, size // 2).reshape(1, count * channels, height + size - 1, width + size - 1)
        out = torch.zeros_like(pixels)
        for r in range(self.config.rank):
            row = v[:, r].repeat_interleave(channels, 0)[:, None, None, :]
            column = u[:, r].repeat_interleave(channels, 0)[:, None, :, None]
            filtered = F.conv2d(F.conv2d(flat, row, groups=count * channels), column, groups=count * channels)
            out = out + filtered.reshape_as(pixels)
        return out


class Interpolation(Kernel):
    """K = identity + sum_m w_m (G_m - identity) over a bank of Gaussian blurs G_m, each an outer product.

    The weights start at 0; a positive one blurs, a negative one sharpens, as an unsharp mask does.
    """

    sigmas = (0.6, 1.0, 1.7, 2.8)

    def start(self, generator: torch.Generator) -> list[Tensor]:
        """Return the weights, (bank,)."""
        return [torch.zeros(len(self.sigmas))]

    def coefficients(self, pixels: Tensor, owner: Tensor) -> Tensor:
        """Return each image's weights, (P, bank)."""
        return self.parameters[0][owner]

    def change(self, coefficients: Tensor, pixels: Tensor) -> Tensor:
        """Mix the bank, which needs no gradient itself."""
        with torch.no_grad():
            bank = torch.stack([blurred(pixels, sigma) - pixels for sigma in self.sigmas])
        return torch.einsum("pm,mpchw->pchw", coefficients.to(pixels.dtype), bank)


class Pyramid(Kernel):
    """K = sum_b exp(g_b) L_b + mean: gains in seven bands of a Laplacian pyramid, from finest detail to illumination.

    L_b is the difference of two Gaussian blurs (Burt and Adelson 1983); the first is the image itself, the last is
    infinitely wide: the image's mean in each channel, which is kept. The gains are g_b + 2 g, g being one for all
    bands, the contrast; all start at 0. They are bounded by `limit` on either side, so that no band can run away.
    """

    limit = 1.5
    pull = 2.0

    def start(self, generator: torch.Generator) -> list[Tensor]:
        """Return the gains by band and that of all, (bands + 1,)."""
        return [torch.zeros(BANDS + 1)]

    def coefficients(self, pixels: Tensor, owner: Tensor) -> Tensor:
        """Return each image's logarithmic gain by band, (P, bands)."""
        return self._gains(self.parameters[0][owner])

    def _gains(self, raw: Tensor) -> Tensor:
        gains = raw[:, :-1] + self.pull * raw[:, -1:]
        return self.limit * torch.tanh(gains / self.limit)

    def change(self, coefficients: Tensor, pixels: Tensor) -> Tensor:
        """Take the image apart, which needs no gradient, and weigh the parts."""
        return torch.einsum("pb,bpchw->pchw", torch.expm1(coefficients).to(pixels.dtype), laplacian(pixels))


class Conditional(Pyramid):
    """A pyramid whose gains each image gets from its own spectrum, in one forward pass; the predictor is tuned.

    Two layers with tanh between them, some 600 weights; the last is zero at the start. Where quality differs from
    image to image no fixed kernel fits, and what is learned here of one image serves the next of its like.
    """

    def start(self, generator: torch.Generator) -> list[Tensor]:
        """Return first layer, its bias, second layer, its bias."""
        first = torch.randn(self.config.hidden, DESCRIPTORS, generator=generator) / DESCRIPTORS**0.5
        outputs = BANDS + 1
        second = torch.zeros(outputs, self.config.hidden)
        return [first, torch.zeros(self.config.hidden), second, torch.zeros(outputs)]

    def coefficients(self, pixels: Tensor, owner: Tensor) -> Tensor:
        """Predict each image's logarithmic gain by band, (P, bands)."""
        with torch.no_grad():
            described = describe(pixels)
        first, first_bias, second, second_bias = (tensor[owner] for tensor in self.parameters)
        units = torch.tanh(torch.einsum("phf,pf->ph", first, described) + first_bias)
        return self._gains(torch.einsum("poh,ph->po", second, units) + second_bias)


KERNELS: Registry[Any] = Registry("kernel")
KERNELS.add("interpolation", Interpolation, "a mixture of Gaussian blurs, sharpening where a weight is negative")
KERNELS.add("separable", Separable, "a free sum of outer products of zero mean")
KERNELS.add("pyramid", Pyramid, "gains by band of a Laplacian pyramid")
KERNELS.add("conditional", Conditional, "gains by band that each image gets from its own spectrum")
