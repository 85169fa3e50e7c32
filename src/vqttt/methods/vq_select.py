"""VQ-Select: try the corrections that promise most on an uncertain image, and keep the surest answer. Ours.

It needs forward passes only, and of a model only its answers and how certain they are: it works for a model behind a
server too. Corrections are functions of the image (`vqttt.images.restorers`). A predictor ranks them for each image by
what they did on images like it (`vqttt.tuning.predictor`); every try teaches it.
"""

from dataclasses import dataclass, replace
from math import isfinite, nan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vqttt.images.restorers import CORRECTIONS, MATCHED, check_restorer
from vqttt.methods.attempts import Attempt, GuardConfig, Outcome
from vqttt.methods.corrected import answered_on, corrected, same
from vqttt.methods.stream import StreamMethod
from vqttt.models.base import Generation, Inputs, Model
from vqttt.models.batch import Shown
from vqttt.tuning import tuned_file
from vqttt.tuning.predictor import Predictor, certainty
from vqttt.tuning.spectrum import describe_images


@dataclass(frozen=True, kw_only=True)
class VQSelectConfig(GuardConfig):
    """Settings of VQ-Select; chosen on development scenes, never on the test splits that are reported.

    Attributes:
        tries: corrections that are tried on each uncertain image, each for one forward pass.
        corrections: the restorers to choose among.
        trust: an answer is judged by its certainty, exp(-entropy), plus this many times what its correction promised.
        caution: how much more certain, by this judgement, it must be than the untuned answer.
        boldness: see `Predictor`.
        start: a file that `save` wrote, to start from instead of from nothing.
    """

    tries: int = 2
    corrections: tuple[str, ...] = CORRECTIONS
    trust: float = 2.0
    caution: float = 0.15
    boldness: float = 1.0
    start: str = ""

    def __post_init__(self) -> None:
        """Reject settings that cannot run."""
        super().__post_init__()
        for number, name in enumerate(self.corrections):
            check_restorer(name)
            if name == MATCHED:
                raise ValueError(f"corrections are chosen for each image, and {name!r} needs to know the degradation")
            if name in self.corrections[:number]:
                raise ValueError(f"corrections names {name!r} twice")
        if not 1 <= self.tries <= len(self.corrections):
            raise ValueError(f"tries is from 1 to the number of corrections, {len(self.corrections)}, not {self.tries}")


class VQSelect(StreamMethod):
    """Rank the corrections for each uncertain image, try the best, learn from the tries."""

    needs = Model
    config: VQSelectConfig
    default_config = VQSelectConfig()
    changes_images = True

    def __init__(
        self, model: Model, config: VQSelectConfig | None = None, *, max_new_tokens: int = 16, seed: int = 0
    ) -> None:
        """Start without evidence, or at the file in `config.start`."""
        super().__init__(model, config, max_new_tokens=max_new_tokens, seed=seed)
        self.gate, self.guard_ratio = self.config.gate, self.config.ratio
        self.updates = self.config.tries
        self.predictor = Predictor(len(self.config.corrections), boldness=self.config.boldness)
        self._start = self.predictor.snapshot()
        if self.config.start:
            self.load(Path(self.config.start))

    @classmethod
    def most_looks(cls, config: VQSelectConfig) -> int:
        """Return the number of tries."""
        return config.tries

    def admitted(self, inputs: Inputs, before: Outcome) -> list[int]:
        """Return the uncertain samples that have an image.

        Raises:
            ValueError: if the batch was encoded without keeping its images (see `Model.batch_of`).
        """
        if len(inputs.images) < inputs.count:
            raise ValueError("vq-select needs the images that a batch was made of; make it by the model's batch_of")
        return [n for n in super().admitted(inputs, before) if len(inputs.images[n])]

    def attempts(self, inputs: Inputs, base: Generation, *, learn: bool = True) -> list[Attempt]:
        """Answer under the first, the second, ... of the corrections chosen for each sample."""
        names, images = self.config.corrections, dict[tuple[int, int], Shown]()
        if not self.model.may_look():  # corrections take time too
            return []

        def changes(n: int, number: int) -> bool:
            """Correct sample n; a correction that leaves its images as they are is not worth a forward pass."""
            images[n, number] = corrected(inputs.images[n], names[number])
            return not same(images[n, number], inputs.images[n])

        described = describe_images(inputs.images)
        choice = self.predictor.choose(described, self.config.tries, changes)
        attempts = []
        for numbers, promises in zip(choice.tried.unbind(1), choice.promised.unbind(1), strict=True):
            if not self.model.may_look():
                break
            chosen = numbers.tolist()
            seen, how = [images[n, c] for n, c in enumerate(chosen)], [names[c] for c in chosen]
            attempt = answered_on(self.model, inputs, seen, how, self.max_new_tokens)
            credit = self.config.trust * promises - self.config.caution
            attempts.append(replace(attempt, credit=credit.tolist()))
        if not any(isfinite(entropy) for attempt in attempts for entropy in attempt.outcome.entropies):
            return []
        if learn:
            after = torch.stack([certainty(_known(attempt.outcome)) for attempt in attempts], 1)
            tried = replace(choice, tried=choice.tried[:, : len(attempts)])
            self.predictor.observe(described, tried, after - certainty(base.entropies)[:, None])
        return attempts

    def reset(self) -> None:
        """Return to the start: no evidence, or that of the file."""
        self.predictor.restore(self._start)

    def snapshot(self) -> Any:
        """Return the predictor's evidence."""
        return self.predictor.snapshot()

    def learned(self) -> list[Tensor]:
        """Return a copy of the predictor's evidence."""
        return list(self.predictor.state().values())

    def memory(self) -> int:
        """Return the bytes of the predictor's evidence."""
        return self.predictor.memory_used()

    def restore(self, snapshot: Any) -> None:
        """Return to a snapshot, bit for bit."""
        self.predictor.restore(snapshot)

    def write(self, path: Path, about: dict[str, Any]) -> None:
        """Write the predictor's evidence."""
        tuned_file.write(path, self.predictor.state(), about)

    def read(self, path: Path) -> None:
        """Start, now and at a reset, at the evidence in a file."""
        self.predictor.load(tuned_file.read(path)[0])
        self._start = self.predictor.snapshot()

    def made_with(self) -> dict[str, Any]:
        """Return the corrections, to which the predictor refers by their order."""
        return {"corrections": list(self.config.corrections)}

    def summary(self) -> str:
        """Say in a line what was learned."""
        return f"which correction suits which image, from {self.predictor.tries} tries"


def _known(outcome: Outcome) -> list[float]:
    """Return the doubt in each answer; NaN where there is none, which teaches nothing about the correction."""
    pairs = zip(outcome.doubts, outcome.entropies, strict=True)
    return [doubt if isfinite(entropy) else nan for doubt, entropy in pairs]
