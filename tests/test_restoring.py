"""The blind restorer's picture is taken where, and only where, it makes the answer more certain."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.small_models import QUESTIONS, pictures, tiny_llava
from vqttt.methods import CONFIGS, VQTTT
from vqttt.methods.base import Outcome
from vqttt.methods.restoring import restored_where_better
from vqttt.models.base import Generation, Inputs, Model, Pictures
from vqttt.types import Image


def noisy(count: int = 4) -> list[Image]:
    rng = np.random.default_rng(1)
    return [np.clip(p + rng.normal(0, 50, p.shape), 0, 255).astype(np.uint8) for p in pictures(count)]


def batch(model: Model) -> tuple[Inputs, Generation]:
    inputs = model.encode(noisy(), QUESTIONS)
    return inputs, model.generate(inputs, 4)


def test_a_picture_is_restored_where_that_makes_its_answer_more_certain() -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    untuned = Outcome.of(base)
    seen, outcome = restored_where_better(model, inputs, untuned, 4)
    again = Outcome.of(model.generate(seen, 4))
    changed = (seen.tensors["pixel_values"] != inputs.tensors["pixel_values"]).flatten(1).any(1).tolist()
    assert any(changed), "some of these pictures must be better restored, or this test says nothing"
    for n in range(4):
        assert changed[n] == (outcome.entropies[n] < untuned.entropies[n])
        assert again.entropies[n] == pytest.approx(outcome.entropies[n], abs=1e-4)
        assert again.texts[n] == outcome.texts[n]


def test_padding_stays_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    pixels, owner, _ = model.pixels(inputs)
    mask = torch.ones_like(pixels[:, :1], dtype=torch.bool)
    mask[..., 40:] = False
    monkeypatch.setattr(type(model), "pixels", lambda self, some: Pictures(some.tensors["pixel_values"], owner, mask))
    certain_of_nothing = replace(Outcome.of(base), entropies=[float("inf")] * 4)
    seen, _ = restored_where_better(model, inputs, certain_of_nothing, 4)
    assert torch.equal(seen.tensors["pixel_values"][..., 40:], pixels[..., 40:])
    assert not torch.equal(seen.tensors["pixel_values"][..., :40], pixels[..., :40])


def test_the_surest_of_untuned_restored_and_tuned_answers_is_taken() -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    untuned = Outcome.of(base)
    _, restored = restored_where_better(model, inputs, untuned, 4)
    config = replace(CONFIGS["vq-ttt"], gate=0.0, guard_ratio=1.0)
    for answer, before, mended in zip(
        VQTTT(model, config, max_new_tokens=4).answer(inputs, base), untuned.entropies, restored.entropies, strict=True
    ):
        assert answer.entropy_after <= min(before, mended) + 1e-6


def test_an_answer_hardly_more_certain_is_not_taken() -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    strict = replace(CONFIGS["vq-ttt"], gate=0.0, guard_ratio=1e-6)
    answers = VQTTT(model, strict, max_new_tokens=4).answer(inputs, base)
    assert [answer.answer for answer in answers] == base.texts
    assert all(answer.rolled_back for answer in answers)
