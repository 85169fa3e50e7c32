"""What may change at test time: a low-rank kernel before the vision encoder, and LoRA in its shallow blocks.

Both carry a leading dimension of `sets`: one set for a whole stream, or one set an image, tuned side by side in a
batch. At the start both are exactly the identity: they add zeros, so logits stay bit-identical.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vqttt.models.base import Inputs, Model, forward_hooks
from vqttt.registry import Registry


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """Which adapters, and of what size. The paper names the parts; every number here is our choice.

    Attributes:
        kernel: a name in `KERNELS`, or `none`.
        kernel_size: side of the kernel in pixels of the model's input, odd.
        kernel_rank: number of outer products of the `separable` kernel.
        lora_rank: 0 for no LoRA.
        lora_blocks: how many of the vision encoder's blocks, from the shallowest.
        lora_targets: which linears of a block: among `q`, `k`, `v`.
    """

    kernel: str = "interpolation"
    kernel_size: int = 9
    kernel_rank: int = 2
    lora_rank: int = 4
    lora_blocks: int = 2
    lora_targets: tuple[str, ...] = ("q", "v")

    def __post_init__(self) -> None:
        """Reject what cannot be built."""
        if self.kernel != "none":
            KERNELS[self.kernel]
        if self.kernel_size < 3 or self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd and at least 3, not {self.kernel_size}")


class LowRankKernel(ABC):
    """K = identity + a low-rank part whose entries sum to zero, so that brightness is kept (unit DC gain)."""

    parameter: Tensor

    @abstractmethod
    def residual(self) -> Tensor:
        """Return the low-rank part, (sets, size, size)."""

    def kernel(self) -> Tensor:
        """Return the whole kernel K, (sets, size, size)."""
        kernel = self.residual().clone()
        middle = kernel.shape[-1] // 2
        kernel[:, middle, middle] += 1
        return kernel

    @abstractmethod
    def change(self, pixels: Tensor, owner: Tensor) -> Tensor:
        """Return what the low-rank part adds to pixels (P, 3, H, W), picture p under the set owner[p]."""


class InterpolationKernel(LowRankKernel):
    """K = identity + sum_m w_m (G_m - identity) over a bank of Gaussian blurs G_m; w starts at 0.

    A positive weight blurs, a negative one sharpens (as an unsharp mask does). Each G_m is an outer product, so the
    low-rank part has at most as many terms as the bank.
    """

    sigmas = (0.6, 1.0, 1.7, 2.8)

    def __init__(self, config: AdapterConfig, sets: int, generator: torch.Generator) -> None:
        """Start at the identity; nothing is drawn."""
        reach = torch.arange(config.kernel_size) - config.kernel_size // 2
        bells = torch.exp(-(reach**2) / (2 * torch.tensor(self.sigmas)[:, None] ** 2))
        self.profiles = bells / bells.sum(1, keepdim=True)
        self.parameter = torch.zeros(sets, len(self.sigmas), requires_grad=True)

    def residual(self) -> Tensor:
        """Return sum_m w_m (G_m - identity)."""
        profiles = self.profiles.to(self.parameter.device)
        bank = profiles[:, :, None] * profiles[:, None, :]
        middle = bank.shape[-1] // 2
        bank[:, middle, middle] -= 1
        return torch.einsum("sm,mij->sij", self.parameter, bank)

    def change(self, pixels: Tensor, owner: Tensor) -> Tensor:
        """Blur with the bank (no gradient needed there), then mix."""
        profiles = self.profiles.to(pixels)
        weights = self.parameter.to(pixels.dtype)[owner]
        out = torch.zeros_like(pixels)
        for m, profile in enumerate(profiles):
            row = profile.expand(pixels.shape[1], 1, 1, -1)
            blurred = F.conv2d(_padded(pixels, row.shape[-1]), row, groups=pixels.shape[1])
            blurred = F.conv2d(blurred, row.mT, groups=pixels.shape[1])
            out = out + weights[:, m, None, None, None] * (blurred - pixels)
        return out


class SeparableKernel(LowRankKernel):
    """K = identity + sum_r u_r v_r^T, every v_r centred to sum to zero; u starts at 0, v is drawn by seed."""

    def __init__(self, config: AdapterConfig, sets: int, generator: torch.Generator) -> None:
        """Draw v, the same for every set, so that a batch tunes as single images would."""
        drawn = torch.randn(config.kernel_rank, config.kernel_size, generator=generator) / config.kernel_size**0.5
        start = torch.stack([torch.zeros_like(drawn), drawn])
        self.parameter = start.expand(sets, -1, -1, -1).clone().requires_grad_()

    def _factors(self) -> tuple[Tensor, Tensor]:
        u, v = self.parameter.unbind(1)
        return u, v - v.mean(-1, keepdim=True)

    def residual(self) -> Tensor:
        """Return sum_r u_r v_r^T."""
        u, v = self._factors()
        return torch.einsum("sri,srj->sij", u, v)

    def change(self, pixels: Tensor, owner: Tensor) -> Tensor:
        """Convolve with v along rows and u along columns."""
        u, v = (factor.to(pixels.dtype)[owner] for factor in self._factors())
        count, channels, height, width = pixels.shape
        size, rank = u.shape[-1], u.shape[1]
        flat = _padded(pixels, size).reshape(1, count * channels, height + size - 1, width + size - 1)
        out = torch.zeros_like(pixels)
        for r in range(rank):
            row = v[:, r].repeat_interleave(channels, 0)[:, None, None, :]
            column = u[:, r].repeat_interleave(channels, 0)[:, None, :, None]
            filtered = F.conv2d(F.conv2d(flat, row, groups=count * channels), column, groups=count * channels)
            out = out + filtered.reshape_as(pixels)
        return out


KERNELS: Registry[Any] = Registry("kernel")
KERNELS.add("interpolation", InterpolationKernel, "a mixture over a small bank of blurs, sharpening where negative")
KERNELS.add("separable", SeparableKernel, "a free sum of outer products of zero mean")


def _padded(pixels: Tensor, size: int) -> Tensor:
    reach = size // 2
    return F.pad(pixels, (reach, reach, reach, reach), mode="replicate")


@dataclass(frozen=True)
class _LoRA:
    """A pair of factors for one linear: `down` (sets, rank, inputs), `up` (sets, outputs, rank), zero at the start."""

    linear: nn.Linear
    down: Tensor
    up: Tensor


class Adapters:
    """Kernel and LoRA for one model: `sets` copies, which start alike.

    The model's own weights are never written: kernel and LoRA act only inside `applied`.
    """

    def __init__(self, model: Model, config: AdapterConfig, *, sets: int, seed: int = 0) -> None:
        """Build adapters at the identity.

        Raises:
            ValueError: if a LoRA target is not to be found in the model's vision blocks.
        """
        self.model, self.config, self.sets = model, config, sets
        generator = torch.Generator().manual_seed(seed)
        self.kernel: LowRankKernel | None = None
        if config.kernel != "none":
            self.kernel = KERNELS[config.kernel](config, sets, generator)
            self.kernel.parameter = self.kernel.parameter.detach().to(model.device).requires_grad_()
        self.lora = self._build_lora(generator) if config.lora_rank else []
        self._start = self.snapshot()

    def _build_lora(self, generator: torch.Generator) -> list[_LoRA]:
        built = []
        for block in self.model.vision_blocks[: self.config.lora_blocks]:
            linears = self.model.lora_targets(block)
            missing = set(self.config.lora_targets) - set(linears)
            if missing:
                raise ValueError(f"LoRA targets {sorted(missing)} are not in this model; it has {sorted(linears)}")
            for target in self.config.lora_targets:
                linear = linears[target]
                down = torch.randn(self.config.lora_rank, linear.in_features, generator=generator)
                down = (down / linear.in_features**0.5).expand(self.sets, -1, -1)
                up = torch.zeros(self.sets, linear.out_features, self.config.lora_rank)
                device = linear.weight.device
                built.append(_LoRA(linear, down.clone().to(device).requires_grad_(), up.to(device).requires_grad_()))
        return built

    @property
    def kernel_parameters(self) -> list[Tensor]:
        """The kernel's tensors."""
        return [self.kernel.parameter] if self.kernel else []

    @property
    def lora_parameters(self) -> list[Tensor]:
        """The LoRA's tensors."""
        return [tensor for pair in self.lora for tensor in (pair.down, pair.up)]

    def snapshot(self) -> list[Tensor]:
        """Copy the state of every set."""
        return [tensor.detach().clone() for tensor in (*self.kernel_parameters, *self.lora_parameters)]

    @torch.no_grad()
    def restore(self, snapshot: list[Tensor]) -> None:
        """Return to a snapshot, bit for bit."""
        for tensor, kept in zip((*self.kernel_parameters, *self.lora_parameters), snapshot, strict=True):
            tensor.copy_(kept)

    def reset(self) -> None:
        """Return every set to the identity it started at, bit for bit."""
        self.restore(self._start)

    @contextmanager
    def applied(self, inputs: Inputs) -> Iterator[Inputs]:
        """Within the block, LoRA is attached; yields the inputs as seen through the kernel. Gradients pass.

        Sample n uses set n, or the only set there is.
        """
        assert self.sets in (1, inputs.count), f"{self.sets} adapter sets for {inputs.count} samples"
        hooks = [(pair.linear, self._lora_hook(pair, self._set_of(self.model.row_owner(inputs)))) for pair in self.lora]
        with forward_hooks(hooks):
            yield self._filtered(inputs)

    def _set_of(self, owner: Tensor) -> Tensor:
        return torch.zeros_like(owner) if self.sets == 1 else owner

    def _filtered(self, inputs: Inputs) -> Inputs:
        if self.kernel is None:
            return inputs
        pixels, owner, mask = self.model.pixels(inputs)
        change = self.kernel.change(pixels, self._set_of(owner))
        if mask is not None:
            change = torch.where(mask, change, 0)
        return self.model.with_pixels(inputs, pixels + change)

    def _lora_hook(self, pair: _LoRA, rows: Tensor) -> Any:
        def add(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
            x = arguments[0]
            if self.sets == 1:
                return output + (x @ pair.down[0].to(x.dtype).mT) @ pair.up[0].to(x.dtype).mT
            down, up = pair.down[rows].to(x.dtype), pair.up[rows].to(x.dtype)
            return output + (x @ down.mT) @ up.mT

        return add
