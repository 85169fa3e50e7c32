"""One battery for every method; a new one joins it by being registered."""

from copy import deepcopy
from dataclasses import replace
from functools import cache
from itertools import cycle

import pytest
import torch
from torch import Tensor

from tests.support.small_models import QUESTIONS, sample_images, tiny_llava, with_few_views
from vqttt.errors import InputError
from vqttt.methods import METHODS, VQTTT, Episodic, EpisodicConfig, Method, VQTTTConfig
from vqttt.methods.attempts import Attempt, Outcome
from vqttt.methods.stream import StreamMethod
from vqttt.models.base import Inputs
from vqttt.models.fake import FakeTunableModel
from vqttt.models.tunable import LogitGeneration, TunableModel
from vqttt.tuning.adapters import AdapterConfig
from vqttt.tuning.objectives import OBJECTIVES, Objective
from vqttt.types import Answer

STREAM = VQTTTConfig(gate=0.0, guard=False, forget=0.0, kernel_rate=0.05, lora_rate=0.01)
ALONE = EpisodicConfig(gate=0.0, guard=False, kernel_rate=0.05, lora_rate=0.01, steps=2)
BOTH = pytest.mark.parametrize(("kind", "config"), [(VQTTT, STREAM), (Episodic, ALONE)], ids=["stream", "episodic"])

# The anchor has no slope at the start: what Adam makes of it there is rounding.
SOURCE_FREE = [name for name in OBJECTIVES if not OBJECTIVES[name].features and name != "anchor"]


@cache
def batch(model: TunableModel, count: int = 4) -> tuple[Inputs, LogitGeneration]:
    return model.ask(sample_images(count), QUESTIONS[:count], 4)


def without_seconds(answers: list[Answer]) -> list[Answer]:
    return [replace(answer, seconds=0.0) for answer in answers]


def remembered(method: Method) -> list[Tensor]:
    """What a method carries from batch to batch."""
    if not isinstance(method, StreamMethod):
        return []
    return method.learned()


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(map(torch.equal, a, b))


@pytest.mark.parametrize("name", list(METHODS))
class TestEveryMethod:
    def test_answers_carry_the_untuned_ones(self, name: str) -> None:
        model = tiny_llava()
        inputs, base = batch(model)
        answers = METHODS[name].build(model, max_new_tokens=4).answer(inputs, base)
        assert [answer.base_answer for answer in answers] == base.texts

    def test_leaves_the_model_as_it_was(self, name: str) -> None:
        model = tiny_llava()
        inputs, base = batch(model)
        before = model.fingerprint()
        with_few_views(name).build(model, max_new_tokens=4).answer(inputs, base)
        assert model.fingerprint() == before
        encoded = model.encode(sample_images(4), QUESTIONS)
        assert torch.equal(model.answer_logits(inputs), model.answer_logits(encoded))

    def test_is_deterministic(self, name: str) -> None:
        model = tiny_llava()
        runs = []
        for _ in range(2):
            method = with_few_views(name).build(model, max_new_tokens=4)
            runs.append([without_seconds(method.answer(*batch(model))) for _ in range(2)])
        assert runs[0] == runs[1]

    def test_forgets_between_batches_unless_it_learns(self, name: str) -> None:
        model = tiny_llava()
        method = with_few_views(name).build(model, max_new_tokens=4)
        learned = remembered(method)
        first = without_seconds(method.answer(*batch(model)))
        if METHODS[name].learns:
            # SAR learns only from certain samples, and a random model is certain of nothing.
            assert same(remembered(method), learned) == (name == "sar")
            method.reset()
            assert same(remembered(method), learned)
        assert without_seconds(method.answer(*batch(model))) == first

    def test_an_explanation_learns_nothing_and_agrees_with_the_answer(self, name: str) -> None:
        model = tiny_llava()
        method = with_few_views(name).build(model, max_new_tokens=4)
        method.answer(*batch(model))
        learned = remembered(method)
        inputs, base = batch(model, 1)
        attempt = method.explain(inputs, base)
        assert same(remembered(method), learned)
        if attempt.inputs is not None:
            with attempt.adapted() as adapted:
                assert model.generate(adapted, 4).texts == attempt.outcome.texts
        if not METHODS[name].learns:
            (answer,) = method.answer(inputs, base)
            assert answer.answer == attempt.outcome.texts[0]


@BOTH
def test_zero_steps_equal_the_base_model(kind: type[Method], config: VQTTTConfig | EpisodicConfig) -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    answers = kind(model, replace(config, steps=0), max_new_tokens=4).answer(inputs, base)
    assert [answer.answer for answer in answers] == base.texts
    assert all(answer.entropy_before == answer.entropy_after and answer.steps == 0 for answer in answers)


@BOTH
@pytest.mark.parametrize("kernel", ["blurs", "separable", "none"])
def test_tuning_lowers_the_objective(kind: type[Method], config: VQTTTConfig | EpisodicConfig, kernel: str) -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    tuned = replace(config, steps=5, objective="answer-entropy", adapters=AdapterConfig(kernel=kernel))
    method = kind(model, tuned, max_new_tokens=4)
    answers = method.answer(inputs, base)
    assert all(answer.steps == 5 for answer in answers)
    assert method.objective_curve[-1].mean() < method.objective_curve[0].mean() - 1e-3, method.objective_curve


# A kernel filters images and an objective looks at what comes of them, so the two are independent: each objective comes
# with one kernel in turn, and those of the answer and of the filtered image alone with both.
@pytest.mark.parametrize(
    ("objective", "kernel"),
    [
        *zip(SOURCE_FREE, cycle(("blurs", "separable")), strict=False),
        ("entropy", "separable"),
        ("naturalness", "separable"),
    ],
)
def test_a_batch_tunes_as_single_images_would(kernel: str, objective: str) -> None:
    model = tiny_llava()
    config = replace(ALONE, steps=3, objective=objective, adapters=AdapterConfig(kernel=kernel))
    images, questions = sample_images(4), QUESTIONS
    together = tuned_logits(model, config, images, questions)
    for n in range(4):
        alone = tuned_logits(model, config, images[n : n + 1], questions[n : n + 1])
        torch.testing.assert_close(alone[0], together[n], atol=1e-4, rtol=0)


def tuned_logits(model: TunableModel, config: EpisodicConfig, images: list, questions: list[str]) -> torch.Tensor:
    method = Episodic(model, config, max_new_tokens=4)
    inputs, base = model.ask(images, questions, 4)
    method.answer(inputs, base)
    assert method.adapters is not None
    with torch.no_grad(), method.adapters.applied(inputs) as adapted:
        return model.answer_logits(adapted)


def test_answered_afresh_the_answer_follows_the_last_update() -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    method = VQTTT(model, replace(STREAM, afresh=True), max_new_tokens=4)
    answers = method.answer(inputs, base)
    with torch.no_grad(), method.adapters.applied(inputs) as adapted:
        afresh = model.generate(adapted, 4)
    assert [answer.answer for answer in answers] == afresh.texts


def test_reset_restores_every_bit() -> None:
    model = tiny_llava()
    method = VQTTT(model, STREAM, max_new_tokens=4)
    start = method.adapters.snapshot()
    first = without_seconds(method.answer(*batch(model)))
    assert not same(method.adapters.snapshot(), start)
    method.reset()
    assert same(method.adapters.snapshot(), start)
    assert without_seconds(method.answer(*batch(model))) == first


def test_the_gate_spares_certain_samples() -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    method = VQTTT(model, replace(STREAM, gate=1e9), max_new_tokens=4)
    answers = method.answer(inputs, base)
    assert all(answer.steps == 0 and answer.answer == answer.base_answer for answer in answers)
    assert torch.equal(method.adapters.kernel_parameters[0], torch.zeros_like(method.adapters.kernel_parameters[0]))


@BOTH
def test_a_non_finite_objective_rolls_back(
    kind: type[Method], config: VQTTTConfig | EpisodicConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Objective(loss=lambda evidence: evidence.logits.sum((1, 2)) * float("nan"))
    monkeypatch.setitem(OBJECTIVES._entries, "broken", broken)
    model = FakeTunableModel()
    inputs, base = batch(model)
    method = kind(model, replace(config, objective="broken"))
    answers = method.answer(inputs, base)
    assert [answer.answer for answer in answers] == base.texts
    assert all(answer.rolled_back for answer in answers)
    if isinstance(method, VQTTT):
        assert all(torch.isfinite(tensor).all() for tensor in method.adapters.snapshot())


def test_less_certain_answers_are_rolled_back(monkeypatch: pytest.MonkeyPatch) -> None:
    away = Objective(loss=lambda evidence: -OBJECTIVES["entropy"].loss(evidence))
    monkeypatch.setitem(OBJECTIVES._entries, "away", away)
    model = tiny_llava()
    inputs, base = batch(model)
    config = replace(ALONE, objective="away", guard=True, steps=5)
    answers = Episodic(model, config, max_new_tokens=4).answer(inputs, base)
    assert any(answer.rolled_back for answer in answers)
    for answer in answers:
        if answer.rolled_back:
            assert (answer.answer, answer.entropy_after) == (answer.base_answer, answer.entropy_before)


class Collapsing(VQTTT):
    """Its adapters make every answer one and the same."""

    def attempts(self, inputs: Inputs, base: LogitGeneration, *, learn: bool = True) -> list[Attempt]:
        with torch.no_grad():
            self.adapters.kernel_parameters[0].fill_(1.0)
        same = Outcome(texts=["red"] * 4, confidences=[1.0] * 4, entropies=[0.0] * 4)
        return [Attempt(how=["collapsed"] * 4, outcome=same, inputs=inputs)]


def test_a_collapsing_stream_starts_anew() -> None:
    model = FakeTunableModel()
    inputs, base = batch(model)
    assert len(set(base.texts)) > 1, "the untuned answers must vary for this to test anything"
    method = Collapsing(model, replace(STREAM, guard=True, window=8))
    start = method.adapters.snapshot()
    answers = method.answer(inputs, base)
    assert [answer.answer for answer in answers] == base.texts
    assert all(answer.rolled_back for answer in answers)
    assert same(method.adapters.snapshot(), start)
    unguarded = Collapsing(model, replace(STREAM, guard=False, window=8)).answer(inputs, base)
    assert [answer.answer for answer in unguarded] == ["red"] * 4


def test_tent_is_the_published_algorithm_step_for_step() -> None:
    """TENT (Wang et al. 2021) written out: answer, mean entropy, one Adam step on norm weights and biases, carry on."""
    model = tiny_llava()
    method = METHODS["tent"].build(model, max_new_tokens=4)
    network = deepcopy(model.network)
    names = [name for name, _ in network.named_parameters() if "vision_tower" in name and "layers" in name]
    affine = [network.get_parameter(name).requires_grad_() for name in names if "norm" in name]
    assert len(affine) == 3 * 4, "two norms of weight and bias in each of three blocks"
    adam = torch.optim.Adam(affine, lr=1e-3, betas=(0.9, 0.999), weight_decay=0.0)
    images = sample_images(12)
    for start in range(0, 12, 4):
        inputs = model.encode(images[start : start + 4], QUESTIONS)
        with torch.no_grad(), method.adapters.applied(inputs) as adapted:
            ours = model.answer_logits(adapted)[:, 0]
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


def test_one_step_alone_takes_two_passes_and_one_backward() -> None:
    model = tiny_llava()
    inputs, _ = batch(model)
    passes: list[int] = []
    handle = model.vision_blocks[0].register_forward_hook(lambda module, given, output: passes.append(len(given[0])))
    try:
        Episodic(model, replace(ALONE, steps=1), max_new_tokens=4).answer_alone(inputs)
    finally:
        handle.remove()
    assert passes == [4, 4]
    assert all(parameter.grad is None for parameter in model.network.parameters())


@pytest.mark.parametrize("name", ["none", "vq-ttt", "tta"])
def test_asking_needs_a_question_for_each_image(name: str) -> None:
    method, image = METHODS[name].build(FakeTunableModel()), sample_images(1)[0]
    for images, questions in (([image, image], ["what?"]), ([], []), ([image], "what?"), (image, ["what?"])):
        with pytest.raises(InputError, match=r"give (lists|one question)"):
            method.ask(images, questions)
