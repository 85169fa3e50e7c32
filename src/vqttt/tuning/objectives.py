"""Unsupervised objectives: differentiable losses of a model's outputs, one for each sample, without any answers.

Losses are (N,), in nats if they are entropies. Weighted sums are written by name: `entropy+0.1*naturalness`.
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
from vqttt.tuning.feature_statistics import CleanStatistics, FeatureStatistics
from vqttt.tuning.spectrum import unnaturalness


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What objectives may use. `views`, `features` and `clean` are None unless the `Objective` asks for them.

    Attributes:
        logits: the adapted model's logits, (N, T, V), at the first position or over the whole untuned answer.
        mask: True on the positions that count, (N, T).
        base: the untuned model's logits at the same positions, (N, T, V).
        pixels: the images after the kernel, (P, 3, H, W).
        owner: the sample that each image belongs to, (P,).
        content: False on the images' padding, (P, 1, H, W); None if there is no padding.
        views: logits at the first position for K quality views of the images, (K, N, V); the first view is the image.
        features: statistics of the outputs of the first vision blocks.
        clean: stored statistics of clean images' features.
        shared: whether all samples share one set of adapters. If not, a sample's loss must not depend on the others.
        groups: each sample's question type; empty if not known.
        history: for each group, the decayed sum of the answer distributions in the stream so far, (V,).
    """

    logits: Tensor
    mask: Tensor
    base: Tensor
    pixels: Tensor
    owner: Tensor
    content: Tensor | None = None
    views: Tensor | None = None
    features: FeatureStatistics | None = None
    clean: CleanStatistics | None = None
    shared: bool = True
    groups: Sequence[str] = ()
    history: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A loss and the evidence it needs.

    Attributes:
        loss: maps `Evidence` to losses, (N,).
        over_answer: whether it needs the logits over the whole greedy answer (teacher-forced) rather than those of the
            first token, for which no answer has to be generated.
        views: whether it needs quality views, each of which costs a forward pass.
        features: whether it needs vision features and statistics of clean ones, with which it is not source-free.
    """

    loss: Callable[[Evidence], Tensor]
    over_answer: bool = False
    views: bool = False
    features: bool = False


def _as_objective(entry: Any) -> Objective:
    """Return another package's entry as an `Objective`; a function becomes a loss of the first token's logits."""
    if isinstance(entry, Objective):
        return entry
    if callable(entry):
        return Objective(loss=entry)
    raise TypeError(f"it is a {type(entry).__name__}; it must be an Objective or a function from Evidence to losses")


OBJECTIVES: Registry[Objective] = Registry(
    "objective", group="vqttt.objectives", take=_as_objective, documented=lambda objective: objective.loss
)


def find_objective(name: str) -> Objective:
    """Return the objective called `name`, or a weighted sum such as `entropy+0.1*naturalness`.

    Raises:
        UnknownNameError: if a term is not registered.
        InputError: if a weight is not a positive number.
    """
    parts = [(weight, OBJECTIVES[part]) for part, weight in terms(name).items()]
    if len(parts) == 1 and parts[0][0] == 1:
        return parts[0][1]
    return Objective(
        loss=lambda evidence: sum((weight * part.loss(evidence) for weight, part in parts), torch.zeros(())),
        over_answer=any(part.over_answer for _, part in parts),
        views=any(part.views for _, part in parts),
        features=any(part.features for _, part in parts),
    )


def terms(name: str) -> dict[str, float]:
    """Return the objectives in a weighted sum: their names and weights.

    Raises:
        InputError: if a weight is not a positive number.
    """
    weights: dict[str, float] = {}
    for term in name.split("+"):
        weight, _, part = term.rpartition("*")
        if weight and not re.fullmatch(r"\d*\.?\d+", weight.strip()):
            raise InputError(
                f"{weight!r} in the objective {name!r} is not a weight; write a number, as in entropy+0.1*naturalness"
            )
        weights[part.strip()] = weights.get(part.strip(), 0.0) + float(weight or 1)
    return weights


def entropy(evidence: Evidence) -> Tensor:
    """Return the mean entropy of the answer's token distributions: the paper's objective."""
    return mean_entropy(evidence.logits, evidence.mask)


def anchor(evidence: Evidence) -> Tensor:
    """Return KL(untuned || tuned), weighted by exp(-untuned entropy), so that certain answers stay as they are."""
    log_p, base = evidence.logits.log_softmax(-1), evidence.base.log_softmax(-1)
    divergence = (base.exp() * (base - log_p)).sum(-1)
    return masked_mean(divergence * torch.exp(-token_entropy(evidence.base)), evidence.mask)


def naturalness(evidence: Evidence) -> Tensor:
    """Return how far the spectrum of the filtered image is from that of natural images, which falls as 1/f^2."""
    count = len(evidence.logits)
    return ImageContent(evidence.pixels, evidence.owner, evidence.content).averaged(unnaturalness, count)


def marginal_entropy(evidence: Evidence, certain: float = 1.0) -> Tensor:
    """Return the entropy of the mean distribution over the views (MEMO; Zhang et al. 2022).

    With `certain` below 1, only that share of the views counts, those of lowest entropy (TPT; Shu et al. 2022).
    """
    log_p = _views(evidence).log_softmax(-1)
    entropies = -(log_p.exp() * log_p).sum(-1)
    kept = entropies.topk(max(1, ceil(certain * len(log_p))), dim=0, largest=False).indices
    chosen = log_p.gather(0, kept[..., None].expand(-1, -1, log_p.shape[-1]))
    mean = chosen.exp().mean(0)
    return -(mean * mean.clamp_min(1e-12).log()).sum(-1)


def consensus(evidence: Evidence) -> Tensor:
    """Return the cross-entropy of the answer with the mean distribution over all views, which gets no gradient."""
    log_p = _views(evidence).log_softmax(-1)
    target = log_p.detach().exp().mean(0)
    return -(target * log_p[0]).sum(-1)


def information_maximisation(evidence: Evidence) -> Tensor:
    """Return the entropy minus the entropy of the mean distribution per question type, over the stream.

    It asks for answers that are certain but varied. If every sample has its own adapters there is no stream, and this
    is plain entropy.
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
    """Return the squared distance of the vision features' statistics from those of clean images, in deviations.

    Samples that share adapters are averaged first, because the features of a single image also depend on its content.
    """
    assert evidence.features is not None, "features were not collected"
    assert evidence.clean is not None, "there are no statistics of clean features"
    centre, deviation = evidence.clean
    total = torch.zeros((), device=evidence.logits.device)
    for kind in ("means", "spreads"):
        for measured, middle, scale in zip(
            getattr(evidence.features, kind), getattr(centre, kind), getattr(deviation, kind), strict=True
        ):
            values = measured.mean(0, keepdim=True) if evidence.shared else measured
            total = total + ((values - middle) / scale).square().mean(1)
    return (total / (2 * len(centre.means))).expand(len(evidence.logits))


def _views(evidence: Evidence) -> Tensor:
    assert evidence.views is not None, "there are no logits of views"
    return evidence.views


_CERTAIN = partial(marginal_entropy, certain=0.3)
for _name, _objective, _summary in (
    (
        "entropy",
        Objective(loss=entropy),
        "of the answer's first token (which tokens count is our choice)",
    ),
    ("answer-entropy", Objective(loss=entropy, over_answer=True), "mean over the tokens of the untuned greedy answer"),
    ("marginal-entropy", Objective(loss=marginal_entropy, views=True), "of the mean answer to quality views (MEMO)"),
    ("certain-marginal-entropy", Objective(loss=_CERTAIN, views=True), "the same over the most certain views (TPT)"),
    ("consensus", Objective(loss=consensus, views=True), "cross-entropy with the mean answer to quality views"),
    ("information-maximisation", Objective(loss=information_maximisation), "certain answers, varied over the stream"),
    (
        "feature-statistics",
        Objective(loss=feature_statistics, features=True),
        "distance of vision features from those of clean images; not source-free",
    ),
    ("naturalness", Objective(loss=naturalness), "the filtered image's spectrum falls as 1/f^2; ignores the answer"),
    ("anchor", Objective(loss=anchor), "divergence from the untuned answer, weighted by its certainty"),
):
    OBJECTIVES.add(_name, _objective, _summary)
