"""Unsupervised objectives: what a model shows of itself in, a loss for each sample out; pure, differentiable.

Shapes: logits (N, T, V), mask (N, T), True on the positions that count. Losses (N,), in nats where they are entropies.
Objectives add up by name, with weights: `entropy+0.1*naturalness`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import Any

import torch
from torch import Tensor

from vqttt.errors import InputError
from vqttt.models.content import ImageContent
from vqttt.models.generation import masked_mean, mean_entropy, token_entropy
from vqttt.registry import Registry
from vqttt.tuning.feature_statistics import FeatureStatistics
from vqttt.tuning.spectrum import unnaturalness


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What an objective may look at. What it does not ask for (see `Objective`) is None.

    Attributes:
        logits: under the adapters; at the first position, or over the whole untuned answer.
        mask: which positions count.
        base: the untuned model's logits at the same positions.
        pixels: the images as the kernel leaves them, (P, 3, H, W).
        owner: which sample each image belongs to, (P,).
        content: True where the images are no padding, (P, 1, H, W); None where nothing is.
        views: first-position logits of quality views of those images, (K, N, V), the images themselves first.
        features: statistics of the first vision blocks' outputs.
        clean: stored statistics of clean images' features: means of means and of spreads, and their deviations.
        shared: whether the samples share one adapter set; otherwise each has to do with its own evidence alone.
        groups: each sample's type of question, empty where it is not known.
        history: for each group, the sum of the answers' distributions in the stream so far, (V,).
    """

    logits: Tensor
    mask: Tensor
    base: Tensor
    pixels: Tensor
    owner: Tensor
    content: Tensor | None = None
    views: Tensor | None = None
    features: FeatureStatistics | None = None
    clean: tuple[FeatureStatistics, FeatureStatistics] | None = None
    shared: bool = True
    groups: Sequence[str] = ()
    history: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A loss and what it looks at.

    Attributes:
        loss: Evidence -> (N,).
        over_answer: whether it wants the logits over the whole greedy answer (teacher-forced), or only those of the
            first token, which cost one forward pass and no answer.
        views: whether it wants quality views, each of which costs a forward pass.
        features: whether it wants features, and statistics of clean ones, which are not source-free.
    """

    loss: Callable[[Evidence], Tensor]
    over_answer: bool = False
    views: bool = False
    features: bool = False


def _taken(entry: Any) -> Objective:
    """Take what another package offers as an objective: one, or a loss that needs no more than the first logits."""
    if isinstance(entry, Objective):
        return entry
    if callable(entry):
        return Objective(loss=entry)
    raise TypeError(f"it is a {type(entry).__name__}, and must be an Objective or a function from Evidence to losses")


OBJECTIVES: Registry[Objective] = Registry(
    "objective", group="vqttt.objectives", take=_taken, documented=lambda objective: objective.loss
)


def find_objective(name: str) -> Objective:
    """Return the objective called `name`, or a sum such as `entropy+0.1*naturalness`.

    Raises:
        UnknownNameError: if a part is not registered.
        InputError: if a weight is not a positive number.
    """
    parts: list[tuple[float, Objective]] = []
    for term in name.split("+"):
        weight, _, part = term.rpartition("*")
        if weight and not re.fullmatch(r"\d*\.?\d+", weight.strip()):
            raise InputError(
                f"{weight!r} in the objective {name!r} is not a weight; write such as entropy+0.1*naturalness"
            )
        parts.append((float(weight or 1), OBJECTIVES[part.strip()]))
    if len(parts) == 1 and parts[0][0] == 1:
        return parts[0][1]
    return Objective(
        loss=lambda evidence: sum((weight * part.loss(evidence) for weight, part in parts), torch.zeros(())),
        over_answer=any(part.over_answer for _, part in parts),
        views=any(part.views for _, part in parts),
        features=any(part.features for _, part in parts),
    )


def entropy(evidence: Evidence) -> Tensor:
    """Return the mean entropy over the positions that count."""
    return mean_entropy(evidence.logits, evidence.mask)


def anchor(evidence: Evidence) -> Tensor:
    """Return KL(untuned || tuned), weighted by how certain the untuned answer was: what was certain shall stay."""
    log_p, base = evidence.logits.log_softmax(-1), evidence.base.log_softmax(-1)
    divergence = (base.exp() * (base - log_p)).sum(-1)
    return masked_mean(divergence * torch.exp(-token_entropy(evidence.base)), evidence.mask)


def naturalness(evidence: Evidence) -> Tensor:
    """Return how far the spectrum of the filtered image is from a natural one, which falls as 1/f^2."""
    count = len(evidence.logits)
    return ImageContent(evidence.pixels, evidence.owner, evidence.content).averaged(unnaturalness, count)


def marginal_entropy(evidence: Evidence, certain: float = 1.0) -> Tensor:
    """Return the entropy of the mean answer over the views (MEMO), or over the most `certain` share of them (TPT)."""
    log_p = _viewed(evidence).log_softmax(-1)
    entropies = -(log_p.exp() * log_p).sum(-1)
    kept = entropies.topk(max(1, ceil(certain * len(log_p))), dim=0, largest=False).indices
    chosen = log_p.gather(0, kept[..., None].expand(-1, -1, log_p.shape[-1]))
    mean = chosen.exp().mean(0)
    return -(mean * mean.clamp_min(1e-12).log()).sum(-1)


def consensus(evidence: Evidence) -> Tensor:
    """Return the cross-entropy of the answer on the mean answer of all views, which is held fixed."""
    log_p = _viewed(evidence).log_softmax(-1)
    target = log_p.detach().exp().mean(0)
    return -(target * log_p[0]).sum(-1)


def information_maximisation(evidence: Evidence) -> Tensor:
    """Return entropy less the entropy of the mean answer to a type of question: certain, yet varied over the stream.

    Where every sample has adapters of its own there is no stream, and this is plain entropy.
    """
    losses = entropy(evidence)
    if not evidence.shared:
        return losses
    p = evidence.logits[:, 0].softmax(-1)
    groups = evidence.groups or [""] * len(p)
    variety = losses.new_zeros(len(p))
    for group in dict.fromkeys(groups):
        inside = torch.tensor([name == group for name in groups], device=p.device)
        total = p[inside].sum(0) + evidence.history.get(group, torch.zeros(())).to(p)
        mean = total / total.sum()
        variety = torch.where(inside, -(mean * mean.clamp_min(1e-12).log()).sum(), variety)
    return losses - variety


def feature_statistics(evidence: Evidence) -> Tensor:
    """Return the squared distance of vision features' mean and spread from those of clean images, in deviations.

    Samples that share adapters are compared together, since one image's features differ by what it shows.
    """
    assert evidence.features is not None, "features were not collected"
    assert evidence.clean is not None, "there are no statistics of clean features"
    centre, deviation = evidence.clean
    total = torch.zeros((), device=evidence.logits.device)
    for kind in ("means", "spreads"):
        for seen, middle, scale in zip(
            getattr(evidence.features, kind), getattr(centre, kind), getattr(deviation, kind), strict=True
        ):
            found = seen.mean(0, keepdim=True) if evidence.shared else seen
            total = total + ((found - middle) / scale).square().mean(1)
    return (total / (2 * len(centre.means))).expand(len(evidence.logits))


def _viewed(evidence: Evidence) -> Tensor:
    assert evidence.views is not None, "views were not answered"
    return evidence.views


_CERTAIN = partial(marginal_entropy, certain=0.3)
for _name, _objective, _summary in (
    ("entropy", Objective(loss=entropy), "of the answer's first token (the paper: entropy; which tokens, our choice)"),
    ("answer-entropy", Objective(loss=entropy, over_answer=True), "mean over the untuned greedy answer's tokens"),
    ("marginal-entropy", Objective(loss=marginal_entropy, views=True), "of the mean answer of quality views (MEMO)"),
    ("certain-marginal-entropy", Objective(loss=_CERTAIN, views=True), "the same over the most certain views (TPT)"),
    ("consensus", Objective(loss=consensus, views=True), "cross-entropy on the mean answer of quality views"),
    ("information-maximisation", Objective(loss=information_maximisation), "certain, yet varied over the stream"),
    ("feature-statistics", Objective(loss=feature_statistics, features=True), "like clean ones; not source-free"),
    ("naturalness", Objective(loss=naturalness), "the filtered image's spectrum falls as 1/f^2; sees no answer"),
    ("anchor", Objective(loss=anchor), "divergence from what the untuned model was certain of"),
):
    OBJECTIVES.add(_name, _objective, _summary)
