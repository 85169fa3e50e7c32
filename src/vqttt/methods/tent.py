"""TENT: the affine weights of the vision encoder's norms, tuned along the stream by entropy.

Wang et al., "Tent: Fully Test-Time Adaptation by Entropy Minimization", ICLR 2021.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import torch
from torch import Tensor, nn

from vqttt.methods.attempts import Attempt
from vqttt.methods.stream import AdapterStream
from vqttt.models.base import Inputs
from vqttt.models.generation import token_entropy
from vqttt.models.tunable import LogitGeneration, TunableModel
from vqttt.tuning.adapters import AdapterConfig, Adapters
from vqttt.tuning.tuner import finite


@dataclass(frozen=True, kw_only=True)
class TentConfig:
    """Settings of TENT.

    Attributes:
        rate: the optimiser's learning rate.
        steps: updates for each batch.
    """

    rate: float = 1e-3
    steps: int = 1

    def __post_init__(self) -> None:
        """Reject settings that cannot run."""
        if not 0 <= self.rate < inf or self.steps < 1:
            raise ValueError(f"rate must not be negative and steps must be at least 1: {self.rate}, {self.steps}")


class Tent(AdapterStream):
    """Answer a batch, then minimise the mean entropy of its first answer tokens."""

    config: TentConfig
    default_config = TentConfig()

    def __init__(
        self, model: TunableModel, config: TentConfig | None = None, *, max_new_tokens: int = 16, seed: int = 0
    ) -> None:
        """Collect weights and biases of the norms; nothing else is tuned."""
        super().__init__(model, config, max_new_tokens=max_new_tokens, seed=seed)
        nothing = AdapterConfig(kernel="none", lora_rank=0)
        blocks = self.adapted(list(model.vision_blocks))
        self._adapters = Adapters(model, nothing, sets=1, seed=seed, norms_of=blocks)
        self.updates = self.config.steps
        self._start_optimiser()

    @property
    def adapters(self) -> Adapters:
        """What was added to the norms' weights and biases."""
        return self._adapters

    def adapted(self, blocks: Sequence[nn.Module]) -> Sequence[nn.Module]:
        """Return those of the vision encoder's blocks whose norms are tuned: all."""
        return blocks

    def attempts(self, inputs: Inputs, base: LogitGeneration, *, learn: bool = True) -> list[Attempt]:
        """Answer as the norms stand before this batch's last update, as the published code does; then apply it."""
        if learn and not all(self.adapt(inputs) for _ in range(self.config.steps - 1)):
            return []
        attempt = self.answered_under(self.adapters, inputs, ["under tuned norms"] * inputs.count)
        if not all(map(isfinite, attempt.outcome.entropies)):
            return []
        if learn and not (self.adapt(inputs) and all(map(finite, self.adapters.parameters))):
            return []
        return [attempt]

    def adapt(self, inputs: Inputs) -> bool:
        """Apply one update; return whether the entropies were finite."""
        entropies, _ = self.descended(inputs, lambda logits: torch.ones_like(logits[:, 0], dtype=torch.bool))
        if self.optimiser is not None and finite(entropies):
            self.optimiser.step()
        return finite(entropies)

    def descended(self, inputs: Inputs, chosen_by: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Fill in the gradients of the mean entropy of some samples' first answer tokens.

        Args:
            inputs: the batch.
            chosen_by: tells by the logits (N, V) which samples the mean is over, (N,). Without any, the gradients are
                zero.

        Returns:
            the entropies of all samples, and which were chosen, (N,) each.
        """
        for tensor in self.adapters.parameters:
            tensor.grad = None
        with torch.enable_grad(), self.adapters.applied(inputs) as adapted:
            logits = self.model.answer_logits(adapted)[:, 0]
            entropies, chosen = token_entropy(logits), chosen_by(logits.detach())
            loss = entropies[chosen].sum() / chosen.sum().clamp_min(1)
            if loss.requires_grad:  # not where no sample has an image
                loss.backward()  # type: ignore[no-untyped-call]
        return entropies.detach(), chosen

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the norms and of the optimiser's memory."""
        memory = deepcopy(self.optimiser.state_dict()) if self.optimiser is not None else None
        return super().snapshot() | {"optimiser": memory}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Return to a snapshot, bit for bit."""
        super().restore(snapshot)
        self._start_optimiser()
        if self.optimiser is not None and snapshot["optimiser"] is not None:
            self.optimiser.load_state_dict(deepcopy(snapshot["optimiser"]))

    def reset(self) -> None:
        """Return every bit to the start."""
        self.adapters.reset()
        self._start_optimiser()

    def optimiser_of(self, parameters: list[Tensor]) -> torch.optim.Optimizer:
        """Return a new optimiser: Adam."""
        return torch.optim.Adam(parameters, lr=self.config.rate)

    def _start_optimiser(self) -> None:
        norms = self.adapters.parameters  # none in an encoder whose norms have no weights
        self.optimiser = self.optimiser_of(norms) if norms else None
