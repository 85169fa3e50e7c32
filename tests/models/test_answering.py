"""Answering a batch: a sample that the model cannot answer is named, and costs the others neither answer nor memory."""

import weakref
from collections.abc import Sequence
from dataclasses import replace
from math import inf, isnan, nan

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.small_families import BUILDERS, small
from tests.support.small_models import QUESTIONS, sample_images
from vqttt.errors import VQTTTError
from vqttt.methods import METHODS
from vqttt.methods.base import Method
from vqttt.models.answering import Asked, answer_untuned
from vqttt.models.base import Generation, Inputs
from vqttt.models.fake import FakeModel, FakeTunableModel
from vqttt.models.generation import NOT_FINITE, ListedGeneration
from vqttt.models.memory import release_pass
from vqttt.models.tunable import LogitGeneration
from vqttt.study.batch import Batch, ImageCache
from vqttt.types import Condition, Sample

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
DARK = 60.0
"""The mean level below which an image spoils the numbers of the models here."""


def asked(*levels: int) -> dict[str, Asked]:
    """One question about an image of each level, with a little red."""
    images = [np.full((16, 16, 3), level, np.uint8) for level in levels]
    for image in images:
        image[..., 0] += 50
    return {str(n): Asked(shown=image, text="what color?") for n, image in enumerate(images)}


class Spoilt(FakeTunableModel):
    """Its logits are not finite for dark images; with `leaks`, a dark image spoils the rest of its batch as well."""

    value, leaks = nan, False

    def answer_logits(self, inputs: Inputs, answers: Tensor | None = None) -> Tensor:
        logits = super().answer_logits(inputs, answers).clone()
        levels = (inputs.tensors["pixel_values"].mean((1, 2, 3)) + 1) * 127.5
        dark = levels < DARK
        logits[dark.any().expand_as(dark) if self.leaks else dark, :, 1] = self.value
        return logits


class Listed(FakeModel):
    """A model behind a server that sends NaN for dark images."""

    def answer(self, images, questions, max_new_tokens) -> ListedGeneration:
        answers = super().answer(images, questions, max_new_tokens)
        chosen = [[nan] if image.mean() < DARK else of for image, of in zip(images, answers.chosen, strict=True)]
        return replace(answers, chosen=chosen)


@pytest.mark.parametrize("leaks", [False, True])
@pytest.mark.parametrize("value", [nan, inf])
def test_numbers_that_are_not_finite_are_no_answer(value: float, leaks: bool) -> None:
    model = Spoilt()
    model.value, model.leaks = value, leaks
    answered, errors = answer_untuned(asked(200, 10, 120, 0), model, 4)
    assert errors == {"1": NOT_FINITE, "3": NOT_FINITE}
    assert answered is not None and answered[0].count == 2 and answered[1].texts == ["red", "red"]
    assert answered[1].errors == ["", ""]
    assert answer_untuned(asked(10, 0), model, 4) == (None, {"0": NOT_FINITE, "1": NOT_FINITE})


def test_a_logit_of_minus_infinity_is_a_probability_of_zero() -> None:
    model = Spoilt()
    model.value = -inf
    answered, errors = answer_untuned(asked(200, 10), model, 4)
    assert not errors and answered is not None
    assert np.isfinite([*answered[1].entropies, *answered[1].confidences]).all()


def test_a_server_that_sends_nan_has_not_answered() -> None:
    answered, errors = answer_untuned(asked(200, 10), Listed(), 4)
    assert errors == {"1": NOT_FINITE} and answered is not None and answered[1].texts == ["red"]


def test_samples_that_spoil_one_another_have_no_answer() -> None:
    class Crowded(FakeTunableModel):
        """Logits are not finite for the first sample of any batch of two."""

        def answer_logits(self, inputs: Inputs, answers: Tensor | None = None) -> Tensor:
            logits = super().answer_logits(inputs, answers).clone()
            if inputs.count > 1:
                logits[0] = nan
            return logits

    answered, errors = answer_untuned(asked(200, 100), Crowded(), 4)
    assert errors == {"0": NOT_FINITE} and answered is not None and answered[0].count == 1


METHODS_HERE = [name for name, spec in METHODS.items() if name != "saved"]


@pytest.mark.parametrize("name", METHODS_HERE)
def test_every_method_names_a_sample_without_an_answer(name: str, spoilt: Spoilt) -> None:
    method: Method = METHODS[name].build(spoilt, max_new_tokens=4)
    images = [np.full((16, 16, 3), level, np.uint8) for level in (200, 10)]
    answers = method.ask(images, ["what color?"] * 2)
    assert [answer.error for answer in answers] == ["", NOT_FINITE]
    assert answers[0].answer and not isnan(answers[0].entropy_before)
    assert answers[1].answer == answers[1].base_answer == ""
    assert answers[1].confidence == answers[1].base_confidence == 0
    assert answers[1].steps == 0 and not answers[1].rolled_back
    later = method.ask(images[:1], ["what color?"])[0]
    assert not later.error and not isnan(later.entropy_after), "nothing is left of the sample that had no answer"


@pytest.mark.parametrize("name", METHODS_HERE)
def test_no_method_answers_by_numbers_that_are_not_finite(name: str, spoilt: Spoilt) -> None:
    """Everything but the untuned pass gives NaN; the untuned answer is kept."""
    images = [np.full((16, 16, 3), 200, np.uint8)]
    inputs, base = spoilt.ask(images, ["what color?"], 4)
    whole = spoilt.answer_logits
    spoilt.answer_logits = lambda *arguments: whole(*arguments) * nan  # type: ignore[method-assign]
    answer = METHODS[name].build(spoilt, max_new_tokens=4).answer(inputs, base)[0]
    assert not answer.error and answer.answer == answer.base_answer == base.texts[0]
    assert answer.entropy_after == answer.entropy_before


@pytest.fixture
def spoilt(tmp_path) -> Spoilt:
    from vqttt.models import CLEAN_FEATURES
    from vqttt.tuning.feature_statistics import measure_clean, save_clean

    model = Spoilt()
    model.clean_features = tmp_path / CLEAN_FEATURES
    save_clean(model.clean_features, measure_clean(model, sample_images(4), QUESTIONS))
    return model


@pytest.mark.parametrize("name", BUILDERS)
def test_weights_that_are_not_finite_give_no_answer_in_any_family(name: str) -> None:
    model = small(name)
    head = model.network.get_output_embeddings().weight
    kept = head.detach().clone()
    with torch.no_grad():
        head[0, 0] = nan
    try:
        images = {str(n): Asked(shown=image, text="what color?") for n, image in enumerate(sample_images(2))}
        assert answer_untuned(images, model, 2) == (None, {"0": NOT_FINITE, "1": NOT_FINITE})
    finally:
        with torch.no_grad():
            head.copy_(kept)


class Large(FakeTunableModel):
    """Runs out of memory on more than one sample; `passes` says how many activations were alive when each began."""

    def __init__(self) -> None:
        super().__init__()
        self.live: list[weakref.ref[Tensor]] = []
        self.passes: list[tuple[int, int]] = []

    def generate(self, inputs: Inputs, max_new_tokens: int) -> LogitGeneration:
        self.passes.append((inputs.count, sum(one() is not None for one in self.live)))
        activations = torch.zeros(100, 100)
        self.live.append(weakref.ref(activations))
        if inputs.count > 1:
            held = torch.OutOfMemoryError("CUDA out of memory")
            raise held  # the frame refers to the exception, and that to the frame
        return super().generate(inputs, max_new_tokens)


def test_nothing_of_a_failed_pass_is_alive_while_its_samples_are_asked_again() -> None:
    model = Large()
    with pytest.raises(VQTTTError, match="not together; try smaller batches: OutOfMemoryError: CUDA out of memory"):
        answer_untuned(asked(200, 100, 50), model, 4)
    assert model.passes == [(3, 0), (1, 0), (1, 0), (1, 0), (3, 0)]
    assert [one() for one in model.live] == [None] * 5


def test_the_answers_to_a_batch_that_is_asked_again_are_not_alive_either() -> None:
    alive: list[int] = []
    made: list[weakref.ref[Generation]] = []

    class Watched(Spoilt):
        def generate(self, inputs: Inputs, max_new_tokens: int) -> LogitGeneration:
            alive.append(sum(one() is not None for one in made))
            answers = super().generate(inputs, max_new_tokens)
            made.append(weakref.ref(answers))
            return answers

    answered, errors = answer_untuned(asked(200, 10), Watched(), 4)
    assert list(errors) == ["1"] and answered is not None
    assert alive == [0, 0, 0]


def test_nothing_of_a_failed_method_stays_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    live: list[weakref.ref[Tensor]] = []
    alive: list[bool] = []

    class Failing(Method):
        needs = FakeTunableModel

        def attempts(self, inputs, base, *, learn=True):
            activations = torch.zeros(100, 100)
            live.append(weakref.ref(activations))
            held = torch.OutOfMemoryError("CUDA out of memory")
            raise held

    def look(error: BaseException) -> None:
        release_pass(error)
        alive.append(live[-1]() is not None)

    monkeypatch.setattr("vqttt.study.batch.release_pass", look)
    image = sample_images(1)[0]
    samples: Sequence[Sample] = [Sample(id="a", load=lambda: image, question="what color?", answers=("red",))]
    model = FakeTunableModel()
    batch = Batch.prepare(samples, ImageCache(), Condition(), model, seed=0, max_new_tokens=2)
    record = batch.answered_by(Failing(model))[0]
    assert record.error == "the method failed: OutOfMemoryError: CUDA out of memory" and record.base_answer
    assert alive == [False]


def test_an_exception_may_be_its_own_cause() -> None:
    live: list[weakref.ref[Tensor]] = []

    def fail() -> None:
        activations = torch.zeros(100, 100)
        live.append(weakref.ref(activations))
        try:
            raise ValueError("first")
        except ValueError as first:
            second = RuntimeError("second")
            second.__cause__ = second
            raise second from first

    try:
        fail()
    except RuntimeError as error:
        error.__cause__ = error
        release_pass(error)
        assert live[0]() is None


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl", "cogvlm"])
def test_a_prompt_without_room_for_an_answer_is_marked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, image = small(name), sample_images(1)[0]
    lengths = [model.batch_of([image], [question]).lengths[0] for question in (QUESTIONS[0], "red " * 50)]
    assert lengths[0] + 20 < lengths[1]
    both = {"short": Asked(shown=image, text=QUESTIONS[0]), "long": Asked(shown=image, text="red " * 50)}
    for context, marked in ((lengths[1] + 1, []), (lengths[1], ["long"]), (lengths[0], ["short", "long"])):
        monkeypatch.setattr(model, "context", context)
        answered, errors = answer_untuned(both, model, 2)
        assert list(errors) == marked
        assert all(f"tokens, images included, and the model takes {context:,}" in why for why in errors.values())
        assert len(answered[1].texts if answered else []) == 2 - len(marked)
