"""VQ-Select: choose a correction of the image by what it does to the model's certainty. Ours, not the paper's.

A predictor learns along the stream which correction suits which image, from forward passes that try them all on a few
samples (`vqttt.tuning.search`). LoRA is tuned on the corrected images. With `restore`, the blind restorer's image
competes, and the surer answer is taken.
"""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from vqttt.methods.attempts import Attempt
from vqttt.methods.restored import answered_when_restored
from vqttt.methods.stream import GradientStream, StreamConfig
from vqttt.models.base import Inputs, LogitGeneration, TunableModel
from vqttt.tuning.adapters import AdapterConfig
from vqttt.tuning.corrections import CORRECTIONS, names
from vqttt.tuning.search import Search


@dataclass(frozen=True, kw_only=True)
class VQSelectConfig(StreamConfig):
    """Settings of VQ-Select; chosen on development scenes, never on the test splits that are reported.

    Attributes:
        explore_first, explore: every correction is tried on this many uncertain samples first, then on this share of
            those in each batch (at least one, which is a larger share of a small batch).
        caution: see `Predictor`.
        restore: whether an uncertain image is also answered untuned after blind restoring; the surer answer is taken.
    """

    steps: int = 1
    adapters: AdapterConfig = field(default_factory=lambda: AdapterConfig(kernel="none"))
    explore_first: int = 40
    explore: float = 0.1
    caution: float = 0.75
    restore: bool = False

    def __post_init__(self) -> None:
        """Reject settings that cannot run."""
        super().__post_init__()
        if not 0 <= self.explore <= 1:
            raise ValueError(f"explore is a share, 0 to 1, not {self.explore}")


class VQSelect(GradientStream):
    """Correct the uncertain images of each batch, tune on them, answer them afresh."""

    config: VQSelectConfig
    default_config = VQSelectConfig()
    changes_images = True

    def __init__(
        self, model: TunableModel, config: VQSelectConfig | None = None, *, max_new_tokens: int = 16, seed: int = 0
    ) -> None:
        """Start without evidence, or at the file in `config.start`."""
        config = config or self.default_config
        self.search = Search(model, first=config.explore_first, share=config.explore, caution=config.caution)
        self._start: dict[str, Tensor] = {}
        super().__init__(model, config, max_new_tokens=max_new_tokens, seed=seed)
        self.updates = config.steps + 1  # that of the predictor

    @property
    def exploring(self) -> bool:
        """Whether all corrections are still tried on every sample."""
        return self.search.exploring

    def attempts(self, inputs: Inputs, base: LogitGeneration, *, learn: bool = True) -> list[Attempt]:
        """Choose corrections, tune and answer; then, with `restore`, answer on restored images."""
        corrected, choice = self.search.corrected(inputs, base, self.tuner if learn else None)
        how = [CORRECTIONS.summary(names()[number]) for number in choice.tolist()]
        attempt = self.tuned(corrected, base, how, learn=learn)
        if attempt is None:
            return []
        rivals = [answered_when_restored(self.model, inputs, self.max_new_tokens)] if self.config.restore else []
        return [attempt, *rivals]

    def reset(self) -> None:
        """Return to the start, the predictor included."""
        super().reset()
        self.search.predictor.reset()
        if self._start:
            self.search.predictor.load(self._start)

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of all that is carried along, the predictor's evidence included."""
        return super().snapshot() | {"predictor": self.search.predictor.state()}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Return to a snapshot, bit for bit."""
        super().restore(snapshot)
        self.search.predictor.load(snapshot["predictor"])

    def made_with(self) -> dict[str, Any]:
        """Return the corrections, to which the predictor refers by their order."""
        return {"corrections": list(names())}

    def summary(self) -> str:
        """Say in a line what was learned."""
        return f"which correction suits which image, from {self.search.predictor.observed} samples; {super().summary()}"

    def learned(self) -> dict[str, Tensor]:
        """Return the predictor's state."""
        return self.search.predictor.state()

    def take_up(self, learned: dict[str, Tensor]) -> None:
        """Start, now and at a reset, at a predictor's state."""
        self.search.predictor.load(learned)
        self._start = learned
