"""VQ-TTT: Visual-Quality Test-Time Tuning (arXiv 2506.15645), along a stream.

A learnable low-rank kernel before the frozen vision encoder and LoRA in its shallow blocks, tuned by the entropy of the
model's own answers. The paper is known to us in outline only: kernel, ranks, rates, steps, gate and guard are our
choice, made on development data (`LOG.md`).
"""

from dataclasses import dataclass

from vqttt.methods.attempts import Attempt
from vqttt.methods.stream import GradientStream, StreamConfig
from vqttt.models.base import Inputs, LogitGeneration, TunableModel


@dataclass(frozen=True, kw_only=True)
class VQTTTConfig(StreamConfig):
    """Settings of VQ-TTT; see the classes that it derives from."""

    kernel_rate: float = 0.06
    lora_rate: float = 3e-3


class VQTTT(GradientStream):
    """Tune kernel and LoRA on the uncertain samples of each batch, then answer them afresh."""

    config: VQTTTConfig
    default_config = VQTTTConfig()

    def __init__(
        self, model: TunableModel, config: VQTTTConfig | None = None, *, max_new_tokens: int = 16, seed: int = 0
    ) -> None:
        """Start at the identity, or at the file in `config.start`."""
        super().__init__(model, config, max_new_tokens=max_new_tokens, seed=seed)
        self.changes_images = self.config.adapters.kernel != "none"

    def attempts(self, inputs: Inputs, base: LogitGeneration, *, learn: bool = True) -> list[Attempt]:
        """Tune, then answer."""
        how = "through the learned kernel" if self.changes_images else "under tuned LoRA"
        attempt = self.tuned(inputs, base, [how] * inputs.count, learn=learn)
        return [attempt] if attempt else []
