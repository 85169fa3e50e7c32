"""Tuning steps: an objective's gradient updates the adapters. The model's own weights stay frozen."""

from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vqttt.errors import InputError
from vqttt.models.base import Inputs
from vqttt.models.tunable import LogitGeneration, TunableModel
from vqttt.tuning.adapters import AdapterConfig, Adapters
from vqttt.tuning.feature_statistics import collect_statistics, load_clean
from vqttt.tuning.objectives import Evidence, find_objective
from vqttt.tuning.quality_views import quality_views


@dataclass(frozen=True, kw_only=True)
class TuningConfig:
    """How adapters are tuned.

    Attributes:
        steps: updates per batch; 0 applies the adapters as they are.
        objective: a name in `OBJECTIVES`, with its parameters if it has any, as in
            `certain-marginal-entropy(certain=0.5)`, or a weighted sum such as `entropy+0.1*naturalness`.
        kernel_rate, lora_rate: Adam's learning rates for the kernel and LoRA.
        full_step: samples that share adapters from which an update has its full size. Fewer give one that is smaller in
            proportion, so that a batch of which one image is uncertain moves the adapters little.
        clean_features: file with statistics of clean images, for objectives that need it and are then not source-free.
            Empty: the file that came with the model.
        checkpoint: whether the backward pass recomputes activations instead of storing them, which saves memory and
            takes the time of another forward pass. Results are the same, up to rounding.
        adapters: the adapters that are tuned.
    """

    steps: int = 1
    objective: str = "entropy"
    kernel_rate: float = 0.01
    lora_rate: float = 1e-3
    full_step: int = 10
    clean_features: str = ""
    checkpoint: bool = False
    adapters: AdapterConfig = field(default_factory=AdapterConfig)

    def __post_init__(self) -> None:
        """Reject settings that cannot run."""
        find_objective(self.objective)
        for name in ("steps", "kernel_rate", "lora_rate"):
            if not 0 <= (value := getattr(self, name)) < inf:
                raise ValueError(f"{name} must be a finite number and not negative: {value}")
        if self.full_step < 1:
            raise ValueError(f"full_step must be at least 1: {self.full_step}")


@dataclass(frozen=True, kw_only=True)
class TunerState:
    """All that a tuner carries from batch to batch, copied at one moment.

    Attributes:
        adapters: see `Adapters.snapshot`.
        optimiser: Adam's memory; None where nothing is tuned.
        history: see `Evidence`.
    """

    adapters: list[Tensor]
    optimiser: dict[str, Any] | None
    history: dict[str, Tensor]


class Tuner:
    """Adapters and their optimiser: one set for all samples, or one per sample.

    Attributes:
        shared: whether all samples share one set.
        history: see `Evidence`.
    """

    def __init__(self, model: TunableModel, config: TuningConfig, *, sets: int | None, seed: int) -> None:
        """Start at the identity.

        Args:
            model: the model to adapt.
            config: how to tune it.
            sets: number of samples with a set each; None if all samples share one.
            seed: of the random numbers that adapters start from.

        Raises:
            InputError: if the objective needs statistics of clean images, and there are none.
        """
        self.model, self.config, self.shared = model, config, sets is None
        self.objective = find_objective(config.objective)
        self.adapters = Adapters(model, config.adapters, sets=sets or 1, seed=seed)
        self.clean = load_clean(_clean_file(model, config), model) if self.objective.features else None
        self.history: dict[str, Tensor] = {}
        self._start_optimiser()

    def reset(self) -> None:
        """Return adapters, optimiser and history to the start, bit for bit."""
        self.restore(TunerState(adapters=self.adapters.start, optimiser=None, history={}))

    def snapshot(self) -> TunerState:
        """Return a copy of adapters, optimiser and history."""
        memory = deepcopy(self.optimiser.state_dict()) if self.optimiser is not None else None
        return TunerState(adapters=self.adapters.snapshot(), optimiser=memory, history=dict(self.history))

    def restore(self, state: TunerState) -> None:
        """Return adapters, optimiser and history to a snapshot, bit for bit."""
        self.adapters.restore(state.adapters)
        self._start_optimiser()
        if self.optimiser is not None and state.optimiser is not None:
            self.optimiser.load_state_dict(deepcopy(state.optimiser))
        self.history = dict(state.history)

    def _start_optimiser(self) -> None:
        rates = (self.config.kernel_rate, self.config.lora_rate)
        parts = (self.adapters.kernel_parameters, self.adapters.lora_parameters)
        groups = [{"params": part, "rate": rate} for part, rate in zip(parts, rates, strict=True) if part]
        self.optimiser = torch.optim.Adam(groups) if groups else None

    def step(self, inputs: Inputs, base: LogitGeneration) -> Tensor:
        """Apply one update, and return the losses before it, (N,).

        Args:
            inputs: the batch.
            base: its untuned answers.
        """
        with torch.enable_grad(), self._saving(), self.adapters.applied(inputs) as adapted:
            evidence = self._evidence(adapted, base)
            losses = self.objective.loss(evidence)
            self._backward(losses)
        self._remember(evidence)
        self._update(losses)
        return losses.detach()

    @torch.no_grad()
    def relax(self, share: float) -> None:
        """Take back a share, 0 to 1, of what moved the adapters away from their start."""
        for tensor, start in zip(self.adapters.parameters, self.adapters.start, strict=True):
            tensor.lerp_(start, share)

    @torch.no_grad()
    def losses(self, inputs: Inputs, base: LogitGeneration) -> Tensor:
        """Return the loss of each sample, taken alone, under the current adapters, (N,)."""
        with self.adapters.applied(inputs) as adapted:
            return self.objective.loss(replace(self._evidence(adapted, base), shared=False))

    @property
    def one_pass(self) -> bool:
        """Whether one forward pass can give both answers and a gradient (see `trace`)."""
        return not (self.objective.over_answer or self.objective.features)

    def _saving(self) -> AbstractContextManager[None]:
        return self.model.checkpointed() if self.config.checkpoint else nullcontext()

    def trace(
        self, inputs: Inputs, max_new_tokens: int, base: LogitGeneration | None = None
    ) -> tuple[LogitGeneration, Tensor]:
        """Answer by a forward pass that gradients can pass through; only if `one_pass`.

        Args:
            inputs: the batch.
            max_new_tokens: see `TunableModel.generate`.
            base: the untuned answers. None if these are they, because the adapters are still the identity.

        Returns:
            the answers under the adapters as they stand, and the losses (N,) for `descend`.
        """
        with torch.enable_grad(), self._saving(), self.adapters.applied(inputs) as adapted:
            answers = self.model.generate_with_gradient(adapted, max_new_tokens)
            evidence = self._evidence(adapted, base or answers, answers.logits[:, :1])
            losses = self.objective.loss(evidence)
        self._remember(evidence)
        return replace(answers, logits=answers.logits.detach()), losses

    def descend(self, losses: Tensor) -> None:
        """Apply an update, given the losses that `trace` returned."""
        with self._saving():
            self._backward(losses)
        self._update(losses)

    def _backward(self, losses: Tensor) -> None:
        """Compute the gradients of losses (N,).

        A sum gives each of several sets its own gradient; for a shared set, a mean makes the step independent of the
        batch size.
        """
        for tensor in self.adapters.parameters:
            tensor.grad = None
        total = losses.sum() / (len(losses) if self.shared else 1)
        if total.requires_grad:  # False if no sample has an image
            total.backward()  # type: ignore[no-untyped-call]

    def _update(self, losses: Tensor) -> None:
        """Let the gradients of losses (N,) move the adapters."""
        if self.optimiser is None or (self.shared and not finite(losses)):
            return  # a shared set must stay finite; separate sets cannot harm each other
        if not any(tensor.grad is not None and tensor.grad.any() for tensor in self.adapters.parameters):
            return  # no sample has a gradient, and momentum alone must not change the adapters
        share = min(1.0, len(losses) / self.config.full_step) if self.shared else 1.0
        for group in self.optimiser.param_groups:
            group["lr"] = share * group["rate"]
        self.optimiser.step()
        if self.adapters.kernel is not None:
            self.adapters.kernel.confine()

    def _evidence(self, adapted: Inputs, base: LogitGeneration, logits: Tensor | None = None) -> Evidence:
        """Collect the objective's evidence, inside `Adapters.applied`; without `logits`, run a forward pass."""
        with collect_statistics(self.model, adapted) if self.objective.features else nullcontext() as features:
            if logits is None:
                logits = self.model.answer_logits(adapted, base.tokens if self.objective.over_answer else None)
        pixels, owner, content = self.model.pixels(adapted)
        length = logits.shape[1]
        return Evidence(
            logits=logits,
            mask=base.mask[:, :length],
            base=base.logits[:, :length],
            pixels=pixels,
            owner=owner,
            content=content,
            views=self._views(adapted, logits) if self.objective.views else None,
            features=features,
            clean=self.clean,
            shared=self.shared,
            groups=adapted.groups,
            history=self.history,
        )

    def _remember(self, evidence: Evidence) -> None:
        """Add a batch's answer distributions to the history, which decays with a half-life of about seven batches.

        A distribution that is not finite is left out: it would never leave the history again.
        """
        p = evidence.logits.detach()[:, 0].softmax(-1)
        sound = torch.isfinite(p).all(1).tolist()
        groups = evidence.groups or ("",) * len(p)
        for group in dict.fromkeys(groups):
            rows = [n for n, name in enumerate(groups) if name == group and sound[n]]
            self.history[group] = 0.9 * self.history.get(group, torch.zeros_like(p[0])) + p[rows].sum(0)

    def _views(self, adapted: Inputs, logits: Tensor) -> Tensor:
        """Return the logits of the quality views at the first position, (K, N, V); `logits` are those of the image."""
        views = self.model.pixels(adapted).changed(lambda content, which: quality_views(content))[1:]
        inputs = (self.model.with_pixels(adapted, view) for view in views)
        return torch.stack([logits[:, 0], *(self.model.answer_logits(view)[:, 0] for view in inputs)])


def _clean_file(model: TunableModel, config: TuningConfig) -> Path:
    if config.clean_features:
        return Path(config.clean_features)
    if model.clean_features is None:
        raise InputError(
            f"the objective {config.objective!r} needs statistics of clean images for the model {model.name}; "
            "make them with `vqttt clean-features` from any clean images, without labels"
        )
    return model.clean_features


def finite(values: Tensor) -> bool:
    """Return whether all values are finite."""
    return bool(torch.isfinite(values).all())
