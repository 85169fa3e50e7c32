"""Unsupervised objectives: differentiable losses of a model's outputs, one for each sample, without any answers.

Losses are (N,), in nats if they are entropies. An objective is written by its name; those with parameters take them in
brackets, `certain-marginal-entropy(certain=0.5)`, and weighted sums work: `entropy+0.1*naturalness`.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil, isfinite
from typing import Any, NamedTuple

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
        loss: maps `Evidence` to losses, (N,). Further arguments with numbers as defaults are its parameters.
        over_answer: whether it needs the logits over the whole greedy answer (teacher-forced) rather than those of the
            first token, for which no answer has to be generated.
        views: whether it needs quality views, each of which costs a forward pass.
        features: whether it needs vision features and statistics of clean ones, with which it is not source-free.
        ranges: the least and the largest value of its parameters, where they have them.
    """

    loss: Callable[[Evidence], Tensor]
    over_answer: bool = False
    views: bool = False
    features: bool = False
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, float]:
        """The parameters of the loss, and their values."""
        arguments = list(inspect.signature(self.loss).parameters.values())[1:]
        return {one.name: one.default for one in arguments if type(one.default) in (int, float)}

    def set(self, name: str, values: Mapping[str, float]) -> "Objective":
        """Return the objective, called `name` in messages, with other values of its parameters.

        Raises:
            InputError: if it has no such parameter, or a value is out of its range.
        """
        known = self.parameters
        for one, value in values.items():
            if one not in known:
                raise InputError(f"the objective {name} has no parameter {one!r}; it has {', '.join(known) or 'none'}")
            low, high = self.ranges.get(one, (value, value))
            if not low <= value <= high:
                raise InputError(f"{one} of the objective {name} is from {low:g} to {high:g}, not {value:g}")
        kept = {one: int(value) if isinstance(known[one], int) else value for one, value in values.items()}
        return replace(self, loss=partial(self.loss, **kept)) if kept else self


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
        InputError: if a weight is not a positive number, or a parameter is not known or out of its range.
    """
    parts = [(term.weight, OBJECTIVES[term.name].set(term.name, term.parameters)) for term in _terms(name)]
    if len(parts) == 1 and parts[0][0] == 1:
        return parts[0][1]
    return Objective(
        loss=lambda evidence: sum((weight * part.loss(evidence) for weight, part in parts), torch.zeros(())),
        over_answer=any(part.over_answer for _, part in parts),
        views=any(part.views for _, part in parts),
        features=any(part.features for _, part in parts),
    )


class _Term(NamedTuple):
    """One part of a weighted sum."""

    weight: float
    name: str
    parameters: dict[str, float]


def terms(name: str) -> list[str]:
    """Return the names of the objectives in a weighted sum; raises as `find_objective` does for what cannot be read."""
    return [term.name for term in _terms(name)]


_TERM = re.compile(r"\s*(?:(?P<weight>[^*()]*?)\s*\*)?\s*(?P<name>[^*()]*?)\s*(?:\((?P<parameters>[^()]*)\))?\s*")


def _terms(text: str) -> list[_Term]:
    found = []
    for part in re.split(r"\+(?![^(]*\))", text):  # at each + outside brackets
        match = _TERM.fullmatch(part)
        if match is None:
            raise InputError(
                f"{part.strip()!r} in the objective {text!r} cannot be read; write WEIGHT*NAME(PARAMETER=NUMBER)"
            )
        weight, name, parameters = match["weight"], match["name"], match["parameters"]
        if weight is not None and not re.fullmatch(r"\d*\.?\d+", weight):
            raise InputError(
                f"{weight!r} in the objective {text!r} is not a weight; write a number, as in entropy+0.1*naturalness"
            )
        found.append(_Term(float(weight or 1), name, _parameters(parameters or "", text)))
    return found


def _parameters(listed: str, text: str) -> dict[str, float]:
    """Read parameters such as `certain=0.5, other=2`."""
    values = {}
    for one in filter(str.strip, listed.split(",")):
        name, _, value = one.partition("=")
        try:
            values[name.strip()] = float(value)
        except ValueError:
            raise InputError(f"{one.strip()!r} in the objective {text!r} is not PARAMETER=NUMBER") from None
        if not isfinite(values[name.strip()]):
            raise InputError(f"{one.strip()!r} in the objective {text!r} is not a finite number")
    return values


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
    is plain entropy. The first sample of a type has nothing to differ from: its loss is 0, without a gradient.
    """
    losses = entropy(evidence)
    if not evidence.shared:
        return losses
    p = evidence.logits[:, 0].softmax(-1)
    groups = evidence.groups or [""] * len(p)
    variety = losses.new_zeros(len(p))
    for group in dict.fromkeys(groups):
        inside = torch.tensor([name == group for name in groups], device=p.device)
        if group not in evidence.history and inside.sum() == 1:
            variety = torch.where(inside, losses, variety)
            continue
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


_CERTAIN, _SHARE = partial(marginal_entropy, certain=0.3), {"certain": (0.0, 1.0)}
for _name, _objective, _summary in (
    (
        "entropy",
        Objective(loss=entropy),
        "of the answer's first token (which tokens count is our choice)",
    ),
    ("answer-entropy", Objective(loss=entropy, over_answer=True), "mean over the tokens of the untuned greedy answer"),
    (
        "marginal-entropy",
        Objective(loss=marginal_entropy, views=True, ranges=_SHARE),
        "of the mean answer to quality views, as in MEMO",
    ),
    (
        "certain-marginal-entropy",
        Objective(loss=_CERTAIN, views=True, ranges=_SHARE),
        "the same over the most certain views (TPT)",
    ),
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
