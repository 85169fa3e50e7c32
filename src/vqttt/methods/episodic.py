"""VQ-TTT image by image: a set of adapters for each, tuned side by side in one batch, and forgotten after it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vqttt.methods.attempts import Attempt, GuardConfig, Outcome
from vqttt.methods.base import Method
from vqttt.models.base import Inputs
from vqttt.models.tunable import LogitGeneration, TunableModel
from vqttt.tuning.adapters import Adapters
from vqttt.tuning.tuner import Tuner, TuningConfig
from vqttt.types import Answer

MANY = 0.6
"""The share of uncertain samples above which it is faster to take every sample's gradient in the first pass."""


@dataclass(frozen=True, kw_only=True)
class EpisodicConfig(TuningConfig, GuardConfig):
    """Settings of the episodic method; chosen on development data."""

    kernel_rate: float = 0.3
    lora_rate: float = 9e-3
    guard_ratio: float = 0.8

    def __post_init__(self) -> None:
        """Reject settings that cannot run."""
        TuningConfig.__post_init__(self)
        GuardConfig.__post_init__(self)


class Episodic(Method):
    """Tune on each uncertain image alone, then answer it afresh.

    Attributes:
        adapters: those of the last batch; None before the first.
    """

    config: EpisodicConfig
    default_config = EpisodicConfig()

    def __init__(
        self, model: TunableModel, config: EpisodicConfig | None = None, *, max_new_tokens: int = 16, seed: int = 0
    ) -> None:
        """Store the parameters."""
        super().__init__(model, config, max_new_tokens=max_new_tokens, seed=seed)
        if not model.together:  # no sample of a batch can have LoRA of its own, so none has
            self.config = replace(self.config, adapters=replace(self.config.adapters, lora_rank=0))
        self.gate, self.guard_ratio, self.updates = self.config.gate, self.config.ratio, self.config.steps
        self.changes_images = self.config.adapters.kernel != "none"
        self.adapters: Adapters | None = None
        self._many = self.gate <= 0

    def admitted(self, inputs: Inputs, before: Outcome) -> list[int]:
        """Return the samples that the gate lets through; how many they are decides how the next batch is answered."""
        rows = super().admitted(inputs, before)
        self._many = len(rows) > MANY * inputs.count
        return rows

    def attempts(self, inputs: Inputs, base: LogitGeneration, *, learn: bool = True) -> list[Attempt]:
        """Tune every image's adapters, then answer."""
        tuner = self._tuner(inputs.count)
        self.objective_curve = [tuner.step(inputs, base) for _ in range(self.config.steps)]
        return [self._answered_by(tuner, inputs, None)]

    def answer_alone(self, inputs: Inputs) -> list[Answer]:
        """Answer a batch; where many are uncertain, one pass serves untuned answer, gate and first gradient.

        Whether they are is told by the batch before. The answers are the same, up to rounding.
        """
        tuner = self._tuner(inputs.count) if self.config.steps and self._many else None
        if tuner is None or not tuner.one_pass:
            return super().answer_alone(inputs)
        began = time.perf_counter()
        base, losses = tuner.trace(inputs, self.max_new_tokens)

        def attempts(rows: Sequence[int]) -> list[Attempt]:
            tuner.descend(losses)
            self.objective_curve = [losses.detach()]
            self.objective_curve += [tuner.step(inputs, base) for _ in range(self.config.steps - 1)]
            sets = torch.tensor(rows, device=losses.device)
            return [self._answered_by(tuner, self.model.select(inputs, rows), sets)]

        return self._answered(inputs, base, began, attempts)

    def _tuner(self, sets: int) -> Tuner:
        tuner = Tuner(self.model, self.config, sets=sets, seed=self.seed)
        self.adapters = tuner.adapters
        return tuner

    def _answered_by(self, tuner: Tuner, inputs: Inputs, sets: Tensor | None) -> Attempt:
        how = "through a kernel of its own" if self.changes_images else "under LoRA of its own"
        return self.answered_under(tuner.adapters, inputs, [how] * inputs.count, sets)
