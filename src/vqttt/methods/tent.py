"""TENT and SAR: the affine weights of the vision encoder's norms, tuned along the stream by entropy.

TENT: Wang et al., "Tent: Fully Test-Time Adaptation by Entropy Minimization", ICLR 2021.
SAR: Niu et al., "Towards Stable Test-Time Adaptation in Dynamic Wild World", ICLR 2023.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite, log

import torch
from torch import Tensor

from vqttt.methods.attempts import Attempt, Outcome
from vqttt.methods.stream import StreamMethod
from vqttt.models.base import Inputs, LogitGeneration, TunableModel
from vqttt.models.generation import token_entropy
from vqttt.tuning.adapters import AdapterConfig, Adapters
from vqttt.tuning.tuner import finite


@dataclass(frozen=True, kw_only=True)
class TentConfig:
    """Settings of TENT.

    Attributes:
        rate: Adam's learning rate.
        steps: updates for each batch.
    """

    rate: float = 1e-3
    steps: int = 1

    def __post_init__(self) -> None:
        """Reject settings that cannot run."""
        if self.rate < 0 or self.steps < 1:
            raise ValueError(f"rate must not be negative and steps must be at least 1: {self.rate}, {self.steps}")


class Tent(StreamMethod):
    """Answer a batch, then minimise the mean entropy of its first answer tokens."""

    config: TentConfig
    default_config = TentConfig()

    def __init__(
        self, model: TunableModel, config: TentConfig | None = None, *, max_new_tokens: int = 16, seed: int = 0
    ) -> None:
        """Collect weights and biases of the norms; nothing else is tuned."""
        super().__init__(model, config, max_new_tokens=max_new_tokens, seed=seed)
        norms = AdapterConfig(kernel="none", lora_rank=0, norms=True)
        self._adapters = Adapters(model, norms, sets=1, seed=seed)
        self.updates = self.config.steps
        self._start_optimiser()

    @property
    def adapters(self) -> Adapters:
        """What was added to the norms' weights and biases."""
        return self._adapters

    def attempts(self, inputs: Inputs, base: LogitGeneration, *, learn: bool = True) -> list[Attempt]:
        """Answer as the norms stand before this batch's updates, as the published code does; then update them."""
        kept = self.adapters.snapshot()
        attempt = self.answered_under(self.adapters, inputs, ["under tuned norms"] * inputs.count)
        sound = all(isfinite(entropy) for entropy in attempt.outcome.entropies)
        if not sound or (learn and not all(self.adapt(inputs) for _ in range(self.config.steps))):
            self.undo(kept)
            return []
        return [attempt]

    def adapt(self, inputs: Inputs) -> bool:
        """Apply one update; return whether the entropies were finite."""
        if not self.backward(inputs):
            return False
        if self.optimiser is not None and self.moved:
            self.redirect(inputs)
            self.optimiser.step()
        return True

    def redirect(self, inputs: Inputs) -> None:
        """Replace the gradients before the step; TENT keeps them."""

    def backward(self, inputs: Inputs) -> bool:
        """Fill in the gradients of the mean entropy over reliable samples; return whether the entropies were finite."""
        for tensor in self.adapters.parameters:
            tensor.grad = None
        with torch.enable_grad(), self.adapters.applied(inputs) as adapted:
            logits = self.model.answer_logits(adapted)[:, 0]
            entropies = token_entropy(logits)
            reliable = self.reliable(logits.detach()).to(entropies)
            loss = (entropies * reliable).sum() / reliable.sum().clamp_min(1e-6)
            if loss.requires_grad:  # not where no sample has an image
                loss.backward()  # type: ignore[no-untyped-call]
        return finite(entropies)

    def reliable(self, logits: Tensor) -> Tensor:
        """Tell which samples, by their logits (N, V), are learned from, (N,): all."""
        return torch.ones(len(logits), dtype=torch.bool, device=logits.device)

    @property
    def moved(self) -> bool:
        """Whether any gradient is not zero; momentum alone must not move anything."""
        return any(tensor.grad is not None and bool(tensor.grad.any()) for tensor in self.adapters.parameters)

    def undo(self, kept: list[Tensor]) -> None:
        """Return to a snapshot and start the optimiser anew."""
        self.adapters.restore(kept)
        self._start_optimiser()

    def reset(self) -> None:
        """Return every bit to the start."""
        self.undo(self.adapters.start)

    def _start_optimiser(self) -> None:
        norms = self.adapters.parameters  # none in an encoder whose norms have no weights
        self.optimiser = torch.optim.Adam(norms, lr=self.config.rate) if norms else None


@dataclass(frozen=True, kw_only=True)
class SarConfig(TentConfig):
    """Settings of SAR, whose form here is that of a baseline: Adam, and one filter of samples (`docs/method.md`).

    Attributes:
        margin: samples whose entropy is above this share of ln V, the largest possible, are not learned from.
        sharpness: radius within which the worst point's gradient is taken.
        floor: where the running mean of the answers' entropy (nats) falls below this, the stream starts anew.
    """

    margin: float = 0.4
    sharpness: float = 0.05
    floor: float = 0.02


class Sar(Tent):
    """TENT on reliable samples, with sharpness-aware steps (Foret et al. 2021) and a reset."""

    config: SarConfig
    default_config = SarConfig()

    def __init__(
        self, model: TunableModel, config: SarConfig | None = None, *, max_new_tokens: int = 16, seed: int = 0
    ) -> None:
        """Collect weights and biases of the norms; nothing else is tuned."""
        super().__init__(model, config, max_new_tokens=max_new_tokens, seed=seed)
        self._mean_entropy: float | None = None

    def redirect(self, inputs: Inputs) -> None:
        """Take the gradients at the worst point nearby."""
        with self.worst_nearby():
            self.backward(inputs)

    def reliable(self, logits: Tensor) -> Tensor:
        """Tell which samples, by their logits (N, V), are learned from, (N,): those that are certain enough."""
        return token_entropy(logits) < self.config.margin * log(logits.shape[-1])

    @contextmanager
    def worst_nearby(self) -> Iterator[None]:
        """Within the block, the norms stand where the loss rises fastest, `sharpness` away."""
        kept = self.adapters.snapshot()
        moving = [tensor for tensor in self.adapters.parameters if tensor.grad is not None]
        length = torch.stack([tensor.grad.norm() for tensor in moving if tensor.grad is not None]).norm()
        with torch.no_grad():
            for tensor in moving:
                tensor.add_(tensor.grad * (self.config.sharpness / length.clamp_min(1e-12)))
        yield
        self.adapters.restore(kept)

    def collapsed(self, before: Outcome, after: Outcome) -> bool:
        """Tell whether the running mean of the answers' entropy has fallen below the floor."""
        mean = sum(after.entropies) / len(after.entropies)
        self._mean_entropy = mean if self._mean_entropy is None else 0.9 * self._mean_entropy + 0.1 * mean
        return self._mean_entropy < self.config.floor

    def reset(self) -> None:
        """Return every bit to the start."""
        super().reset()
        self._mean_entropy = None
