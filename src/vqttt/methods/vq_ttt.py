"""VQ-TTT: Visual-Quality Test-Time Tuning (arXiv 2506.15645), with our choices where the paper's are not known.

reset -> tune: `steps` times objective -> gradient -> update -> guard -> answer afresh -> reset or carry on.
"""

import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from math import isfinite, log
from typing import Any

import torch
from torch import Tensor

from vqttt.adapters import AdapterConfig, Adapters
from vqttt.methods.base import Method, Outcome, compose, finite
from vqttt.models.base import Generation, Inputs, Model
from vqttt.objectives import OBJECTIVES
from vqttt.types import Answer, Image


@dataclass(frozen=True, kw_only=True)
class VQTTTConfig:
    """Settings of VQ-TTT; chosen on development scenes, never on the test splits that are reported.

    Attributes:
        online: carry one adapter set through the stream; otherwise (episodic) every image starts from the identity
            and has a set of its own.
        steps: updates for each batch.
        objective: a name in `OBJECTIVES`.
        kernel_rate, lora_rate: Adam's learning rates.
        gate: samples whose answer entropy (nats) is below this are certain already: they keep their untuned answer
            and take no part in the tuning.
        guard: roll back what tuning made worse (see `VQTTT`).
        window: answers that the collapse guard looks back on.
        adapters: which adapters.
    """

    online: bool = True
    steps: int = 2
    objective: str = "entropy"
    kernel_rate: float = 0.06
    lora_rate: float = 3e-3
    gate: float = 0.02
    guard: bool = True
    window: int = 100
    adapters: AdapterConfig = field(default_factory=AdapterConfig)

    def __post_init__(self) -> None:
        """Reject what cannot run."""
        OBJECTIVES[self.objective]
        if self.steps < 0:
            raise ValueError(f"steps must not be negative: {self.steps}")


class VQTTT(Method):
    """Tune kernel and LoRA on the batch at hand, then answer it with them.

    The guard has three parts. A sample whose answer became less certain keeps its untuned answer. A loss that is not
    finite undoes the batch. And where the tuned answers of the recent stream are far less varied than the untuned
    ones, the adapters have collapsed and start anew. Every roll-back is marked in the sample's record.
    """

    def __init__(self, model: Model, config: VQTTTConfig, *, max_new_tokens: int = 16, seed: int = 0) -> None:
        """Prepare; an online method's adapters begin here."""
        super().__init__(model, max_new_tokens=max_new_tokens, seed=seed)
        self.config, self.online, self.has_kernel = config, config.online, config.adapters.kernel != "none"
        self.adapters: Adapters | None = None
        self.objective_curve: list[Tensor] = []  # the losses (N,) before each update of the last batch
        self._recent: deque[tuple[str, str]] = deque(maxlen=config.window)
        self.reset()

    def reset(self) -> None:
        """Return to the identity: every bit of the adapters, and the optimiser's memory."""
        if self.online and self.adapters is None:
            self.adapters = Adapters(self.model, self.config.adapters, sets=1, seed=self.seed)
        if self.adapters is not None:
            self.adapters.reset()
            self._optimiser = self._new_optimiser(self.adapters)
        self._recent.clear()

    def answer(self, inputs: Inputs, base: Generation) -> list[Answer]:
        """Tune on the uncertain samples of a batch and answer them afresh."""
        began = time.perf_counter()
        before = Outcome.of(base)
        uncertain = [n for n, entropy in enumerate(before.entropies) if entropy >= self.config.gate]
        after, undone = before, set[int]()
        if uncertain and self.config.steps:
            tuned = self._tune_and_answer(self.model.select(inputs, uncertain), _select(base, uncertain))
            undone = {n for i, n in enumerate(uncertain) if tuned is None or self._worse(tuned, i, before, n)}
            if tuned is not None:
                after = _merge(before, tuned, {n: i for i, n in enumerate(uncertain) if n not in undone})
        if self.online and self._collapsed(before, after):
            self.reset()
            after, undone = before, set(uncertain)
        return compose(
            before,
            after,
            steps=[self.config.steps if n in uncertain else 0 for n in range(inputs.count)],
            rolled_back=[n in undone for n in range(inputs.count)],
            seconds=time.perf_counter() - began,
        )

    def settings(self) -> dict[str, Any]:
        """Return the configuration."""
        return asdict(self.config)

    def kernel(self) -> list[list[float]] | None:
        """Return the kernel K of the stream, or of the last image that was tuned."""
        if self.adapters is None or self.adapters.kernel is None:
            return None
        kernel: list[list[float]] = self.adapters.kernel.kernel()[-1].tolist()
        return kernel

    def filtered(self, inputs: Inputs, base: Generation) -> Image:
        """Show one picture through the kernel; an episodic method tunes on it first."""
        if not self.online:
            self._tune_and_answer(inputs, base)
        assert self.adapters is not None
        with torch.no_grad(), self.adapters.applied(inputs) as seen:
            return self.model.to_image(self.model.pixels(seen).pixels[0])

    def _tune_and_answer(self, inputs: Inputs, base: Generation) -> Outcome | None:
        """Tune, then answer by a fresh forward pass; None if a loss was not finite and the tuning was undone."""
        if not self.online:
            self.adapters = Adapters(self.model, self.config.adapters, sets=inputs.count, seed=self.seed)
            self._optimiser = self._new_optimiser(self.adapters)
        assert self.adapters is not None
        kept = self.adapters.snapshot()
        self.objective_curve = []
        for _ in range(self.config.steps):
            losses = self._step(inputs, base)
            self.objective_curve.append(losses)
            if self.online and not finite(losses):
                self._undo(kept)
                return None
        with torch.no_grad(), self.adapters.applied(inputs) as seen:
            tuned = Outcome.of(self.model.generate(seen, self.max_new_tokens))
        if self.online and not all(map(isfinite, tuned.entropies)):
            self._undo(kept)
            return None
        return tuned

    def _undo(self, kept: list[Tensor]) -> None:
        assert self.adapters is not None
        self.adapters.restore(kept)
        self._optimiser = self._new_optimiser(self.adapters)

    def _step(self, inputs: Inputs, base: Generation) -> Tensor:
        """Apply one update: objective -> gradient -> Adam. Returns the losses before it, (N,)."""
        objective = OBJECTIVES[self.config.objective]
        with torch.enable_grad(), self.adapters.applied(inputs) as seen:  # type: ignore[union-attr]
            logits = self.model.answer_logits(seen, base.tokens if objective.over_answer else None)
            losses = objective.loss(logits, base.mask[:, : logits.shape[1]])
            # One set an image: a sum keeps images apart. One set for all: a mean keeps the rate apart from the batch.
            total = losses.mean() if self.online else losses.sum()
        self._optimiser.zero_grad()
        if not self.online or finite(losses):  # images that have a set each cannot spoil one another
            total.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
        return losses.detach()

    def _new_optimiser(self, adapters: Adapters) -> torch.optim.Optimizer:
        groups: list[dict[str, Any]] = [
            {"params": adapters.kernel_parameters, "lr": self.config.kernel_rate},
            {"params": adapters.lora_parameters, "lr": self.config.lora_rate},
        ]
        return torch.optim.Adam([group for group in groups if group["params"]])

    def _worse(self, tuned: Outcome, i: int, before: Outcome, n: int) -> bool:
        entropy = tuned.entropies[i]
        return not isfinite(entropy) or (self.config.guard and entropy > before.entropies[n])

    def _collapsed(self, before: Outcome, after: Outcome) -> bool:
        """Tell whether the recent tuned answers have less than half the entropy of the untuned ones."""
        self._recent.extend(zip(before.texts, after.texts, strict=True))
        if not self.config.guard or len(self._recent) < self.config.window // 2:
            return False
        untuned, tuned = (_histogram_entropy(texts) for texts in zip(*self._recent, strict=True))
        return tuned < 0.5 * untuned


def _histogram_entropy(texts: tuple[str, ...]) -> float:
    counts = Counter(texts).values()
    return -sum(count / len(texts) * log(count / len(texts)) for count in counts)


def _select(base: Generation, rows: list[int]) -> Generation:
    return Generation(
        texts=[base.texts[n] for n in rows], tokens=base.tokens[rows], mask=base.mask[rows], logits=base.logits[rows]
    )


def _merge(before: Outcome, tuned: Outcome, taken: dict[int, int]) -> Outcome:
    """Replace the samples of `before` that `taken` maps to samples of `tuned`."""

    def merged(old: list[Any], new: list[Any]) -> list[Any]:
        return [new[taken[n]] if n in taken else value for n, value in enumerate(old)]

    return Outcome(
        texts=merged(before.texts, tuned.texts),
        confidences=merged(before.confidences, tuned.confidences),
        entropies=merged(before.entropies, tuned.entropies),
    )
