"""Kernels that filter the pixels before the vision encoder: the identity plus a low-rank part that starts at zero.

A kernel has coefficients for each image; given these, it is linear in the image. It may have several sets of
parameters: one for a whole stream, or one per image, tuned side by side. The paper says only that a learnable low-rank
kernel modulates the image's frequency content; parametrisations and sizes are our choice.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from vqttt.registry import Registry
from vqttt.tuning.filters import PYRAMID_BANDS, blurred, laplacian, padded
from vqttt.tuning.spectrum import DESCRIPTORS, describe


@dataclass(frozen=True, kw_only=True)
class KernelConfig:
    """The size of a kernel. Each field applies to one kernel.

    Attributes:
        size: side length of the `separable` kernel in pixels of the model's input, odd.
        rank: number of outer products in the `separable` kernel.
        hidden: number of hidden units in the network of the `conditional` kernel.
    """

    size: int = 9
    rank: int = 2
    hidden: int = 16

    def __post_init__(self) -> None:
        """Reject sizes that cannot be built."""
        if self.size < 3 or self.size % 2 == 0:
            raise ValueError(f"a kernel's size must be odd and at least 3, not {self.size}")
        if self.rank < 1 or self.hidden < 1:
            raise ValueError(f"a kernel's rank and hidden units must be at least 1, not {self.rank} and {self.hidden}")


class Kernel(ABC):
    """K = identity + a low-rank part that sums to zero, so that brightness is kept (unit DC gain).

    Attributes:
        parameters: the tensors that are tuned, each (sets, ...).
    """

    def __init__(self, config: KernelConfig, sets: int, generator: torch.Generator) -> None:
        """Start every set at the identity, with the same random numbers, drawn from `generator`."""
        self.config = config
        self.parameters = [tensor.expand(sets, *tensor.shape).clone() for tensor in self.start(generator)]

    @abstractmethod
    def start(self, generator: torch.Generator) -> list[Tensor]:
        """Return the parameters of one set at the identity."""

    @abstractmethod
    def coefficients(self, pixels: Tensor, owner: Tensor) -> Tensor:
        """Return the coefficients of images (P, 3, H, W), (P, ...); image p uses the set owner[p]."""

    @abstractmethod
    def change(self, coefficients: Tensor, pixels: Tensor) -> Tensor:
        """Return what the low-rank part adds to pixels (P, C, H, W)."""

    @torch.no_grad()
    def impulse_response(self, pixels: Tensor, owner: Tensor, side: int = 33) -> Tensor:
        """Return the kernel K of each image, (P, side, side): how it filters a single bright pixel."""
        point = torch.zeros(len(pixels), 1, side, side, device=pixels.device)
        point[:, :, side // 2, side // 2] = 1
        return (point + self.change(self.coefficients(pixels, owner), point))[:, 0]


class Separable(Kernel):
    """K = identity + sum_r u_r v_r^T, with every v_r shifted to sum to zero; u starts at 0, v at random."""

    def start(self, generator: torch.Generator) -> list[Tensor]:
        """Return u and v as one tensor (2, rank, size)."""
        drawn = torch.randn(self.config.rank, self.config.size, generator=generator) / self.config.size**0.5
        return [torch.stack([torch.zeros_like(drawn), drawn])]

    def coefficients(self, pixels: Tensor, owner: Tensor) -> Tensor:
        """Return u and the shifted v, (P, 2, rank, size)."""
        u, v = self.parameters[0][owner].unbind(1)
        return torch.stack([u, v - v.mean(-1, keepdim=True)], 1)

    def change(self, coefficients: Tensor, pixels: Tensor) -> Tensor:
        """Convolve the rows with v and the columns with u, and sum over the rank."""
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
    """K = identity + sum_m w_m (G_m - identity) over four Gaussian blurs G_m, each an outer product.

    The weights start at 0. A positive weight blurs, a negative one sharpens like an unsharp mask.
    """

    sigmas = (0.6, 1.0, 1.7, 2.8)

    def start(self, generator: torch.Generator) -> list[Tensor]:
        """Return the weights, (blurs,)."""
        return [torch.zeros(len(self.sigmas))]

    def coefficients(self, pixels: Tensor, owner: Tensor) -> Tensor:
        """Return each image's weights, (P, blurs)."""
        return self.parameters[0][owner]

    def change(self, coefficients: Tensor, pixels: Tensor) -> Tensor:
        """Return the weighted sum of what each blur changes; only the weights get gradients."""
        with torch.no_grad():
            changes = torch.stack([blurred(pixels, sigma) - pixels for sigma in self.sigmas])
        return torch.einsum("pm,mpchw->pchw", coefficients.to(pixels.dtype), changes)


class Pyramid(Kernel):
    """K = sum_b exp(g_b) L_b + mean: gains for seven bands of a Laplacian pyramid, from the finest detail to lighting.

    L_b is the difference of two neighbouring Gaussian blurs (Burt and Adelson 1983). The first of them is the image
    itself, the last its mean in each channel, which is kept. The logarithmic gain g_b is the sum of one parameter per
    band and `pull` times one for all bands, which sets the contrast. All parameters start at 0. tanh keeps the gains
    between -`limit` and `limit`, so that no band can run away.
    """

    limit = 1.5
    pull = 2.0

    def start(self, generator: torch.Generator) -> list[Tensor]:
        """Return the parameters of the bands and that of all bands, (bands + 1,)."""
        return [torch.zeros(PYRAMID_BANDS + 1)]

    def coefficients(self, pixels: Tensor, owner: Tensor) -> Tensor:
        """Return each image's logarithmic gains, (P, bands)."""
        return self._gains(self.parameters[0][owner])

    def _gains(self, raw: Tensor) -> Tensor:
        gains = raw[:, :-1] + self.pull * raw[:, -1:]
        return self.limit * torch.tanh(gains / self.limit)

    def change(self, coefficients: Tensor, pixels: Tensor) -> Tensor:
        """Return the sum of the bands, weighted by their gains minus 1; only the gains get gradients."""
        return torch.einsum("pb,bpchw->pchw", torch.expm1(coefficients).to(pixels.dtype), laplacian(pixels))


class Conditional(Pyramid):
    """A pyramid whose gains a small network predicts from the image's own spectrum; the network is tuned.

    It has two layers with tanh between them, some 600 weights; the second starts at zero. If quality varies from image
    to image, no fixed kernel fits all, but what this network learns on one image applies to similar ones.
    """

    def start(self, generator: torch.Generator) -> list[Tensor]:
        """Return the first layer, its bias, the second layer and its bias."""
        first = torch.randn(self.config.hidden, DESCRIPTORS, generator=generator) / DESCRIPTORS**0.5
        outputs = PYRAMID_BANDS + 1
        second = torch.zeros(outputs, self.config.hidden)
        return [first, torch.zeros(self.config.hidden), second, torch.zeros(outputs)]

    def coefficients(self, pixels: Tensor, owner: Tensor) -> Tensor:
        """Predict each image's logarithmic gains, (P, bands)."""
        with torch.no_grad():
            described = describe(pixels)
        first, first_bias, second, second_bias = (tensor[owner] for tensor in self.parameters)
        units = torch.tanh(torch.einsum("phf,pf->ph", first, described) + first_bias)
        return self._gains(torch.einsum("poh,ph->po", second, units) + second_bias)


KERNELS: Registry[Any] = Registry("kernel")
KERNELS.add("interpolation", Interpolation, "a mixture of Gaussian blurs; negative weights sharpen")
KERNELS.add("separable", Separable, "a sum of free outer products that keeps brightness")
KERNELS.add("pyramid", Pyramid, "a gain for each band of a Laplacian pyramid")
KERNELS.add("conditional", Conditional, "gains of a Laplacian pyramid, predicted from the image's spectrum")
