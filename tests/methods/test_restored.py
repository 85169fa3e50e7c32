"""The blind restorer's image is taken where, and only where, it makes the answer more certain."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.small_models import QUESTIONS, sample_images, tiny_llava
from vqttt.images.restorers import restore
from vqttt.methods import METHODS, VQSelect
from vqttt.methods.attempts import Outcome
from vqttt.methods.restored import answered_when_restored, restored
from vqttt.models.base import ImageContent, Inputs, LogitGeneration, TunableModel
from vqttt.types import Image


def noisy(count: int = 4) -> list[Image]:
    rng = np.random.default_rng(1)
    return [np.clip(p + rng.normal(0, 50, p.shape), 0, 255).astype(np.uint8) for p in sample_images(count)]


def batch(model: TunableModel) -> tuple[Inputs, LogitGeneration]:
    inputs = model.encode(noisy(), QUESTIONS)
    return inputs, model.generate(inputs, 4)


def test_every_image_is_restored_and_padding_stays_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_llava()
    inputs, _ = batch(model)
    pixels, owner, _ = model.pixels(inputs)
    whole = restored(model, inputs).tensors["pixel_values"]
    expected = restore(model.to_image(pixels[0]), "auto", "clean")
    assert np.array_equal(model.to_image(whole[0]), expected)
    mask = torch.ones_like(pixels[:, :1], dtype=torch.bool)
    mask[..., 40:] = False
    monkeypatch.setattr(type(model), "view", lambda self, some: ImageContent(some.tensors["pixel_values"], owner, mask))
    padded = restored(model, inputs).tensors["pixel_values"]
    assert torch.equal(padded[..., 40:], pixels[..., 40:])
    assert not torch.equal(padded[..., :40], pixels[..., :40])


def test_the_surest_of_untuned_restored_and_tuned_answers_is_taken() -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    untuned = Outcome.of(base)
    mended = answered_when_restored(model, inputs, 4).outcome
    config = replace(METHODS["vq-select-restore"].config, gate=0.0, guard_ratio=1.0)
    alone = VQSelect(model, replace(config, restore=False), max_new_tokens=4).answer(inputs, base)
    both = VQSelect(model, config, max_new_tokens=4).answer(inputs, base)
    for n, answer in enumerate(both):
        tries = {untuned.entropies[n]: untuned.texts[n], alone[n].entropy_after: alone[n].answer}
        tries[mended.entropies[n]] = mended.texts[n]
        assert answer.entropy_after == pytest.approx(min(tries), abs=1e-6)
        assert answer.answer == tries[min(tries)]
    assert any(
        m < min(u, a.entropy_after) for m, u, a in zip(mended.entropies, untuned.entropies, alone, strict=True)
    ), "some of these images must be surest restored, or this test says nothing"


def test_an_answer_hardly_more_certain_is_not_taken() -> None:
    model = tiny_llava()
    inputs, base = batch(model)
    strict = replace(METHODS["vq-select-restore"].config, gate=0.0, guard_ratio=1e-6)
    answers = VQSelect(model, strict, max_new_tokens=4).answer(inputs, base)
    assert [answer.answer for answer in answers] == base.texts
    assert all(answer.rolled_back for answer in answers)
