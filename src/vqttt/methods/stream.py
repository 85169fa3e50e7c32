"""What methods share that tune one set of adapters along a stream of samples."""

from abc import abstractmethod
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from math import isfinite, log
from pathlib import Path
from typing import Any

from torch import Tensor

from vqttt.errors import InputError
from vqttt.methods.attempts import Attempt, GuardConfig, Outcome
from vqttt.methods.base import Method
from vqttt.models.base import Inputs
from vqttt.models.tunable import LogitGeneration, TunableModel
from vqttt.tuning import tuned_file
from vqttt.tuning.adapters import Adapters
from vqttt.tuning.tuner import Tuner, TuningConfig, finite


class StreamMethod(Method):
    """What is learned is carried along the stream; it can be saved, and another stream can start from it."""

    learns = True

    @abstractmethod
    def write(self, path: Path, about: dict[str, Any]) -> None:
        """Write what was learned, and what it was learned with, to a file."""

    @abstractmethod
    def read(self, path: Path) -> None:
        """Start, now and at a reset, at what `write` wrote."""

    @abstractmethod
    def learned(self) -> list[Tensor]:
        """Return a copy of all that `write` writes."""

    @abstractmethod
    def summary(self) -> str:
        """Say in a line what was learned."""

    def memory(self) -> int:
        """Return the bytes that what was learned takes up, roughly: an optimiser keeps as much twice more."""
        return 3 * sum(tensor.nbytes for tensor in self.learned())

    def save(self, path: Path) -> None:
        """Write what was learned, so that another stream can start from it, or apply it frozen."""
        about = {"method": self.name, "settings": self.settings(), "model": self.model.name}
        about |= {"version": version("vqttt"), "weights": self.model.tuned_for()} | self.made_with()
        self.write(path, about)

    def load(self, path: Path, *, frozen: bool = False) -> None:
        """Start, now and at a reset, at what `save` wrote.

        Args:
            path: the file.
            frozen: whether it is applied as it is. Then the method that wrote it must be this one, with the same
                settings; one that goes on learning may have others, as long as what was learned fits.

        Raises:
            InputError: if the file is not there, or was made with another model, or with other corrections, or does
                not fit the method. The message says what differs.
        """
        self._check(path, tuned_file.read(path)[1], frozen)
        self.read(path)

    def _check(self, path: Path, about: dict[str, Any], frozen: bool) -> None:
        if frozen and about.get("method") != self.name:
            raise InputError(f"{path} was tuned by {about.get('method')}, not by {self.name}; choose that method")
        if frozen and (other := tuned_file.difference(about.get("settings"), self.settings())):
            raise InputError(f"{path} was tuned with other settings of {self.name}: {other}")
        for key, value in self.made_with().items():
            if about.get(key) != value:
                raise InputError(f"{path} was tuned with other {key} than this version's; run `vqttt tune` again")
        if about.get("weights") != self.model.tuned_for():
            raise InputError(
                f"{path} was tuned on a model with other weights ({about.get('model')}) than {self.model.name}; "
                "run `vqttt tune` with this one"
            )

    def settings(self) -> dict[str, Any]:
        """Return the settings as JSON has them, without the file that the method started from."""
        own: dict[str, Any] = tuned_file.as_json(asdict(self.config)) if self.config is not None else {}
        own.pop("start", None)
        return own

    def made_with(self) -> dict[str, Any]:
        """Return what else must be the same where a saved file is used, as JSON has it."""
        return {}


class AdapterStream(StreamMethod):
    """One set of adapters, which starts at the identity, or at what was saved, and is carried along the stream."""

    @property
    @abstractmethod
    def adapters(self) -> Adapters:
        """The adapters as they stand."""

    def write(self, path: Path, about: dict[str, Any]) -> None:
        """Write the adapters."""
        self.adapters.save(path, {}, about)

    def read(self, path: Path) -> None:
        """Start, now and at a reset, at the adapters in a file."""
        self.adapters.load(path)

    def learned(self) -> list[Tensor]:
        """Return a copy of the adapters' tensors."""
        return self.adapters.snapshot()

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the adapters; a method that carries more adds it."""
        return {"adapters": self.adapters.snapshot()}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Return to a snapshot, bit for bit."""
        self.adapters.restore(snapshot["adapters"])

    def summary(self) -> str:
        """Say in a line what was learned."""
        units = {
            "kernel": "the kernel's largest parameter moved by {:.3g}",
            "LoRA": "LoRA changes a weight matrix by up to {:.2%}",
            "norms": "a norm's weights change by up to {:.2%}",
        }
        return ", ".join(units[name].format(value) for name, value in self.adapters.changes().items()) or "no adapters"


@dataclass(frozen=True, kw_only=True)
class StreamConfig(TuningConfig, GuardConfig):
    """Settings of tuning by gradients along a stream.

    Attributes:
        afresh: whether a batch is answered by another pass after its last update, rather than by the pass that the
            update's gradient came from.
        forget: the share of what was learned that each sample takes back, be it certain or not. Where most samples are
            certain, it outweighs the updates, so that a long stream of them does not drift.
        window: answers that the collapse guard looks back on.
        start: a file that `save` wrote, to start from instead of the identity.
    """

    afresh: bool = False
    forget: float = 3e-3
    window: int = 100
    start: str = ""

    def __post_init__(self) -> None:
        """Reject settings that cannot run."""
        TuningConfig.__post_init__(self)
        GuardConfig.__post_init__(self)
        if self.window < 1:
            raise ValueError(f"window must be at least 1: {self.window}")
        if not 0 <= self.forget < 1:
            raise ValueError(f"forget must be at least 0 and below 1: {self.forget}")


class GradientStream(AdapterStream):
    """Tune by gradients along a stream, with a guard against what goes wrong on the way.

    A loss that is not finite undoes the batch, which then leaves no trace. Where the recent answers are far less varied
    than the untuned ones, the adapters have collapsed, and the stream starts anew. Every roll-back is marked in its
    record.
    """

    def __init__(self, model: TunableModel, config: Any, *, max_new_tokens: int = 16, seed: int = 0) -> None:
        """Start at the identity, or at the file in `config.start`."""
        super().__init__(model, config, max_new_tokens=max_new_tokens, seed=seed)
        config = self.config
        self.gate, self.guard_ratio, self.updates = config.gate, config.ratio, config.steps
        self.tuner = Tuner(model, config, sets=None, seed=seed)
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

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of all that is carried along: adapters, optimiser, history and recent answers."""
        return {"tuner": self.tuner.snapshot(), "recent": list(self._recent)}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Return to a snapshot, bit for bit."""
        self.tuner.restore(snapshot["tuner"])
        self._recent.clear()
        self._recent.extend(snapshot["recent"])

    def collapsed(self, before: Outcome, after: Outcome) -> bool:
        """Tell whether the recent answers have less than half the entropy of the untuned ones; forget a little.

        Untuned answers that are not finite are no answers and do not count.
        """
        self.tuner.relax(1 - (1 - self.config.forget) ** len(before.texts))
        pairs = zip(before.texts, after.texts, before.entropies, strict=True)
        self._recent.extend((untuned, tuned) for untuned, tuned, entropy in pairs if isfinite(entropy))
        if not self.config.guard or len(self._recent) < self.config.window // 2:
            return False
        untuned, tuned = (_variety(texts) for texts in zip(*self._recent, strict=True))
        return tuned < 0.5 * untuned

    def tuned(self, inputs: Inputs, base: LogitGeneration, how: Sequence[str], *, learn: bool) -> Attempt | None:
        """Tune, if told to, and answer; None if anything was not finite, so that the batch is to be undone.

        The pass that the last gradient comes from is the answer too, which then shows nothing of the last update. With
        `afresh`, or where the objective cannot share a pass with the answer, another pass answers.
        """
        updates = self.config.steps if learn else 0
        passing = bool(updates) and self.tuner.one_pass and not self.config.afresh
        for _ in range(updates - passing):
            if not self._kept(self.tuner.step(inputs, base)):
                return None
        if not passing:
            attempt = self.answered_under(self.adapters, inputs, how)
        else:
            answers, losses = self.tuner.trace(inputs, self.max_new_tokens, base)
            self.tuner.descend(losses)
            if not self._kept(losses.detach()):
                return None
            attempt = Attempt(how=how, inputs=inputs, outcome=Outcome.of(answers), adapters=self.adapters)
        sound = all(map(isfinite, attempt.outcome.entropies)) and all(map(finite, self.adapters.parameters))
        return attempt if sound else None

    def _kept(self, losses: Tensor) -> bool:
        """Keep losses (N,) for the account; return whether they are finite."""
        self.objective_curve.append(losses)
        return finite(losses)


def _variety(texts: Sequence[str]) -> float:
    """Return the entropy in nats of how often each text occurs."""
    counts = Counter(texts).values()
    return -sum(count / len(texts) * log(count / len(texts)) for count in counts)
