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
from vqttt.tuning.cosine import gaussians, to_frequencies, to_pixels
from vqttt.tuning.filters import padded


@dataclass(frozen=True, kw_only=True)
class KernelConfig:
    """The size of the `separable` kernel.

    Attributes:
        size: side length in pixels of the model's input, odd.
        rank: number of outer products.
    """

    size: int = 9
    rank: int = 2

    def __post_init__(self) -> None:
        """Reject sizes that cannot be built."""
        if self.size < 3 or self.size % 2 == 0:
            raise ValueError(f"a kernel's size must be odd and at least 3, not {self.size}")
        if self.rank < 1:
            raise ValueError(f"a kernel's rank must be at least 1, not {self.rank}")


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

    def confine(self) -> None:
        """Bring parameters that an update took out of their range back into it; by default there is none."""
        return

    @torch.no_grad()
    def impulse_response(self, pixels: Tensor, owner: Tensor, side: int = 33) -> Tensor:
        """Return the kernel K of each image, (P, side, side): how it filters a single bright pixel."""
        point = torch.zeros(len(pixels), 1, side, side, device=pixels.device)
        point[:, :, side // 2, side // 2] = 1
        return (point + self.change(self.coefficients(pixels, owner), point))[:, 0]


class Blurs(Kernel):
    """K = contrast x (identity + sum_m w_m (G_m - identity)) around the image's mean in each channel.

    G_m are Gaussian blurs, each an outer product: a positive weight blurs, a negative one sharpens like an unsharp
    mask. The mean is the limit of an infinitely wide blur, so contrast is one more, negative weight in the mixture.
    The logarithm of the contrast is c + a d, where d is by how much the logarithm of the image's standard deviation is
    below the `usual` one: with a above 0, what is learned on one image raises the contrast of another by what that one
    lacks. All parameters start at 0. Neither c nor a goes below 0, so contrast never falls: where less of it makes
    answers surer, it does so by taking what they are about out of the image.
    """

    sigmas = (0.6, 1.0, 1.7, 2.8)
    usual = -0.2  # of natural images, in the units of a usual processor
    most = 3.0  # of the logarithm: 20 times the contrast

    def start(self, generator: torch.Generator) -> list[Tensor]:
        """Return the weights, and c and a, (blurs + 2,)."""
        return [torch.zeros(len(self.sigmas) + 2)]

    def coefficients(self, pixels: Tensor, owner: Tensor) -> Tensor:
        """Return each image's weights and logarithm of the contrast, (P, blurs + 1)."""
        with torch.no_grad():
            wide = pixels.float()
            variance = (wide - wide.mean((2, 3), keepdim=True)).square().mean((1, 2, 3))
            lacking = (self.usual - variance.clamp_min(1e-6).log() / 2).clamp_min(0)
        own = self.parameters[0][owner]
        weights, c, a = own[:, :-2], own[:, -2], own[:, -1]
        contrast = (c + a * lacking).clamp_max(self.most)
        return torch.cat([weights, contrast[:, None]], 1)

    def change(self, coefficients: Tensor, pixels: Tensor) -> Tensor:
        """Return what the factors of all frequencies but the mean change; only the coefficients get gradients."""
        with torch.no_grad():
            frequencies = to_frequencies(pixels)
            frequencies[..., 0, 0] = 0
            blurs = gaussians(*pixels.shape[2:], self.sigmas, pixels.device) - 1
        mixed = 1 + torch.einsum("pm,mhw->phw", coefficients[:, :-1], blurs)
        factors = coefficients[:, -1].exp()[:, None, None] * mixed - 1
        return to_pixels(frequencies * factors[:, None]).to(pixels.dtype)

    @torch.no_grad()
    def confine(self) -> None:
        """Keep c and a from going below 0."""
        self.parameters[0][:, -2:].clamp_(min=0)


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


KERNELS: Registry[Any] = Registry("kernel")
KERNELS.add("blurs", Blurs, "a mixture of Gaussian blurs; negative weights sharpen, and raise contrast")
KERNELS.add("separable", Separable, "a sum of free outer products that keeps brightness")
