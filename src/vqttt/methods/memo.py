"""MEMO: all weights, tuned for each image alone so that its augmented views are answered alike.

Zhang et al., "MEMO: Test Time Robustness via Adaptation and Augmentation", NeurIPS 2022. The loss is the entropy of the
mean distribution over AugMix views, here that of the answer's first token. One step of AdamW changes every weight of
the model, language model included; then the image is answered as it came, and the weights return to what they were.
Rate and weight decay are those of the published transformer (RVT).

It needs room for the gradients, AdamW's two averages and a copy of all weights: five times the weights in all.
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, log

import numpy as np
import torch
from torch import Tensor

from vqttt.errors import InputError
from vqttt.methods.attempts import Attempt, Outcome
from vqttt.methods.base import Method
from vqttt.models.base import Inputs
from vqttt.models.tunable import LogitGeneration, TunableModel
from vqttt.tuning.augmix import augmix


@dataclass(frozen=True, kw_only=True)
class MemoConfig:
    """Settings of MEMO.

    Attributes:
        rate, decay: AdamW's learning rate and weight decay.
        steps: updates for each image.
        views: augmented views for each update; the paper takes 32 for small images and 64 for those of ImageNet.
        at_once: views in one pass, which bounds the memory of their activations and changes nothing else.
    """

    rate: float = 1e-5
    decay: float = 0.01
    steps: int = 1
    views: int = 32
    at_once: int = 8

    def __post_init__(self) -> None:
        """Reject settings that cannot run."""
        for name, least in (("rate", 0), ("decay", 0), ("steps", 0), ("views", 1), ("at_once", 1)):
            if not least <= (value := getattr(self, name)) < inf:
                raise ValueError(f"{name} must be at least {least} and finite: {value}")


class Memo(Method):
    """Tune all weights on one image, answer it, and put them back; every image is tuned on, certain or not."""

    config: MemoConfig
    default_config = MemoConfig()

    def __init__(
        self, model: TunableModel, config: MemoConfig | None = None, *, max_new_tokens: int = 16, seed: int = 0
    ) -> None:
        """See that a small step can change the weights.

        Raises:
            InputError: if they are quantised or of half precision, where a step of this size is lost in rounding.
        """
        super().__init__(model, config, max_new_tokens=max_new_tokens, seed=seed)
        self.updates = self.config.steps
        kinds = {weight.dtype for weight in model.network.parameters()} - {torch.float32, torch.float64}
        if kinds:
            found = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
            raise InputError(
                f"memo changes weights by steps that {found} rounds away; load the model with --dtype float32, and not "
                "quantised"
            )

    def attempts(self, inputs: Inputs, base: LogitGeneration, *, learn: bool = True) -> list[Attempt]:
        """Tune on each image alone, then answer it; a sample without an image keeps its untuned answer."""
        found = [self._alone(self.model.select(inputs, [n]), base.select([n])) for n in range(inputs.count)]
        outcome = Outcome(
            texts=[one.texts[0] for one in found],
            confidences=[one.confidences[0] for one in found],
            entropies=[one.entropies[0] for one in found],
        )
        return [Attempt(how=["under weights of its own"] * inputs.count, outcome=outcome, inputs=None)]

    def _alone(self, inputs: Inputs, base: LogitGeneration) -> Outcome:
        """Tune on one sample, answer it, and undo the tuning."""
        pixels = self.model.pixels(inputs).pixels
        if not len(pixels) or not self.config.steps:
            return Outcome.of(base)
        drawn = np.random.SeedSequence([self.seed, zlib.crc32(pixels.float().cpu().numpy().tobytes())])
        weights = list(self.model.network.parameters())
        with _borrowed(weights):
            adam = torch.optim.AdamW(weights, lr=self.config.rate, weight_decay=self.config.decay)
            for _ in range(self.config.steps):
                adam.zero_grad()
                self.descend(self.augmented(inputs, drawn.spawn(self.config.views)))
                adam.step()
            with torch.no_grad():
                return Outcome.of(self.model.generate(inputs, self.max_new_tokens))

    def augmented(self, inputs: Inputs, seeds: Sequence[np.random.SeedSequence]) -> list[Inputs]:
        """Return one sample's views, one for each seed, in batches of `at_once`; padding stays as it is."""
        starts = range(0, len(seeds), self.config.at_once)
        return [self._batch(inputs, seeds[start : start + self.config.at_once]) for start in starts]

    def descend(self, batches: Sequence[Inputs]) -> None:
        """Fill in the gradients of the entropy of the mean distribution over views of one sample.

        A first pass gives that entropy's slope at the logits of each view; a second one carries it to the weights, one
        batch at a time. The sum is the gradient of all views at once.
        """
        with torch.no_grad():
            logits = torch.cat([self.model.answer_logits(batch)[:, 0] for batch in batches])
        with torch.enable_grad():
            logits.requires_grad_()
            marginal = logits.log_softmax(-1).logsumexp(0) - log(len(logits))
            entropy = -(marginal.exp() * marginal.clamp_min(torch.finfo(marginal.dtype).min)).sum()
            (slopes,) = torch.autograd.grad(entropy, logits)
            for batch, slope in zip(batches, torch.split(slopes, [batch.count for batch in batches]), strict=True):
                torch.autograd.backward(self.model.answer_logits(batch)[:, 0], slope)

    def _batch(self, inputs: Inputs, seeds: Sequence[np.random.SeedSequence]) -> Inputs:
        """Return a batch of one sample's views, each drawn from a seed of its own."""
        repeated = self.model.select(inputs, [0] * len(seeds))
        images, generators = self.model.pixels(repeated), [np.random.default_rng(seed) for seed in seeds]

        def change(content: Tensor, which: Tensor) -> Tensor:
            own = [generators[n] for n in images.owner[which].tolist()]
            views = [augmix(self.model.to_image(image), rng) for image, rng in zip(content, own, strict=True)]
            return torch.stack([self.model.to_pixels(view) for view in views]).to(content)

        batch: Inputs = self.model.with_pixels(repeated, images.changed(change))
        return batch


@contextmanager
def _borrowed(weights: list[torch.nn.Parameter]) -> Iterator[None]:
    """Within the block the weights can be tuned; after it they have every bit and setting that they had."""
    kept, wanted = [weight.detach().clone() for weight in weights], [weight.requires_grad for weight in weights]
    try:
        for weight in weights:
            weight.requires_grad_()
        yield
    finally:
        with torch.no_grad():
            for weight, before, gradient in zip(weights, kept, wanted, strict=True):
                weight.copy_(before)
                weight.grad = None
                weight.requires_grad_(gradient)
