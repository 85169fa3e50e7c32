"""VQ-Select: forward passes only, on the corrections that promise most; the surest answer is kept."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.small_models import QUESTIONS, sample_images
from vqttt.errors import InputError
from vqttt.images.restorers import restore
from vqttt.methods import METHODS, Saved, VQSelect, VQSelectConfig, find_method
from vqttt.models.base import Model
from vqttt.models.batch import Shown
from vqttt.models.fake import FakeModel, FakeTunableModel
from vqttt.models.generation import ListedGeneration
from vqttt.tuning.predictor import Choice
from vqttt.tuning.spectrum import describe_images
from vqttt.types import Image

EAGER = VQSelectConfig(gate=0.0, caution=0.0, trust=0.0)


class Dim(Model):
    """Is the surer of its answer the brighter the image is; its answer is the sum of the mean levels."""

    name = "dim"

    def __init__(self) -> None:
        self.asked: list[int] = []

    def answer(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> ListedGeneration:
        self.asked.append(len(questions))
        means = [float(np.mean([one.mean() for one in self._listed(shown)])) for shown in images]
        first = [float(np.log(0.5 + 0.49 * mean / 255)) for mean in means]
        return ListedGeneration(
            texts=[f"{mean:.1f}" for mean in means],
            chosen=[[value] for value in first],
            likeliest=[[[value, float(np.log1p(-np.exp(value)))]] for value in first],
        )

    @staticmethod
    def _listed(shown: Shown) -> list[Image]:
        return [shown] if isinstance(shown, np.ndarray) else list(shown)

    def fingerprint(self) -> str:
        return "dim"


def dark(count: int) -> list[Image]:
    return [(image * 0.2).astype(np.uint8) for image in sample_images(count)]


def stream(method: VQSelect, batches: int = 6, size: int = 8) -> list[Any]:
    images = dark(batches * size)
    return [method.ask(images[start : start + size], ["what?"] * size) for start in range(0, batches * size, size)]


def test_it_needs_nothing_of_a_model_but_answers_and_learns_what_makes_them_sure() -> None:
    model = Dim()
    method = VQSelect(model, EAGER)
    first, *_, last = stream(method)
    gained = [sum(a.entropy_before - a.entropy_after for a in answers) for answers in (first, last)]
    assert gained[1] > gained[0] > 0
    assert model.asked == [8] * 18, "each batch costs its untuned answer and one pass for each try"
    best = method.predictor.choose(describe_images(dark(48)[-8:]), 1).tried[:, 0].tolist()
    assert {EAGER.corrections[number] for number in best} <= {"brighten-more", "gamma", "even-light"}


def test_an_answer_is_that_of_a_correction_and_the_surest_of_those_tried() -> None:
    model = Dim()
    method = VQSelect(model, replace(EAGER, corrections=("brighten", "brighten-more"), tries=2))
    images = dark(3)
    for answer, image in zip(method.ask(images, ["what?"] * 3), images, strict=True):
        assert answer.answer == f"{restore(image, 'brighten-more').mean():.1f}"
        assert answer.base_answer == f"{image.mean():.1f}" and answer.steps == 2 and not answer.rolled_back


def test_a_correction_that_makes_answers_less_sure_is_not_kept() -> None:
    method = VQSelect(Dim(), replace(EAGER, corrections=("smooth", "soften"), tries=1, caution=0.2))
    for answer in method.ask(dark(4), ["what?"] * 4):
        assert answer.answer == answer.base_answer and answer.rolled_back


def test_what_a_correction_promises_counts_beside_the_answers_own_certainty() -> None:
    model = Dim()
    method = VQSelect(model, replace(EAGER, corrections=("brighten", "brighten-more"), trust=1000.0))
    inputs, base = model.batch_of(dark(4), ["what?"] * 4), model.answer(dark(4), ["what?"] * 4, 4)
    described = describe_images(inputs.images)
    for tried, gained in ((0, 1.0), (1, -1.0)):  # as if brightening more had always failed
        choice = Choice(tried=torch.full((4, 1), tried), promised=torch.zeros(4, 1), idle=[])
        method.predictor.observe(described, choice, torch.full((4, 1), gained))
    for answer, image in zip(method.answer(inputs, base), dark(4), strict=True):
        assert answer.answer == f"{restore(image, 'brighten').mean():.1f}"


def test_a_correction_that_leaves_an_image_as_it_is_costs_no_forward_pass() -> None:
    model = Dim()
    method = VQSelect(model, replace(EAGER, corrections=("wiener", "deblock", "brighten"), tries=1))
    for answer, image in zip(method.ask(dark(4), ["what?"] * 4), dark(4), strict=True):
        assert answer.answer == f"{restore(image, 'brighten').mean():.1f}"
    assert model.asked == [4, 4]


class Speechless(Dim):
    """Dim, but says nothing, and is sure of it, once an image is bright."""

    def answer(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> ListedGeneration:
        own = super().answer(images, questions, max_new_tokens)
        return replace(own, texts=["" if float(text) > 50 else text for text in own.texts])


def test_an_empty_answer_is_never_taken_however_sure_and_teaches_that_its_correction_harms() -> None:
    method = VQSelect(Speechless(), replace(EAGER, corrections=("brighten-more", "soften"), tries=2, guard=False))
    for answer in method.ask(dark(4), ["what?"] * 4):
        assert answer.answer and answer.steps == 2
    assert (method.predictor.experience[0].gained < -0.5).all()


def test_certain_answers_and_samples_without_images_cost_nothing() -> None:
    model = Dim()
    method = VQSelect(model, replace(EAGER, gate=0.5))
    bright, none = np.full((32, 32, 3), 255, np.uint8), list[Image]()
    answers = method.ask([bright, dark(1)[0]], ["what?"] * 2)
    assert [answer.steps for answer in answers] == [0, 2]
    assert model.asked == [2, 1, 1]
    both = dark(2)
    several = method.ask([both, dark(1)[0]], ["what?"] * 2)
    assert several[0].steps == 2
    fake = METHODS["vq-select"].changed({"gate": 0.0}).build(FakeModel())
    assert fake.admitted(FakeModel().batch_of([none], ["what?"]), _before()) == []


def _before() -> Any:
    from vqttt.methods.attempts import Outcome

    return Outcome(texts=["x"], confidences=[0.5], entropies=[1.0])


def test_a_saved_stream_is_applied_frozen_or_gone_on_from(tmp_path: Path) -> None:
    learner, file = VQSelect(Dim(), EAGER), tmp_path / "tuned.safetensors"
    learner.name = "vq-select"
    stream(learner)
    learner.save(file)
    assert file.stat().st_size < 200_000
    settings = {name: getattr(EAGER, name) for name in ("gate", "caution", "trust")}
    frozen = find_method("vq-select", {"vq-select": {**settings, "tuned": str(file)}}).build(Dim())
    assert isinstance(frozen, Saved) and isinstance(frozen.method, VQSelect)
    once, again = stream(frozen), stream(frozen)  # type: ignore[arg-type]
    assert [[a.answer for a in batch] for batch in once] == [[a.answer for a in batch] for batch in again]
    assert frozen.method.predictor.tries == learner.predictor.tries
    going_on = VQSelect(Dim(), replace(EAGER, start=str(file), trust=0.5))
    stream(going_on, batches=1)
    assert going_on.predictor.tries >= learner.predictor.tries + 16
    going_on.reset()
    assert going_on.predictor.tries == learner.predictor.tries
    with pytest.raises(InputError, match="was tuned with other corrections than this version's"):
        VQSelect(Dim(), replace(EAGER, start=str(file), corrections=("smooth", "soften")))


def test_a_batch_without_its_images_is_refused_in_words() -> None:
    model = FakeTunableModel()
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
    with pytest.raises(ValueError, match="needs the images that a batch was made of"):
        VQSelect(model, EAGER).answer(inputs, model.generate(inputs, 2))
