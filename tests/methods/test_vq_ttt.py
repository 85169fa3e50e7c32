"""VQ-TTT along a stream: one pass gives answer and gradient; batches of few uncertain samples move it little."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.support.small_models import QUESTIONS, sample_images, tiny_llava
from vqttt.methods import VQTTT, VQTTTConfig
from vqttt.models.base import Inputs
from vqttt.models.tunable import LogitGeneration, TunableModel

OPEN = VQTTTConfig(objective="entropy", gate=0.0, guard=False, forget=0.0, kernel_rate=0.05, lora_rate=0.01)


def batch(model: TunableModel, count: int = 4) -> tuple[Inputs, LogitGeneration]:
    return model.ask(sample_images(count), (QUESTIONS * 6)[:count], 4)


@contextmanager
def passes(model: TunableModel) -> Iterator[list[int]]:
    """Yield the number of images in each pass through the vision encoder."""
    seen: list[int] = []
    hook: Any = lambda module, given, output: seen.append(len(given[0]))  # noqa: E731
    handle = model.vision_blocks[0].register_forward_hook(hook)
    try:
        yield seen
    finally:
        handle.remove()


def test_one_pass_answers_and_tunes() -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    method = VQTTT(model, OPEN, max_new_tokens=4)
    start = method.adapters.snapshot()
    with passes(model) as seen:
        first = method.answer(inputs, base)
    assert seen == [4]
    assert [answer.answer for answer in first] == base.texts, "before the first update, the adapters are the identity"
    tuned = method.adapters.snapshot()
    assert not any(map(torch.equal, tuned[:1], start[:1]))
    with torch.no_grad(), method.adapters.applied(inputs) as adapted:
        after_one = model.generate(adapted, 4)
    second = method.answer(inputs, base)
    assert [answer.answer for answer in second] == after_one.texts
    assert [a.entropy_after for a in second] == pytest.approx(after_one.entropies, abs=1e-5)
    assert [a.entropy_after for a in second] != pytest.approx(base.entropies, abs=1e-5)


def test_of_several_updates_the_last_pass_answers() -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    with passes(model) as seen:
        several = VQTTT(model, replace(OPEN, steps=3), max_new_tokens=4).answer(inputs, base)
    assert seen == [4, 4, 4]
    two = VQTTT(model, replace(OPEN, steps=2, afresh=True), max_new_tokens=4)
    with passes(model) as seen:
        afresh = two.answer(inputs, base)
    assert seen == [4, 4, 4]
    assert [a.entropy_after for a in several] == pytest.approx([a.entropy_after for a in afresh], abs=1e-4)
    assert [answer.steps for answer in several] == [3] * 4


def test_an_objective_of_the_whole_answer_needs_a_pass_of_its_own() -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    with passes(model) as seen:
        VQTTT(model, replace(OPEN, objective="answer-entropy"), max_new_tokens=4).answer(inputs, base)
    assert seen == [4, 4]


@pytest.mark.parametrize(("count", "share"), [(1, 0.1), (4, 0.4), (10, 1.0), (14, 1.0)])
def test_an_update_is_as_large_as_its_samples_are_many(count: int, share: float) -> None:
    model = tiny_llava()
    method = VQTTT(model, replace(OPEN, full_step=10), max_new_tokens=4)
    method.answer(*batch(model, count))
    weights = method.adapters.kernel_parameters[0][0, :4].detach()
    torch.testing.assert_close(weights.abs(), torch.full((4,), share * OPEN.kernel_rate), atol=1e-4, rtol=0)


def test_a_sample_that_the_gate_keeps_out_adds_nothing_to_the_size_of_an_update() -> None:
    model = tiny_llava()
    inputs, base = batch(model, 10)
    gate = sorted(base.entropies)[7]
    method = VQTTT(model, replace(OPEN, gate=gate), max_new_tokens=4)
    assert sum(answer.steps for answer in method.answer(inputs, base)) == 3
    weights = method.adapters.kernel_parameters[0][0, :4].detach()
    torch.testing.assert_close(weights.abs(), torch.full((4,), 0.3 * OPEN.kernel_rate), atol=1e-4, rtol=0)


def test_certain_samples_take_back_what_was_learned() -> None:
    model = tiny_llava()
    method = VQTTT(model, replace(OPEN, forget=0.1), max_new_tokens=4)
    method.answer(*batch(model))
    learned = method.adapters.snapshot()
    start = method.adapters.start
    method.gate = 1e9
    answers = method.answer(*batch(model, 3))
    assert all(answer.steps == 0 for answer in answers)
    for now, before, first in zip(method.adapters.snapshot(), learned, start, strict=True):
        torch.testing.assert_close(now, first + 0.9**3 * (before - first))
    assert not torch.equal(method.adapters.snapshot()[0], learned[0])
