"""One correction for every image: not a method anybody would use, but what an oracle over corrections chooses among."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vqttt.methods import METHODS, Method, MethodSpec
from vqttt.methods.attempts import Attempt, Outcome
from vqttt.models.base import Inputs, TunableModel
from vqttt.tuning.corrections import CORRECTIONS

NAME = "fixed-correction"


@dataclass(frozen=True, kw_only=True)
class FixedCorrectionConfig:
    """Which correction: a name in `vqttt.tuning.corrections.CORRECTIONS`."""

    correction: str = "identity"


class FixedCorrection(Method):
    """Answer every image through the same correction, without a gate or a guard."""

    config: FixedCorrectionConfig
    changes_images = True

    def __init__(
        self,
        model: TunableModel,
        config: FixedCorrectionConfig | None = None,
        *,
        max_new_tokens: int = 16,
        seed: int = 0,
    ) -> None:
        """Look up the correction."""
        super().__init__(model, config or FixedCorrectionConfig(), max_new_tokens=max_new_tokens, seed=seed)
        self.correct = CORRECTIONS[self.config.correction]

    @torch.no_grad()
    def attempts(self, inputs: Inputs, base: Any, *, learn: bool = True) -> list[Attempt]:
        """Correct the images, then answer."""

        def corrected(content: Tensor, which: Tensor) -> Tensor:
            return self.correct(content).to(content.dtype)

        inputs = self.model.with_pixels(inputs, self.model.pixels(inputs).changed(corrected))
        outcome = Outcome.of(self.model.generate(inputs, self.max_new_tokens))
        how = [CORRECTIONS.summary(self.config.correction)] * inputs.count
        return [Attempt(how=how, outcome=outcome, inputs=inputs)]


def register() -> None:
    """Add the method to the registry."""
    METHODS.add(NAME, MethodSpec(FixedCorrection, FixedCorrectionConfig()), "the same correction for every image")
