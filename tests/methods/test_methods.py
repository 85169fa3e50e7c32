"""One battery for every method; a new one joins it by being registered."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.support.small_models import QUESTIONS, sample_images, tiny_llava
from vqttt.methods import METHODS, VQTTT, Method, VQTTTConfig
from vqttt.methods.base import Outcome
from vqttt.models.base import Generation, Inputs, Model
from vqttt.models.fake import FakeModel
from vqttt.tuning.adapters import AdapterConfig
from vqttt.tuning.objectives import OBJECTIVES, Objective
from vqttt.types import Answer

EAGER = VQTTTConfig(gate=0.0, guard=False, kernel_rate=0.05, lora_rate=0.01)

# The anchor has no slope at the start: what Adam makes of it there is rounding.
SOURCE_FREE = [name for name in OBJECTIVES if not OBJECTIVES[name].features and name != "anchor"]


def batch(model: Model, count: int = 4) -> tuple[Inputs, Generation]:
    inputs = model.encode(sample_images(count), QUESTIONS[:count])
    return inputs, model.generate(inputs, 4)


def without_seconds(answers: list[Answer]) -> list[Answer]:
    return [replace(answer, seconds=0.0) for answer in answers]


def remembered(method: Method) -> list[Tensor]:
    """What an online method carries from batch to batch."""
    if not isinstance(method, VQTTT) or method.adapters is None:
        return []
    return [*method.adapters.snapshot(), *(method.search.predictor.state().values() if method.search else ())]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(map(torch.equal, a, b))


@pytest.mark.parametrize("name", list(METHODS))
class TestEveryMethod:
    def test_answers_carry_the_untuned_ones(self, name: str) -> None:
        model = tiny_llava()
        inputs, base = batch(model)
        answers = METHODS[name](model, max_new_tokens=4).answer(inputs, base)
        assert [answer.base_answer for answer in answers] == base.texts

    def test_leaves_the_model_as_it_was(self, name: str) -> None:
        model = tiny_llava()
        inputs, base = batch(model)
        before = model.fingerprint()
        METHODS[name](model, max_new_tokens=4).answer(inputs, base)
        assert model.fingerprint() == before
        assert torch.equal(model.answer_logits(inputs), model.answer_logits(batch(model)[0]))

    def test_is_deterministic(self, name: str) -> None:
        model = tiny_llava()
        runs = []
        for _ in range(2):
            method = METHODS[name](model, max_new_tokens=4)
            runs.append([without_seconds(method.answer(*batch(model))) for _ in range(2)])
        assert runs[0] == runs[1]

    def test_forgets_between_batches_unless_online(self, name: str) -> None:
        model = tiny_llava()
        method = METHODS[name](model, max_new_tokens=4)
        learned = remembered(method)
        first = without_seconds(method.answer(*batch(model)))
        if method.online:
            # SAR learns from what is certain alone, and a random model is certain of nothing.
            assert same(remembered(method), learned) == (name == "sar")
            method.reset()
            assert same(remembered(method), learned)
        assert without_seconds(method.answer(*batch(model))) == first


def test_zero_steps_equal_the_base_model() -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    for online in (True, False):
        answers = VQTTT(model, replace(EAGER, steps=0, online=online), max_new_tokens=4).answer(inputs, base)
        assert [answer.answer for answer in answers] == base.texts
        assert all(answer.entropy_before == answer.entropy_after and answer.steps == 0 for answer in answers)


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("kernel", ["interpolation", "separable", "none"])
def test_tuning_lowers_the_objective(online: bool, kernel: str) -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    config = replace(EAGER, online=online, steps=5, objective="answer-entropy", adapters=AdapterConfig(kernel=kernel))
    method = VQTTT(model, config, max_new_tokens=4)
    answers = method.answer(inputs, base)
    assert all(answer.steps == 5 for answer in answers)
    first = method.objective_curve[0].mean()
    last = method.objective_curve[-1].mean()
    assert last < first - 1e-3, method.objective_curve


@pytest.mark.parametrize("kernel", ["interpolation", "separable"])
@pytest.mark.parametrize("objective", SOURCE_FREE)
def test_a_batch_tunes_as_single_images_would(kernel: str, objective: str) -> None:
    model = tiny_llava()
    config = replace(EAGER, online=False, steps=3, objective=objective, adapters=AdapterConfig(kernel=kernel))
    images, questions = sample_images(4), QUESTIONS
    together = tuned_logits(model, config, images, questions)
    for n in range(4):
        alone = tuned_logits(model, config, images[n : n + 1], questions[n : n + 1])
        torch.testing.assert_close(alone[0], together[n], atol=1e-4, rtol=0)


def tuned_logits(model: Model, config: VQTTTConfig, images: list, questions: list[str]) -> torch.Tensor:
    method = VQTTT(model, config, max_new_tokens=4)
    inputs = model.encode(images, questions)
    method.answer(inputs, model.generate(inputs, 4))
    assert method.adapters is not None
    with torch.no_grad(), method.adapters.applied(inputs) as seen:
        return model.answer_logits(seen)


def test_the_answer_follows_the_last_update() -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    method = VQTTT(model, replace(EAGER, steps=2), max_new_tokens=4)
    answers = method.answer(inputs, base)
    assert method.adapters is not None
    with torch.no_grad(), method.adapters.applied(inputs) as seen:
        afresh = model.generate(seen, 4)
    assert [answer.answer for answer in answers] == afresh.texts


def test_reset_restores_every_bit() -> None:
    model = tiny_llava()
    method = VQTTT(model, EAGER, max_new_tokens=4)
    assert method.adapters is not None
    start = method.adapters.snapshot()
    first = without_seconds(method.answer(*batch(model)))
    assert not all(map(torch.equal, method.adapters.snapshot(), start))
    method.reset()
    assert all(map(torch.equal, method.adapters.snapshot(), start))
    assert without_seconds(method.answer(*batch(model))) == first


def test_the_gate_spares_certain_samples() -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    method = VQTTT(model, replace(EAGER, gate=1e9), max_new_tokens=4)
    answers = method.answer(inputs, base)
    assert all(answer.steps == 0 and answer.answer == answer.base_answer for answer in answers)
    assert method.adapters is not None
    assert torch.equal(method.adapters.kernel_parameters[0], torch.zeros_like(method.adapters.kernel_parameters[0]))


@pytest.mark.parametrize("online", [True, False])
def test_a_non_finite_objective_rolls_back(online: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Objective(loss=lambda evidence: evidence.logits.sum((1, 2)) * float("nan"))
    monkeypatch.setitem(OBJECTIVES._entries, "broken", broken)
    model = FakeModel()
    inputs, base = batch(model)
    method = VQTTT(model, replace(EAGER, objective="broken", online=online))
    answers = method.answer(inputs, base)
    assert [answer.answer for answer in answers] == base.texts
    assert all(answer.rolled_back for answer in answers)
    if online:
        assert method.adapters is not None
        assert all(torch.isfinite(tensor).all() for tensor in method.adapters.snapshot())


def test_less_certain_answers_are_rolled_back(monkeypatch: pytest.MonkeyPatch) -> None:
    away = Objective(loss=lambda evidence: -OBJECTIVES["entropy"].loss(evidence))
    monkeypatch.setitem(OBJECTIVES._entries, "away", away)
    model = tiny_llava()
    inputs, base = batch(model)
    config = replace(EAGER, objective="away", guard=True, online=False, steps=5)
    answers = VQTTT(model, config, max_new_tokens=4).answer(inputs, base)
    assert any(answer.rolled_back for answer in answers)
    for answer in answers:
        if answer.rolled_back:
            assert (answer.answer, answer.entropy_after) == (answer.base_answer, answer.entropy_before)


def test_a_collapsing_stream_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the stream's tuned answers become one and the same, the adapters return to the identity."""

    def collapse(self: VQTTT, inputs: Inputs, base: Generation) -> Outcome:
        assert self.adapters is not None
        with torch.no_grad():
            self.adapters.kernel_parameters[0].fill_(1.0)
        return Outcome(texts=["red"] * 4, confidences=[1.0] * 4, entropies=[0.0] * 4)

    monkeypatch.setattr(VQTTT, "_tune_and_answer", collapse)
    model = FakeModel()
    inputs, base = batch(model)
    assert len(set(base.texts)) > 1, "the untuned answers must vary for this to test anything"
    method = VQTTT(model, replace(EAGER, guard=True, window=8))
    assert method.adapters is not None
    start = method.adapters.snapshot()
    answers = method.answer(inputs, base)
    assert [answer.answer for answer in answers] == base.texts
    assert all(answer.rolled_back for answer in answers)
    assert all(map(torch.equal, method.adapters.snapshot(), start))
    unguarded = VQTTT(model, replace(EAGER, guard=False, window=8)).answer(inputs, base)
    assert [answer.answer for answer in unguarded] == ["red"] * 4


def test_tent_is_the_published_algorithm_step_for_step() -> None:
    """TENT (Wang et al. 2021) written out: answer, mean entropy, one Adam step on norm weights and biases, carry on."""
    model = tiny_llava()
    method = METHODS["tent"](model, max_new_tokens=4)
    network = deepcopy(model.network)
    names = [name for name, _ in network.named_parameters() if "vision_tower" in name and "layers" in name]
    affine = [network.get_parameter(name).requires_grad_() for name in names if "norm" in name]
    assert len(affine) == 3 * 4, "two norms of weight and bias in each of three blocks"
    adam = torch.optim.Adam(affine, lr=1e-3, betas=(0.9, 0.999), weight_decay=0.0)
    images = sample_images(12)
    for start in range(0, 12, 4):
        inputs = model.encode(images[start : start + 4], QUESTIONS)
        with torch.no_grad(), method.adapters.applied(inputs) as seen:
            ours = model.answer_logits(seen)[:, 0]
        logits = network(**inputs.tensors).logits[:, -1]
        torch.testing.assert_close(ours, logits.detach(), atol=2e-5, rtol=1e-5)
        loss = -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean(0)
        adam.zero_grad()
        loss.backward()
        adam.step()
        answers = method.answer(inputs, model.generate(inputs, 4))
        first = [model.processor.decode([int(token)], skip_special_tokens=True).strip() for token in logits.argmax(1)]
        for answer, token in zip(answers, first, strict=True):
            assert answer.answer.startswith(token), "TENT answers with the outputs from before the update"


@pytest.mark.parametrize("name", list(METHODS))
def test_alone_a_method_answers_as_it_does_in_a_study(name: str) -> None:
    model = tiny_llava()
    inputs, _ = batch(model)
    base = model.generate(inputs, 16)
    alone = METHODS[name](model).answer_alone(inputs)
    together = METHODS[name](model).answer(inputs, base)
    for a, b in zip(alone, together, strict=True):
        assert (a.base_answer, a.steps, a.rolled_back) == (b.base_answer, b.steps, b.rolled_back)
        assert abs(a.entropy_after - b.entropy_after) < 1e-3
        assert a.answer[:8] == b.answer[:8]  # a random model's later words hang by a hair


def test_one_step_alone_takes_two_passes_and_one_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_llava()
    inputs, _ = batch(model)
    passes: list[int] = []
    blocks = list(model.vision_blocks)
    handle = blocks[0].register_forward_hook(lambda module, arguments, output: passes.append(len(arguments[0])))
    config = replace(EAGER, online=False, steps=1, gate=0.0)
    try:
        VQTTT(model, config, max_new_tokens=4).answer_alone(inputs)
    finally:
        handle.remove()
    assert passes == [4, 4]
    assert all(parameter.grad is None for parameter in model.network.parameters())
