"""Likelihoods of options, against sums computed one at a time."""

from dataclasses import replace

import pytest
import torch

from tests.support.small_models import QUESTIONS, sample_images, tiny_llava
from vqttt.methods import METHODS
from vqttt.models import load_model
from vqttt.models.fake import FakeTunableModel
from vqttt.models.likelihood import option_likelihoods


def test_likelihoods_equal_sums_computed_one_at_a_time(one_thread) -> None:
    model = tiny_llava()
    inputs = model.encode(sample_images(3), QUESTIONS[:3])
    options = [["red", "red shape", "how many objects"], [], ["yes", "no"]]
    found = option_likelihoods(model, inputs, options)
    assert [len(of_sample) for of_sample in found] == [3, 0, 2]
    for n, of_sample in enumerate(options):
        for text, value in zip(of_sample, found[n], strict=True):
            tokens = torch.tensor([model.answer_tokens(text)])
            with torch.no_grad():
                log_p = model.answer_logits(model.select(inputs, [n]), tokens).log_softmax(-1)[0]
            expected = sum(float(log_p[t, token]) for t, token in enumerate(tokens[0].tolist()))
            assert value == pytest.approx(expected, abs=1e-4)
            assert value < 0
    assert len(model.answer_tokens("how many objects")) == 3


def test_single_tokens_cost_one_pass_and_agree_with_teacher_forcing() -> None:
    model = FakeTunableModel()
    calls = []
    logits = model.answer_logits
    model.answer_logits = lambda *arguments: calls.append(len(arguments)) or logits(*arguments)
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
    one = option_likelihoods(model, inputs, [["red", "green"], ["blue", "yes"]])
    assert calls == [1]
    two = option_likelihoods(model, inputs, [["red red", "green"], ["blue", "yes"]])
    assert calls == [1, 2, 2]
    assert two[0][0] == pytest.approx(2 * one[0][0]) and two[1] == pytest.approx(one[1])


def test_impossible_options_are_refused() -> None:
    model = FakeTunableModel()
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
    assert option_likelihoods(model, inputs, [[], []]) == [[], []]
    with pytest.raises(ValueError, match="1 lists of options for 2 samples"):
        option_likelihoods(model, inputs, [["red"]])
    with pytest.raises(ValueError, match="has no token"):
        option_likelihoods(model, inputs, [["red", " "], ["red"]])


def test_the_method_answers_by_letter_where_there_are_options() -> None:
    model = FakeTunableModel()
    inputs = replace(model.encode(sample_images(3), QUESTIONS[:3]), options=(("x", "y"), (), ("x", "y", "z")))
    base = model.generate(inputs, 1)
    answers = METHODS["likeliest"].build(model).answer(inputs, base)
    assert answers[1].answer == answers[1].base_answer == base.texts[1]
    for n, letters in ((0, "AB"), (2, "ABC")):
        logits = base.logits[n, 0][[model.answer_tokens(letter)[0] for letter in letters]]
        shares = logits.softmax(0)
        assert answers[n].answer == letters[int(shares.argmax())]
        assert answers[n].confidence == pytest.approx(float(shares.max()), abs=1e-5)
        assert answers[n].entropy_after == pytest.approx(float(torch.special.entr(shares).sum()), abs=1e-5)
    kept = model.select(inputs, [2, 1])
    assert kept.options == (("x", "y", "z"), ())


def test_the_embedded_model_finds_its_own_answer_likeliest(one_thread) -> None:
    model = load_model("embedded")
    inputs = model.encode(sample_images(2, 112), ["what color is the shape?"] * 2)
    base = model.generate(inputs, 4)
    for n, of_sample in enumerate(option_likelihoods(model, inputs, [[text, "yes"] for text in base.texts])):
        assert base.texts[n] != "yes" and of_sample[0] > of_sample[1]
