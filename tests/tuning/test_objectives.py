"""Objectives against known values, and the independence of samples."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from vqttt.errors import InputError, UnknownNameError
from vqttt.models.generation import confidence, mean_entropy, token_entropy
from vqttt.tuning.feature_statistics import CleanStatistics, FeatureStatistics
from vqttt.tuning.objectives import OBJECTIVES, Evidence, find_objective, terms


def test_entropy_of_known_distributions() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, -1e9, -1e9, -1e9]])
    torch.testing.assert_close(token_entropy(logits), torch.tensor([math.log(4), 0.0]))


def test_the_mean_is_over_masked_positions() -> None:
    logits = torch.zeros(1, 3, 4)
    logits[0, 2] = torch.tensor([50.0, 0, 0, 0])
    mask = torch.tensor([[True, True, False]])
    torch.testing.assert_close(mean_entropy(logits, mask), torch.tensor([math.log(4)]))
    assert mean_entropy(logits, torch.zeros_like(mask)).item() == 0


def test_confidence_is_a_geometric_mean() -> None:
    logits = torch.log(torch.tensor([[[0.5, 0.5], [0.125, 0.875]]]))
    tokens = torch.tensor([[0, 0]])
    both = torch.ones(1, 2, dtype=torch.bool)
    torch.testing.assert_close(confidence(logits, tokens, both), torch.tensor([0.25]))


def evidence(logits: Tensor, **more: Any) -> Evidence:
    count = len(logits)
    return Evidence(
        logits=logits,
        mask=torch.ones(logits.shape[:2], dtype=torch.bool),
        base=logits.detach() + 0.5,
        pixels=torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1)),
        owner=torch.arange(count),
        views=torch.stack([logits[:, 0], 0.5 * logits[:, 0], logits[:, 0] - 1]),
        features=FeatureStatistics(means=[logits[:, 0]], spreads=[logits[:, 0].abs()]),
        clean=CleanStatistics(
            centre=FeatureStatistics(means=[torch.zeros(1, 5)], spreads=[torch.ones(1, 5)]),
            deviation=FeatureStatistics(means=[torch.ones(1, 5)], spreads=[torch.ones(1, 5)]),
        ),
        **more,
    )


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "naturalness"])
def test_objectives_keep_samples_apart(name: str) -> None:
    logits = torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    given = evidence(logits, shared=False)
    given = replace(given, base=torch.randn(3, 2, 5, generator=torch.Generator().manual_seed(2)))
    losses = OBJECTIVES[name].loss(given)
    (gradient,) = torch.autograd.grad(losses[1], logits)
    assert losses.shape == (3,)
    assert gradient[1].abs().sum() > 0
    assert gradient[[0, 2]].abs().sum() == 0


def test_sums_of_objectives_are_weighted() -> None:
    given = evidence(torch.randn(3, 2, 5))
    both = find_objective("entropy+0.5*naturalness").loss(given)
    torch.testing.assert_close(both, OBJECTIVES["entropy"].loss(given) + 0.5 * OBJECTIVES["naturalness"].loss(given))
    assert find_objective("entropy+0.1*feature-statistics").features
    with pytest.raises(InputError, match="is not a weight"):
        find_objective("entropy+x*anchor")
    with pytest.raises(UnknownNameError):
        find_objective("entropy+nothing")


def test_marginal_entropy_is_the_entropy_of_the_mean_answer() -> None:
    certain = torch.tensor([[[20.0, 0.0]]])
    given = replace(evidence(certain), views=torch.tensor([[[20.0, 0.0]], [[0.0, 20.0]]]))
    torch.testing.assert_close(OBJECTIVES["marginal-entropy"].loss(given), torch.tensor([math.log(2)]))
    assert OBJECTIVES["certain-marginal-entropy"].loss(given).item() < 1e-3  # one view of two is kept


def test_information_maximisation_rewards_variety() -> None:
    same, varied = torch.tensor([[[9.0, 0.0]], [[9.0, 0.0]]]), torch.tensor([[[9.0, 0.0]], [[0.0, 9.0]]])
    losses = [OBJECTIVES["information-maximisation"].loss(evidence(x)).mean() for x in (same, varied)]
    assert losses[1] < losses[0] - 0.6


def test_the_first_sample_of_a_type_has_nothing_to_differ_from() -> None:
    logits = torch.randn(3, 1, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    given = evidence(logits, groups=("color", "count", "count"))
    losses = OBJECTIVES["information-maximisation"].loss(given)
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    assert losses[0] == 0 and torch.equal(gradient[0], torch.zeros(1, 5))
    assert (gradient[1:].abs().amax((1, 2)) > 1e-3).all()
    later = replace(given, history={"color": torch.ones(5)})
    (gradient,) = torch.autograd.grad(OBJECTIVES["information-maximisation"].loss(later).sum(), logits)
    assert gradient[0].abs().max() > 1e-3


def test_the_anchor_holds_certain_answers() -> None:
    certain, unsure = torch.tensor([[[9.0, 0.0]]]), torch.tensor([[[0.1, 0.0]]])
    moved = torch.tensor([[[0.0, 1.0]]])
    held, loose = (OBJECTIVES["anchor"].loss(replace(evidence(moved), base=base)) for base in (certain, unsure))
    assert held > 3 * loose > 0
    assert OBJECTIVES["anchor"].loss(replace(evidence(moved), base=moved)).abs().item() < 1e-6


def test_feature_statistics_vanish_for_clean_features() -> None:
    given = evidence(torch.randn(4, 1, 5))
    like = replace(given, features=FeatureStatistics(means=[torch.zeros(4, 5)], spreads=[torch.ones(4, 5)]))
    far = replace(given, features=FeatureStatistics(means=[torch.full((4, 5), 3.0)], spreads=[torch.ones(4, 5)]))
    torch.testing.assert_close(OBJECTIVES["feature-statistics"].loss(far), torch.full((4,), 4.5))
    assert OBJECTIVES["feature-statistics"].loss(like).sum() == 0


def test_parameters_of_an_objective_are_set_by_name() -> None:
    views = torch.tensor([[[20.0, 0.0]], [[0.0, 20.0]]])
    given = replace(evidence(torch.tensor([[[20.0, 0.0]]])), views=views)
    of_all = find_objective("certain-marginal-entropy(certain=1)").loss(given)
    torch.testing.assert_close(of_all, OBJECTIVES["marginal-entropy"].loss(given))
    both = find_objective("entropy + 0.5*certain-marginal-entropy(certain=1)").loss(given)
    torch.testing.assert_close(both, OBJECTIVES["entropy"].loss(given) + 0.5 * of_all)
    assert terms("entropy+2*certain-marginal-entropy(certain=1)") == ["entropy", "certain-marginal-entropy"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("entropy(certain=1)", "the objective entropy has no parameter 'certain'; it has none"),
        ("marginal-entropy(certain=2)", "certain of the objective marginal-entropy is from 0 to 1, not 2"),
        ("marginal-entropy(certain)", "'certain' in the objective .* is not PARAMETER=NUMBER"),
        ("marginal-entropy(certain=nan)", "is not a finite number"),
        ("entropy(", "cannot be read; write WEIGHT"),
    ],
)
def test_parameters_that_cannot_be_set_say_why(name: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        find_objective(name)


def test_an_objective_of_another_package_has_the_parameters_of_its_function(monkeypatch: pytest.MonkeyPatch) -> None:
    def scaled(given: Evidence, scale: float = 1.0, power: int = 1) -> Tensor:
        return scale * OBJECTIVES["entropy"].loss(given) ** power

    assert OBJECTIVES._take is not None
    monkeypatch.setitem(OBJECTIVES._entries, "scaled", OBJECTIVES._take(scaled))
    given = evidence(torch.randn(2, 1, 5))
    found = find_objective("scaled(scale=3, power=2)").loss(given)
    torch.testing.assert_close(found, 3 * OBJECTIVES["entropy"].loss(given) ** 2)
