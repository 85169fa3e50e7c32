"""SAR: TENT on reliable samples, with sharpness-aware steps and a reset where the entropy collapses.

Niu et al., "Towards Stable Test-Time Adaptation in Dynamic Wild World", ICLR 2023. Where paper and published code
differ, this is the code. Two things cannot be taken over, because there is no classifier here:

- A sample is reliable if its entropy is below 0.4 ln C, for C classes. Here C is the size of the vocabulary, over which
  the entropy is taken.
- Of a ViT's twelve blocks the last three are left alone, and the norm after them. Here it is the last quarter of the
  vision encoder's blocks, and all norms outside blocks.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, log
from typing import Any

import torch
from torch import Tensor, nn

from vqttt.methods.tent import Tent, TentConfig
from vqttt.models.base import Inputs
from vqttt.models.generation import token_entropy
from vqttt.models.tunable import TunableModel
from vqttt.tuning.tuner import finite


@dataclass(frozen=True, kw_only=True)
class SarConfig(TentConfig):
    """Settings of SAR; the published ones. Its rate is that of the published ViT with batches of 64.

    Attributes:
        margin: samples whose entropy is above this share of ln V, the largest possible, are not learned from.
        sharpness: radius within which the worst point's gradient is taken.
        momentum: of the gradient descent.
        floor: where the running mean of the reliable samples' entropy (nats, at the worst point) falls below this, the
            norms return to the start.
    """

    margin: float = 0.4
    sharpness: float = 0.05
    momentum: float = 0.9
    floor: float = 0.2

    def __post_init__(self) -> None:
        """Reject settings that cannot run."""
        super().__post_init__()
        for name, most in (("margin", inf), ("sharpness", inf), ("floor", inf), ("momentum", 1)):
            if not 0 <= (value := getattr(self, name)) < most:
                raise ValueError(f"{name} must be at least 0 and below {most}: {value}")


class Sar(Tent):
    """Each update takes two passes: one finds the reliable samples and the worst point nearby, one descends from there.

    As in the published code, the answers are those from before the update even where the norms then return to the
    start; the running mean goes on after that; and where no sample is reliable, momentum still moves the norms.

    Attributes:
        mean_entropy: the running mean, in nats; None before the first update.
    """

    config: SarConfig
    default_config = SarConfig()

    def __init__(
        self, model: TunableModel, config: SarConfig | None = None, *, max_new_tokens: int = 16, seed: int = 0
    ) -> None:
        """Collect weights and biases of the norms; nothing else is tuned."""
        super().__init__(model, config, max_new_tokens=max_new_tokens, seed=seed)
        self.mean_entropy: float | None = None

    def adapted(self, blocks: Sequence[nn.Module]) -> Sequence[nn.Module]:
        """Return those of the vision encoder's blocks whose norms are tuned: all but the last quarter of several."""
        return blocks[: max(1, len(blocks) - max(1, round(len(blocks) / 4)))]

    def adapt(self, inputs: Inputs) -> bool:
        """Apply one update; return whether the entropies were finite."""
        first, reliable = self.descended(inputs, self.certain_enough)
        if not finite(first):
            return False
        with self.worst_nearby():
            second, still = self.descended(inputs, lambda logits: reliable & self.certain_enough(logits))
        if not finite(second):
            return False
        if self.optimiser is not None:
            self.optimiser.step()
        if still.any():
            mean = float(second[still].mean())
            self.mean_entropy = mean if self.mean_entropy is None else 0.9 * self.mean_entropy + 0.1 * mean
        if self.mean_entropy is not None and self.mean_entropy < self.config.floor:
            super().reset()
        return True

    def certain_enough(self, logits: Tensor) -> Tensor:
        """Tell by the logits (N, V) of the first answer tokens which samples are reliable, (N,)."""
        return token_entropy(logits) < self.config.margin * log(logits.shape[-1])

    @contextmanager
    def worst_nearby(self) -> Iterator[None]:
        """Within the block, the norms stand where the loss rises fastest, `sharpness` away (Foret et al. 2021)."""
        kept = self.adapters.snapshot()
        gradients = [tensor.grad for tensor in self.adapters.parameters if tensor.grad is not None]
        length = torch.stack([gradient.norm() for gradient in gradients]).norm() if gradients else torch.zeros(())
        with torch.no_grad():
            for tensor in self.adapters.parameters:
                if tensor.grad is not None:
                    tensor.add_(tensor.grad * (self.config.sharpness / (length + 1e-12)))
        try:
            yield
        finally:
            self.adapters.restore(kept)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of norms, the optimiser's memory and the running mean."""
        return super().snapshot() | {"mean": self.mean_entropy}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Return to a snapshot, bit for bit."""
        super().restore(snapshot)
        self.mean_entropy = snapshot["mean"]

    def reset(self) -> None:
        """Return every bit to the start."""
        super().reset()
        self.mean_entropy = None

    def optimiser_of(self, parameters: list[Tensor]) -> torch.optim.Optimizer:
        """Return a new optimiser: gradient descent with momentum."""
        return torch.optim.SGD(parameters, lr=self.config.rate, momentum=self.config.momentum)
