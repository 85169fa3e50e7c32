"""VQ-TTT: Visual-Quality Test-Time Tuning (arXiv 2506.15645), along a stream.

A learnable low-rank kernel before the frozen vision encoder and LoRA in its shallow blocks, tuned by the entropy of the
model's own answers, less that of the mean answer to questions of a type, so that answers become sure without becoming
all the same. The paper is known to us in outline only: kernel, objective, ranks, rates, steps, gate and guard are our
choice, made on development data (`LOG.md`).
"""

from dataclasses import dataclass

from vqttt.methods.attempts import Attempt
from vqttt.methods.stream import GradientStream, StreamConfig
from vqttt.models.base import Inputs
from vqttt.models.tunable import LogitGeneration, TunableModel


@dataclass(frozen=True, kw_only=True)
class VQTTTConfig(StreamConfig):
    """Settings of VQ-TTT; see the classes that it derives from."""

    objective: str = "information-maximisation"
    kernel_rate: float = 0.15
    lora_rate: float = 1e-2
    guard_ratio: float = 0.8


class VQTTT(GradientStream):
    """Answer the uncertain samples of a batch through kernel and LoRA, and tune these by how certain the answers are.

    One forward pass gives answer and gradient, so a batch profits from the updates of those before it (see `afresh`).
    """

    config: VQTTTConfig
    default_config = VQTTTConfig()

    def __init__(
        self, model: TunableModel, config: VQTTTConfig | None = None, *, max_new_tokens: int = 16, seed: int = 0
    ) -> None:
        """Start at the identity, or at the file in `config.start`."""
        super().__init__(model, config, max_new_tokens=max_new_tokens, seed=seed)
        self.changes_images = self.config.adapters.kernel != "none"

    def attempts(self, inputs: Inputs, base: LogitGeneration, *, learn: bool = True) -> list[Attempt]:
        """Tune, and answer."""
        how = "through the learned kernel" if self.changes_images else "under tuned LoRA"
        attempt = self.tuned(inputs, base, [how] * inputs.count, learn=learn)
        return [attempt] if attempt else []
