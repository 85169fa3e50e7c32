"""Adapters: a kernel before the vision encoder, LoRA in its blocks, and changes to the weights of its norms.

Their parameters have a leading dimension `sets`: one set for a whole stream, or one per image, tuned side by side in a
batch. All start at the identity: they add zeros, so logits keep every bit.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from vqttt.errors import InputError
from vqttt.models.base import Inputs
from vqttt.models.tunable import Part, TunableModel, forward_hooks
from vqttt.tuning import tuned_file
from vqttt.tuning.kernels import KERNELS, Kernel, KernelConfig
from vqttt.tuning.layers import LoRA, NormChange, change_hook


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """Which adapters to use, and their sizes. Kernel and LoRA are the paper's; all numbers are our choice.

    Attributes:
        kernel: a name in `KERNELS`, or `none`.
        kernel_size, kernel_rank: size of the `separable` kernel, see `KernelConfig`.
        lora_rank: rank of LoRA; 0 for no LoRA.
        lora_blocks: number of vision blocks with LoRA, from the shallowest; from the deepest if negative.
        lora_targets: projections of a block with LoRA, out of `q`, `k` and `v`.
    """

    kernel: str = "blurs"
    kernel_size: int = 9
    kernel_rank: int = 2
    lora_rank: int = 4
    lora_blocks: int = 2
    lora_targets: tuple[str, ...] = ("q", "v")

    def __post_init__(self) -> None:
        """Reject unknown kernels and impossible sizes."""
        if self.kernel != "none":
            KERNELS[self.kernel]
        if self.lora_rank < 0:
            raise ValueError(f"lora_rank must not be negative: {self.lora_rank}")
        self.kernel_config()

    def kernel_config(self) -> KernelConfig:
        """Return the kernel's part of the configuration."""
        return KernelConfig(size=self.kernel_size, rank=self.kernel_rank)


class Adapters:
    """Kernel, LoRA and norm changes for one model.

    The model's own weights are never written; adapters act only inside `applied`.

    Attributes:
        kernel: the kernel, or None.
        lora: one per adapted projection.
        norms: one per adapted norm.
        start: the values that `reset` returns to.
    """

    def __init__(
        self,
        model: TunableModel,
        config: AdapterConfig,
        *,
        sets: int,
        seed: int = 0,
        norms_of: Sequence[nn.Module] = (),
    ) -> None:
        """Build adapters at the identity.

        Args:
            model: the model that is adapted.
            config: which adapters, and their sizes.
            sets: number of sets, which all start alike.
            seed: of the random numbers that LoRA and some kernels start from.
            norms_of: vision blocks whose norms' weights and biases change, as in TENT.

        Raises:
            InputError: if the model's vision blocks lack a LoRA target.
        """
        self.model, self.config, self.sets = model, config, sets
        generator = torch.Generator().manual_seed(seed)
        self.kernel: Kernel | None = None
        if config.kernel != "none":
            self.kernel = KERNELS[config.kernel](config.kernel_config(), sets, generator)
            self.kernel.parameters = [self._own(tensor) for tensor in self.kernel.parameters]
        self.lora = self._build_lora(generator) if config.lora_rank else []
        self.norms = self._build_norms(norms_of)
        self.start = self.snapshot()

    def _own(self, start: Tensor) -> Tensor:
        """Return a copy on the model's device that can be tuned."""
        return start.detach().clone().to(self.model.device).requires_grad_()

    def _build_lora(self, generator: torch.Generator) -> list[LoRA]:
        blocks, count, built = list(self.model.vision_blocks), self.config.lora_blocks, []
        for block in blocks[count:] if count < 0 else blocks[:count]:
            linears = self.model.lora_targets(block)
            missing = set(self.config.lora_targets) - set(linears)
            if missing:
                raise InputError(f"LoRA targets {sorted(missing)} are not in this model; it has {sorted(linears)}")
            for target in self.config.lora_targets:
                found = linears[target]
                module, offset = (found.linear, found.start) if isinstance(found, Part) else (found, 0)
                down = torch.randn(self.config.lora_rank, found.in_features, generator=generator)
                down = (down / found.in_features**0.5).expand(self.sets, -1, -1)
                up = torch.zeros(self.sets, found.out_features, self.config.lora_rank)
                built.append(LoRA(module, offset, self._own(down), self._own(up)))
        return built

    def _build_norms(self, blocks: Sequence[nn.Module]) -> list[NormChange]:
        norms = [
            module
            for block in blocks
            for module in block.modules()
            if "norm" in type(module).__name__.lower()
            and getattr(module, "weight", None) is not None
            and not isinstance(module, nn.modules.batchnorm._BatchNorm)  # an activation may follow within it
        ]
        zeros = [torch.zeros(self.sets, len(norm.weight)) for norm in norms]  # type: ignore[arg-type]
        return [NormChange(norm, self._own(zero), self._own(zero)) for norm, zero in zip(norms, zeros, strict=True)]

    @property
    def kernel_parameters(self) -> list[Tensor]:
        """The tensors of the kernel."""
        return self.kernel.parameters if self.kernel else []

    @property
    def lora_parameters(self) -> list[Tensor]:
        """The tensors of LoRA."""
        return [tensor for pair in self.lora for tensor in (pair.down, pair.up)]

    @property
    def norm_parameters(self) -> list[Tensor]:
        """The tensors of the norms."""
        return [tensor for norm in self.norms for tensor in (norm.weight, norm.bias)]

    @property
    def parameters(self) -> list[Tensor]:
        """All tensors, always in the same order."""
        return [*self.kernel_parameters, *self.lora_parameters, *self.norm_parameters]

    def snapshot(self) -> list[Tensor]:
        """Return a copy of all tensors."""
        return [tensor.detach().clone() for tensor in self.parameters]

    @torch.no_grad()
    def restore(self, snapshot: list[Tensor]) -> None:
        """Return to a snapshot, bit for bit."""
        for tensor, saved in zip(self.parameters, snapshot, strict=True):
            tensor.copy_(saved)

    def reset(self) -> None:
        """Return every set to its start, bit for bit: the identity, or the values that were loaded."""
        self.restore(self.start)

    def save(self, path: Path, extra: Mapping[str, Tensor], about: Mapping[str, Any] | None = None) -> None:
        """Write the first set and the configuration, together with `extra` tensors; `about` says what made them."""
        own = {f"adapter.{i}": tensor[0].cpu().contiguous() for i, tensor in enumerate(self.snapshot())}
        tuned_file.write(path, own | dict(extra), {"adapters": asdict(self.config)} | dict(about or {}))

    @torch.no_grad()
    def load(self, path: Path) -> dict[str, Tensor]:
        """Set every set, now and at each reset, to the values that `save` wrote; return the `extra` tensors.

        Raises:
            InputError: if the file does not exist, or has adapters of another configuration or model.
        """
        saved, about = tuned_file.read(path)
        if other := tuned_file.difference(about.get("adapters"), tuned_file.as_json(asdict(self.config))):
            raise InputError(f"{path} has other adapters than the method: {other}")
        tensors = [saved.pop(f"adapter.{i}") for i in range(len(self.parameters)) if f"adapter.{i}" in saved]
        if [tensor.shape for tensor in tensors] != [tensor.shape[1:] for tensor in self.parameters]:
            raise InputError(f"{path} has adapters for another model; run `vqttt tune` with this one")
        self.start = [tensor.to(own).expand_as(own) for tensor, own in zip(tensors, self.parameters, strict=True)]
        self.reset()
        return saved

    @torch.no_grad()
    def changes(self) -> dict[str, float]:
        """Return how far the first set is from the identity: a few numbers by what they measure, for a person.

        That of the kernel is its largest parameter's change; those of LoRA and norms are the largest ratio of the
        change of a weight matrix or vector to the weight itself (Frobenius norms), 0 to 1 or more.
        """
        found: dict[str, float] = {}
        if self.kernel is not None:
            identity = Adapters(self.model, self.config, sets=1).kernel_parameters
            moved = [(own[0] - at[0]).abs().max() for own, at in zip(self.kernel.parameters, identity, strict=True)]
            found["kernel"] = float(max(moved))
        lora = [(part.up[0] @ part.down[0], part.module.weight.to(part.up.device)) for part in self.lora]
        norms = [(part.weight[0], cast("Tensor", part.module.weight).to(part.weight.device)) for part in self.norms]
        for name, pairs in (("LoRA", lora), ("norms", norms)):
            ratios = [float(change.norm() / own.float().norm()) for change, own in pairs if own.is_floating_point()]
            if ratios:
                found[name] = max(ratios)
        return found

    @contextmanager
    def applied(self, inputs: Inputs, sets: Tensor | None = None) -> Iterator[Inputs]:
        """Within the block, LoRA and norm changes act on the model; yields the inputs filtered by the kernel.

        Gradients pass.

        Args:
            inputs: the batch.
            sets: the set that each sample uses, (N,). None: sample n uses set n, or the only set.
        """
        if sets is None:
            assert self.sets in (1, inputs.count), f"{self.sets} adapter sets for {inputs.count} samples"
            sets = torch.arange(inputs.count, device=self.model.device)
        parts: list[LoRA | NormChange] = [*self.lora, *self.norms]
        rows = sets[self.model.row_owner(inputs)] if parts and self.sets > 1 else None
        with forward_hooks([(part.module, change_hook(part, rows)) for part in parts]):
            yield self._filtered(inputs, sets)

    def kernels(self, inputs: Inputs) -> Tensor | None:
        """Return the kernel that filters each image of a batch, (P, side, side); None if there is no kernel.

        An image that is all padding is not filtered and gets zeros.
        """
        if self.kernel is None:
            return None
        images = self.model.pixels(inputs)
        sets = self._one_set(images.owner)
        groups = [
            (which, self.kernel.impulse_response(images.pixels[which][..., rows, columns], sets[which]))
            for which, (rows, columns) in images.contents()
        ]
        if not groups:
            return torch.zeros(0, 1, 1)
        kernels = torch.zeros(len(sets), *groups[0][1].shape[1:], device=sets.device)
        for which, responses in groups:
            kernels[which] = responses
        return kernels

    def _one_set(self, chosen: Tensor) -> Tensor:
        """Return the chosen sets, or zeros if there is only one."""
        return torch.zeros_like(chosen) if self.sets == 1 else chosen

    def _filtered(self, inputs: Inputs, sets: Tensor) -> Inputs:
        kernel, images = self.kernel, self.model.pixels(inputs)
        if kernel is None or not len(images.pixels):
            return inputs
        chosen = self._one_set(sets[images.owner])
        return self.model.with_pixels(
            inputs,
            images.changed(
                lambda content, which: content + kernel.change(kernel.coefficients(content, chosen[which]), content)
            ),
        )
