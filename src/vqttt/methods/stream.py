"""What methods share that tune one set of adapters along a stream of samples."""

from abc import abstractmethod
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log
from pathlib import Path
from typing import Any

from torch import Tensor

from vqttt.methods.attempts import Attempt, GuardConfig, Outcome
from vqttt.methods.base import Method
from vqttt.models.base import Inputs, LogitGeneration, TunableModel
from vqttt.tuning.adapters import Adapters
from vqttt.tuning.tuner import Tuner, TuningConfig, finite


class StreamMethod(Method):
    """One set of adapters, which starts at the identity, or at what was saved, and is carried along the stream."""

    learns = True

    @property
    @abstractmethod
    def adapters(self) -> Adapters:
        """The adapters as they stand."""

    def save(self, path: Path) -> None:
        """Write what was learned, so that another stream can start from it, or apply it frozen."""
        self.adapters.save(path, self.learned())

    def load(self, path: Path) -> None:
        """Start, now and at a reset, at what `save` wrote.

        Raises:
            InputError: if the file is not there, or is not of this method and model.
        """
        self.take_up(self.adapters.load(path))

    def learned(self) -> dict[str, Tensor]:
        """Return what was learned besides the adapters."""
        return {}

    def take_up(self, learned: dict[str, Tensor]) -> None:
        """Start at what `learned` returned."""


@dataclass(frozen=True, kw_only=True)
class StreamConfig(TuningConfig, GuardConfig):
    """Settings of tuning by gradients along a stream.

    Attributes:
        window: answers that the collapse guard looks back on.
        start: a file that `save` wrote, to start from instead of the identity.
    """

    steps: int = 2
    window: int = 100
    start: str = ""

    def __post_init__(self) -> None:
        """Reject settings that cannot run."""
        super().__post_init__()
        if self.window < 1:
            raise ValueError(f"window must be at least 1: {self.window}")


class GradientStream(StreamMethod):
    """Tune by gradients along a stream, with a guard against what goes wrong on the way.

    A loss that is not finite undoes the batch. Where the recent answers are far less varied than the untuned ones, the
    adapters have collapsed, and the stream starts anew. Every roll-back is marked in its record.

    Attributes:
        objective_curve: the losses (N,) before each update of the last batch.
    """

    def __init__(self, model: TunableModel, config: Any, *, max_new_tokens: int = 16, seed: int = 0) -> None:
        """Start at the identity, or at the file in `config.start`."""
        super().__init__(model, config, max_new_tokens=max_new_tokens, seed=seed)
        config = self.config
        self.gate, self.guard_ratio, self.updates = config.gate, config.ratio, config.steps
        self.tuner = Tuner(model, config, sets=None, seed=seed)
        self.objective_curve: list[Tensor] = []
        self._recent: deque[tuple[str, str]] = deque(maxlen=config.window)
        if config.start:
            self.load(Path(config.start))

    @property
    def adapters(self) -> Adapters:
        """The adapters as they stand."""
        return self.tuner.adapters

    def reset(self) -> None:
        """Return to the start: every bit of the adapters, the optimiser's memory and the stream's history."""
        self.tuner.reset()
        self._recent.clear()

    def collapsed(self, before: Outcome, after: Outcome) -> bool:
        """Tell whether the recent answers have less than half the entropy of the untuned ones."""
        self._recent.extend(zip(before.texts, after.texts, strict=True))
        if not self.config.guard or len(self._recent) < self.config.window // 2:
            return False
        untuned, tuned = (_variety(texts) for texts in zip(*self._recent, strict=True))
        return tuned < 0.5 * untuned

    def tuned(self, inputs: Inputs, base: LogitGeneration, how: Sequence[str], *, learn: bool) -> Attempt | None:
        """Tune, if told to, then answer afresh; None if the tuning was not finite and was undone."""
        kept = self.adapters.snapshot()
        if learn and not self._tune(inputs, base):
            self.tuner.undo(kept)
            return None
        attempt = self.answered_under(self.adapters, inputs, how)
        if not all(map(isfinite, attempt.outcome.entropies)):
            self.tuner.undo(kept)
            return None
        return attempt

    def _tune(self, inputs: Inputs, base: LogitGeneration) -> bool:
        """Apply the updates; return whether every loss was finite."""
        self.objective_curve = []
        for _ in range(self.config.steps):
            self.objective_curve.append(self.tuner.step(inputs, base))
            if not finite(self.objective_curve[-1]):
                return False
        return True


def _variety(texts: Sequence[str]) -> float:
    """Return the entropy in nats of how often each text occurs."""
    counts = Counter(texts).values()
    return -sum(count / len(texts) * log(count / len(texts)) for count in counts)
