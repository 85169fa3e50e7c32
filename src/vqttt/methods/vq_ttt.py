"""VQ-TTT: Visual-Quality Test-Time Tuning (arXiv 2506.15645), with our choices where the paper's are not known.

reset -> search: through which kernel of the bank -> tune: `steps` times objective -> gradient -> update -> answer
afresh, or as the blind restorer has it -> guard -> reset or carry on.
"""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vqttt.methods.base import Filtered, Method, Outcome, compose, histogram_entropy
from vqttt.methods.restored import answers_when_restored, restored
from vqttt.models.base import Generation, Inputs, Model
from vqttt.tuning.adapters import Adapters
from vqttt.tuning.corrections import BANK, members
from vqttt.tuning.search import Search
from vqttt.tuning.tuner import Tuner, TuningConfig, finite
from vqttt.types import Answer


@dataclass(frozen=True, kw_only=True)
class VQTTTConfig(TuningConfig):
    """Settings of VQ-TTT; chosen on development scenes, never on the test splits that are reported.

    Attributes:
        online: carry one adapter set through the stream; otherwise (episodic) every image starts from the identity
            and has a set of its own.
        steps: updates for each batch; 0 applies adapters as they are.
        before: answer with the adapters from before the batch's updates, as TENT does.
        gate: samples whose answer entropy (nats) is below this are certain already: they keep their untuned answer
            and take no part in the tuning.
        restore: whether an uncertain image is also answered untuned as the blind restorer would have it; the more
            certain answer is taken.
        guard: roll back what tuning made worse (see `VQTTT`).
        guard_ratio: what share of its untuned entropy a new answer may have at most to be taken.
        floor: where the running mean of the entropy falls below this, the adapters start anew (SAR); 0 for never.
        window: answers that the collapse guard looks back on.
        bank: whether each image is seen through a member of the bank that a predictor, learned along the stream,
            chooses from its spectrum; only online.
        explore_first, explore: so many uncertain samples first, then this share of those in a batch, one at least, try
            the whole bank; where batches are small that is a larger share.
        caution: of the predictor, see `Predictor`.
        start: a file that `VQTTT.save` wrote, to start from in place of the identity.
        frozen: learn nothing; for what was saved.
    """

    online: bool = True
    steps: int = 2
    before: bool = False
    gate: float = 0.02
    restore: bool = False
    guard: bool = True
    guard_ratio: float = 1.0
    floor: float = 0.0
    window: int = 100
    bank: bool = False
    explore_first: int = 40
    explore: float = 0.1
    caution: float = 0.75
    start: str = ""
    frozen: bool = False

    def __post_init__(self) -> None:
        """Reject what cannot run."""
        super().__post_init__()
        if self.steps < 0:
            raise ValueError(f"steps must not be negative: {self.steps}")
        if self.bank and not self.online:
            raise ValueError("the bank's predictor learns along the stream; an episodic method has none")
        if not 0 <= self.explore <= 1:
            raise ValueError(f"explore is a share, 0 to 1, not {self.explore}")


class VQTTT(Method):
    """Tune adapters on the batch at hand, then answer it with them.

    The guard has three parts. A sample whose answer became less certain, or hardly more, keeps its untuned answer. A
    loss that is not finite undoes the batch. And where the tuned answers of the recent stream are far less varied
    than the untuned ones, the adapters have collapsed and start anew. Every roll-back is marked in its record.
    """

    def __init__(self, model: Model, config: VQTTTConfig, *, max_new_tokens: int = 16, seed: int = 0) -> None:
        """Prepare; an online method's adapters begin here."""
        super().__init__(model, max_new_tokens=max_new_tokens, seed=seed)
        self.config, self.online, self.has_kernel = (
            config,
            config.online,
            config.bank or config.adapters.kernel != "none",
        )
        self.tuner: Tuner | None = None
        self.search = self._new_search() if config.bank else None
        self.objective_curve: list[Tensor] = []  # the losses (N,) before each update of the last batch
        self._recent: deque[tuple[str, str]] = deque(maxlen=config.window)
        self._running_entropy: float | None = None
        self._learned: dict[str, Tensor] = {}
        self.reset()

    def reset(self) -> None:
        """Return to the start: every bit of the adapters, the optimiser's memory and the stream's history."""
        if self.online and self.tuner is None:
            self.tuner = self._new_tuner(None)
        if self.tuner is not None:
            self.tuner.reset()
        if self.search is not None:
            self.search.predictor.reset()
            if self._learned:
                self.search.predictor.load(self._learned)
        self._recent.clear()
        self._running_entropy = None

    @property
    def adapters(self) -> Adapters | None:
        """The adapters as they stand; None before an episodic method has met its first image."""
        return self.tuner.adapters if self.tuner else None

    def save(self, path: Path) -> None:
        """Write the adapters as they stand, so that another stream can start from them (see `VQTTTConfig.start`)."""
        assert self.tuner is not None, "nothing has been tuned yet"
        self.tuner.adapters.save(path, self.search.predictor.state() if self.search else {})

    def answer(self, inputs: Inputs, base: Generation) -> list[Answer]:
        """Tune on the uncertain samples of a batch and answer them afresh."""
        began = time.perf_counter()
        before = Outcome.of(base)
        uncertain = self._uncertain(before)
        after, undone = before, set[int]()
        if uncertain and (self.steps or self.search or self.config.start or self.config.restore):
            tuned = self._best_answers(self.model.select(inputs, uncertain), base.select(uncertain))
            after, undone = self._guarded(before, tuned, uncertain)
        if self.online and not self.config.frozen and (self._collapsed(before, after) or self._too_certain(after)):
            self.reset()
            after, undone = before, set(uncertain)
        return self._composed(before, after, uncertain, undone, time.perf_counter() - began)

    def _uncertain(self, before: Outcome) -> list[int]:
        return [n for n, entropy in enumerate(before.entropies) if entropy >= self.config.gate]

    def _guarded(self, before: Outcome, tuned: Outcome | None, uncertain: list[int]) -> tuple[Outcome, set[int]]:
        """Take those tuned answers to the uncertain samples that the guard lets pass; also returns the others."""
        if tuned is None:
            return before, set(uncertain)
        undone = {n for i, n in enumerate(uncertain) if self._worse(tuned, i, before, n)}
        return before.replaced(tuned, {n: i for i, n in enumerate(uncertain) if n not in undone}), undone

    def _composed(
        self, before: Outcome, after: Outcome, uncertain: list[int], undone: set[int], seconds: float
    ) -> list[Answer]:
        every = range(len(before.texts))
        steps = [self.updates if n in uncertain else 0 for n in every]
        return compose(before, after, steps=steps, rolled_back=[n in undone for n in every], seconds=seconds)

    def answer_alone(self, inputs: Inputs) -> list[Answer]:
        """Answer a batch of which nothing is known: one pass serves untuned answer, gate and first gradient."""
        if self.online or not self.steps or not (tuner := self._new_tuner(inputs.count)).opens or self.config.start:
            return super().answer_alone(inputs)
        began = time.perf_counter()
        self.tuner = tuner
        base, losses = tuner.trace(inputs, self.max_new_tokens)
        before = Outcome.of(base)
        uncertain = self._uncertain(before)
        after, undone = before, set[int]()
        self.objective_curve = [losses.detach()]
        if uncertain:
            tuner.descend(losses)
            self.objective_curve += [tuner.step(inputs, base) for _ in range(self.steps - 1)]
            tuned = self._generate(self.model.select(inputs, uncertain), torch.tensor(uncertain, device=losses.device))
            after, undone = self._guarded(before, tuned, uncertain)
        return self._composed(before, after, uncertain, undone, time.perf_counter() - began)

    @property
    def steps(self) -> int:
        """Updates for each batch."""
        return 0 if self.config.frozen else self.config.steps

    @property
    def updates(self) -> int:
        """Updates for each batch, that of the predictor included."""
        return self.steps + (self.search is not None and not self.config.frozen)

    def settings(self) -> dict[str, Any]:
        """Return the configuration."""
        return asdict(self.config)

    def kernel(self, inputs: Inputs) -> list[list[float]] | None:
        """Return the kernel K for the one image of a batch, or that of the last image that was tuned."""
        if self.tuner is None:
            return None
        shown = self.tuner.adapters.kernels(inputs)
        return None if shown is None else shown[-1].tolist()

    def filtered(self, inputs: Inputs, base: Generation) -> Filtered:
        """Show one image through the kernel; an episodic method tunes on it first."""
        with self._tuned(inputs, base) as (seen, through):
            return Filtered(self.model.to_image(self.model.pixels(seen).pixels[0]), through)

    @contextmanager
    def seen(self, inputs: Inputs, base: Generation) -> Iterator[Inputs]:
        """Attach the adapters and yield the one sample through the kernel, or restored (see `Method.seen`)."""
        before = Outcome.of(base)
        if not self._uncertain(before):
            yield inputs
            return
        with ExitStack() as attached:
            tuned, _ = attached.enter_context(self._tuned(inputs, base))
            if self._worse(Outcome.of(self.model.generate(tuned, self.max_new_tokens)), 0, before, 0):
                attached.close()
                tuned = inputs
            yield tuned

    @contextmanager
    def _tuned(self, inputs: Inputs, base: Generation) -> Iterator[tuple[Inputs, str]]:
        """Attach the adapters and yield one sample as tuning or the restorer has it, and which; no gate, no guard."""
        if not self.online:
            self._tune_and_answer(inputs, base)
        assert self.tuner is not None
        tuned, through = inputs, "through the learned kernel"
        if self.search:
            choice = self.search.choose(inputs)
            tuned, through = self.search.through(inputs, choice), BANK.summary(members()[int(choice[0])])
        if self.config.restore:
            mended = answers_when_restored(self.model, inputs, self.max_new_tokens)
            if mended.entropies[0] < self._generate(tuned).entropies[0]:
                yield restored(self.model, inputs), "restored blindly"
                return
        with torch.no_grad(), self.tuner.adapters.applied(tuned) as seen:
            yield seen, through

    def _new_tuner(self, sets: int | None) -> Tuner:
        tuner = Tuner(self.model, self.config, sets=sets, seed=self.seed)
        if self.config.start:
            self._learned = tuner.adapters.load(Path(self.config.start))
        return tuner

    def _new_search(self) -> Search:
        first, share = (0, 0.0) if self.config.frozen else (self.config.explore_first, self.config.explore)
        return Search(self.model, first=first, share=share, caution=self.config.caution)

    def _best_answers(self, inputs: Inputs, base: Generation) -> Outcome | None:
        """Tune and answer; each sample's restored images compete with that. None if nothing came of it."""
        tuned = self._tune_and_answer(inputs, base)
        if tuned is None or not self.config.restore:
            return tuned
        mended = answers_when_restored(self.model, inputs, self.max_new_tokens)
        surer = [n for n in range(inputs.count) if mended.entropies[n] < tuned.entropies[n]]
        return tuned.replaced(mended, {n: n for n in surer})

    def _tune_and_answer(self, inputs: Inputs, base: Generation) -> Outcome | None:
        """Tune, then answer by a fresh forward pass; None if a loss was not finite and the tuning was undone."""
        if not self.online:
            self.tuner = self._new_tuner(inputs.count)
        assert self.tuner is not None
        kept = self.tuner.adapters.snapshot()
        self.objective_curve = []
        if self.search:
            inputs = self.search.corrected(inputs, base, self.tuner)
        tuned = self._generate(inputs) if self.config.before else None
        for _ in range(self.steps):
            losses = self.tuner.step(inputs, base)
            self.objective_curve.append(losses)
            if self.online and not finite(losses):
                self.tuner.undo(kept)
                return None
        tuned = tuned or self._generate(inputs)
        if self.online and not all(map(isfinite, tuned.entropies)):
            self.tuner.undo(kept)
            return None
        return tuned

    def _generate(self, inputs: Inputs, sets: Tensor | None = None) -> Outcome:
        assert self.tuner is not None
        with torch.no_grad(), self.tuner.adapters.applied(inputs, sets) as seen:
            return Outcome.of(self.model.generate(seen, self.max_new_tokens))

    def _worse(self, tuned: Outcome, i: int, before: Outcome, n: int) -> bool:
        entropy = tuned.entropies[i]
        most = self.config.guard_ratio * before.entropies[n]
        return not isfinite(entropy) or (self.config.guard and entropy > most)

    def _collapsed(self, before: Outcome, after: Outcome) -> bool:
        """Tell whether the recent tuned answers have less than half the entropy of the untuned ones."""
        self._recent.extend(zip(before.texts, after.texts, strict=True))
        if not self.config.guard or len(self._recent) < self.config.window // 2:
            return False
        untuned, tuned = (histogram_entropy(texts) for texts in zip(*self._recent, strict=True))
        return tuned < 0.5 * untuned

    def _too_certain(self, after: Outcome) -> bool:
        """Tell whether the running mean of the stream's entropy has sunk below the floor (SAR)."""
        mean = sum(after.entropies) / len(after.entropies)
        self._running_entropy = mean if self._running_entropy is None else 0.9 * self._running_entropy + 0.1 * mean
        return self._running_entropy < self.config.floor
