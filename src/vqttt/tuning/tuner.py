"""Tuning: objective -> gradient -> update of the adapters, the base weights frozen."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from math import log
from pathlib import Path

import torch
from torch import Tensor

from vqttt.errors import InputError
from vqttt.models.base import Generation, Inputs, Model
from vqttt.models.generation import token_entropy
from vqttt.tuning.adapters import AdapterConfig, Adapters
from vqttt.tuning.feature_statistics import load_clean, watched
from vqttt.tuning.objectives import Evidence, find_objective
from vqttt.tuning.quality_views import quality_views


@dataclass(frozen=True, kw_only=True)
class TuningConfig:
    """How adapters are tuned.

    Attributes:
        objective: a name in `OBJECTIVES`, or a sum such as `entropy+0.1*naturalness`.
        kernel_rate, lora_rate, norm_rate: Adam's learning rates.
        margin: samples whose entropy is above this share of the largest there can be, ln V, are too uncertain to learn
            from; EATA and SAR have 0.4 of ln C, C being the number of classes. None for no margin.
        sharpness: radius within which the worst point's gradient is taken (SAR's sharpness-aware steps); 0 for none.
        clean_features: a file of clean images' statistics, for objectives that want it; not source-free. Empty: the
            one that came with the model.
        checkpoint: whether the backward pass makes the language model's activations again in place of keeping them:
            less memory for the time of one more forward pass.
        adapters: which adapters.
    """

    objective: str = "entropy"
    kernel_rate: float = 0.01
    lora_rate: float = 1e-3
    norm_rate: float = 1e-3
    margin: float | None = None
    sharpness: float = 0.0
    clean_features: str = ""
    checkpoint: bool = False
    adapters: AdapterConfig = field(default_factory=AdapterConfig)

    def __post_init__(self) -> None:
        """Reject what cannot run."""
        find_objective(self.objective)
        if min(self.kernel_rate, self.lora_rate, self.norm_rate, self.sharpness) < 0:
            raise ValueError("rates and sharpness must not be negative")


class Tuner:
    """Adapters and the optimiser that moves them; one set of them for all samples, or a set for each."""

    def __init__(self, model: Model, config: TuningConfig, *, sets: int | None, seed: int) -> None:
        """Begin at the identity; `sets` is None where all samples share one."""
        self.model, self.config, self.shared = model, config, sets is None
        self.objective = find_objective(config.objective)
        self.adapters = Adapters(model, config.adapters, sets=sets or 1, seed=seed)
        self.clean = load_clean(_clean_file(model, config), model) if self.objective.features else None
        self.history: dict[str, Tensor] = {}
        self._start_optimiser()

    def reset(self) -> None:
        """Return to the start, bit for bit."""
        self.history.clear()
        self.undo(self.adapters.start)

    def undo(self, kept: list[Tensor]) -> None:
        """Return the adapters to a snapshot and start the optimiser anew."""
        self.adapters.restore(kept)
        self._start_optimiser()

    def _start_optimiser(self) -> None:
        rates = (self.config.kernel_rate, self.config.lora_rate, self.config.norm_rate)
        parts = (self.adapters.kernel_parameters, self.adapters.lora_parameters, self.adapters.norm_parameters)
        groups = [{"params": part, "lr": rate} for part, rate in zip(parts, rates, strict=True) if part]
        self.optimiser = torch.optim.Adam(groups) if groups else None

    def step(self, inputs: Inputs, base: Generation) -> Tensor:
        """Apply one update. Returns the losses before it, (N,)."""
        losses = self._gradient(inputs, base)
        if self.optimiser is None or (self.shared and not finite(losses)):
            return losses  # sets of their own cannot spoil one another; one for all must not be spoilt
        if not any(tensor.grad is not None and tensor.grad.any() for tensor in self.adapters.parameters):
            return losses  # no sample is fit to learn from, and momentum alone must not move anything
        if self.config.sharpness:
            with self._at_the_worst_nearby():
                self._gradient(inputs, base)
        self.optimiser.step()
        return losses

    @torch.no_grad()
    def losses(self, inputs: Inputs, base: Generation) -> Tensor:
        """Return each sample's loss by itself under the adapters as they stand, (N,)."""
        with self.adapters.applied(inputs) as seen:
            return self.objective.loss(replace(self._evidence(seen, base), shared=False))

    def _gradient(self, inputs: Inputs, base: Generation) -> Tensor:
        """Fill in the gradients of the objective; returns the losses, (N,)."""
        for tensor in self.adapters.parameters:
            tensor.grad = None
        with torch.enable_grad(), self._saving(), self.adapters.applied(inputs) as seen:
            evidence = self._evidence(seen, base)
            losses = self.objective.loss(evidence)
            # One set an image: a sum keeps images apart. One set for all: a mean keeps the rate apart from the batch.
            weights = self._weights(evidence.logits)
            total = (losses * weights).sum() / (weights.sum().clamp_min(1e-6) if self.shared else 1)
            if total.requires_grad:  # which it does not where no sample shows an image
                total.backward()  # type: ignore[no-untyped-call]
        self._remember(evidence)
        return losses.detach()

    @property
    def opens(self) -> bool:
        """Whether the first forward pass can serve the untuned answer, the gate and the gradient at once."""
        kept = not self.config.checkpoint  # generation needs a cache, which checkpointed layers do not fill
        return kept and not (self.shared or self.objective.over_answer or self.objective.features)

    def _saving(self) -> AbstractContextManager[None]:
        return self.model.checkpointed() if self.config.checkpoint else nullcontext()

    def trace(self, inputs: Inputs, max_new_tokens: int) -> tuple[Generation, Tensor]:
        """Answer by one pass that the gradient can go back through; returns answers and losses, (N,), for `descend`.

        Only where `opens`: at the start the adapters are the identity, so these are the untuned answers.
        """
        with torch.enable_grad(), self.adapters.applied(inputs) as seen:
            base = self.model.generate_with_gradient(seen, max_new_tokens)
            losses = self.objective.loss(self._evidence(seen, base, base.logits[:, :1]))
        return replace(base, logits=base.logits.detach()), losses

    def descend(self, losses: Tensor) -> None:
        """Apply the first update from losses that `trace` returned."""
        if losses.requires_grad:  # which they do not where no sample shows an image
            losses.sum().backward()  # type: ignore[no-untyped-call]
        if self.optimiser is not None:
            self.optimiser.step()

    def _evidence(self, seen: Inputs, base: Generation, logits: Tensor | None = None) -> Evidence:
        with watched(self.model, seen) if self.objective.features else nullcontext() as features:
            if logits is None:
                logits = self.model.answer_logits(seen, base.tokens if self.objective.over_answer else None)
        pixels, owner, content = self.model.pixels(seen)
        length = logits.shape[1]
        return Evidence(
            logits=logits,
            mask=base.mask[:, :length],
            base=base.logits[:, :length],
            pixels=pixels,
            owner=owner,
            content=content,
            views=self._views(seen, logits) if self.objective.views else None,
            features=features,
            clean=self.clean,
            shared=self.shared,
            groups=seen.groups,
            history=self.history,
        )

    def _remember(self, evidence: Evidence) -> None:
        """Add a batch's answers to the stream's history, which fades with a half-life of about seven batches."""
        p = evidence.logits.detach()[:, 0].softmax(-1)
        for group in dict.fromkeys(evidence.groups):
            rows = [n for n, name in enumerate(evidence.groups) if name == group]
            self.history[group] = 0.9 * self.history.get(group, torch.zeros_like(p[0])) + p[rows].sum(0)

    def _views(self, seen: Inputs, logits: Tensor) -> Tensor:
        views = self.model.pixels(seen).changed(lambda content, which: quality_views(content))[1:]
        shown = (self.model.with_pixels(seen, view) for view in views)
        return torch.stack([logits[:, 0], *(self.model.answer_logits(view)[:, 0] for view in shown)])

    def _weights(self, logits: Tensor) -> Tensor:
        """Return how much each sample counts, (N,): all alike, or only those that are certain enough."""
        if self.config.margin is None:
            return torch.ones(len(logits), device=logits.device)
        entropies = token_entropy(logits.detach()[:, 0])
        margin = self.config.margin * log(logits.shape[-1])
        return (entropies < margin).to(logits.dtype)

    @contextmanager
    def _at_the_worst_nearby(self) -> Iterator[None]:
        """Within the block, the adapters stand where the loss rises fastest, `sharpness` away (Foret et al. 2021)."""
        kept = self.adapters.snapshot()
        gradients = [tensor.grad for tensor in self.adapters.parameters if tensor.grad is not None]
        length = torch.stack([gradient.norm() for gradient in gradients]).norm().clamp_min(1e-12)
        with torch.no_grad():
            for tensor in self.adapters.parameters:
                if tensor.grad is not None:
                    tensor.add_(tensor.grad * (self.config.sharpness / length))
        yield
        self.adapters.restore(kept)


def _clean_file(model: Model, config: TuningConfig) -> Path:
    if config.clean_features:
        return Path(config.clean_features)
    if model.clean_features is None:
        raise InputError(
            f"the objective {config.objective!r} needs statistics of clean images for {model.name}; "
            "`vqttt clean-features` makes the file from any clean images, without labels"
        )
    return model.clean_features


def finite(values: Tensor) -> bool:
    """Tell whether every value is a number."""
    return bool(torch.isfinite(values).all())
