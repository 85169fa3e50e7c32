"""Certainty from listed log-probabilities, against that from the full distributions."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vqttt.models.generation import NOT_FINITE, ListedGeneration, LogitGeneration, token_entropy

VOCABULARY, LENGTHS = 12, (4, 1, 3)


@pytest.fixture
def whole() -> LogitGeneration:
    """Greedy answers of different lengths, from certain to uncertain, padded on the right."""
    scale = torch.tensor([4.0, 2.0, 0.5])[:, None, None]
    logits = scale * torch.randn(3, 4, VOCABULARY, generator=torch.Generator().manual_seed(2))
    mask = torch.arange(4) < torch.tensor(LENGTHS)[:, None]
    return LogitGeneration(texts=["red", "blue", "yes"], tokens=logits.argmax(-1), mask=mask, logits=logits)


def listed(whole: LogitGeneration, k: int) -> ListedGeneration:
    """The same answers as a server lists them: each token's log-probability and the `k` largest at its position."""
    likeliest = whole.logits.log_softmax(-1).topk(k).values

    def of(values: Tensor) -> list[list]:
        return [row[kept].tolist() for row, kept in zip(values, whole.mask, strict=True)]

    return ListedGeneration(texts=whole.texts, chosen=of(likeliest[..., 0]), likeliest=of(likeliest))


@pytest.mark.parametrize("k", range(1, VOCABULARY + 1))
def test_listed_entropy_is_a_lower_bound(whole: LogitGeneration, k: int) -> None:
    some, more = listed(whole, k).entropies, listed(whole, min(k + 1, VOCABULARY)).entropies
    for n, full in enumerate(whole.entropies):
        assert 0 <= some[n] <= more[n] + 1e-6
        if k < VOCABULARY - 1:  # with one token missing, the rest is that token
            assert some[n] < full
        else:
            assert some[n] == pytest.approx(full, abs=1e-5)


def test_listed_entropy_of_known_distributions() -> None:
    certain, half, quarters = [0.0], [math.log(0.5)], [math.log(0.25)] * 4
    answers = ListedGeneration(
        texts=["a", "b", "c", ""], chosen=[[0.0], [math.log(0.5)], [math.log(0.25)] * 2, []],
        likeliest=[[certain], [half], [quarters, half], []],
    )  # fmt: skip
    assert answers.entropies[:3] == pytest.approx([0, math.log(2), (math.log(4) + math.log(2)) / 2])
    assert math.isnan(answers.entropies[3]), "an answer without tokens"


def test_confidences_do_not_depend_on_what_is_listed(whole: LogitGeneration) -> None:
    few, all_listed = listed(whole, 1), listed(whole, VOCABULARY)
    assert few.confidences == pytest.approx(whole.confidences, abs=1e-6)
    assert few.confidences == all_listed.confidences
    for ours, theirs in zip(few.token_logprobs, whole.token_logprobs, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-6)
    assert [len(tokens) for tokens in few.token_logprobs] == list(LENGTHS)


def test_selected_answers_keep_their_certainty(whole: LogitGeneration) -> None:
    for answers in (whole, listed(whole, 3)):
        some = answers.select([2, 0])
        assert some.texts == ["yes", "red"]
        assert some.entropies == pytest.approx([answers.entropies[n] for n in (2, 0)])
        assert some.confidences == pytest.approx([answers.confidences[n] for n in (2, 0)])


def test_a_log_probability_that_is_no_number_is_not_certainty() -> None:
    nan, half = math.nan, math.log(0.5)
    answers = ListedGeneration(
        texts=["a", "b", "c", "d"], chosen=[[half], [half, nan], [math.inf], []],
        likeliest=[[[half, nan]], [[half, half], [nan]], [[800.0]], []],
    )  # fmt: skip
    assert answers.errors == ["", NOT_FINITE, NOT_FINITE, ""]
    assert math.isnan(answers.entropies[0]) and math.isnan(answers.entropies[1])
    assert answers.entropies[2] == 0, "no probability is above 1"
    assert answers.select([1, 0]).errors == [NOT_FINITE, ""]
    too_sure = ListedGeneration(texts=["a"], chosen=[[1e6]], likeliest=[[[1e6]]])
    assert too_sure.confidences == [1.0]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_only_an_answers_own_tokens_must_be_finite(whole: LogitGeneration, value: float) -> None:
    inside, outside = whole.logits.clone(), whole.logits.clone()
    chosen = int(whole.tokens[2, 1])
    inside[2, 1, (chosen + 1) % VOCABULARY] = value  # the third answer has three tokens, the second one
    outside[1, 2] = value
    spoilt, sound = (replace(whole, logits=logits) for logits in (inside, outside))
    assert spoilt.errors == ["", "", "" if value == -math.inf else NOT_FINITE]
    assert sound.errors == ["", "", ""]
    assert [math.isfinite(entropy) for entropy in spoilt.entropies] == [not error for error in spoilt.errors]


def test_a_probability_of_zero_adds_no_entropy_and_stops_no_gradient() -> None:
    logits = torch.tensor([[1.0, 2.0, -math.inf]], requires_grad=True)
    entropy = token_entropy(logits)
    assert torch.equal(entropy, token_entropy(logits[:, :2]))
    entropy.sum().backward()
    assert logits.grad is not None and logits.grad.isfinite().all() and logits.grad[0, :2].abs().min() > 0
