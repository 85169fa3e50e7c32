"""One model and many threads: what is answered together, in which order, and what a failure does to the others."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests.support.serving import BLUE, GREEN, RED, GatedModel, doubtful
from tests.support.small_models import QUESTIONS, sample_images, tiny_llava
from vqttt.errors import InputError, VQTTTError
from vqttt.models.base import Generation, Model
from vqttt.models.fake import FakeModel, FakeTunableModel
from vqttt.serving.shared_passes import JoinedGeneration, SharedPasses, encoded

COLORS = [(RED, "red"), (GREEN, "green"), (BLUE, "blue")]


def together(passes: SharedPasses, works: Sequence[Callable[[], Any]]) -> list[Future[Any]]:
    """Start works in threads of their own while the model is busy, so that all wait when it is free again."""
    free = threading.Event()
    pool = ThreadPoolExecutor(len(works) + 1)
    pool.submit(passes.alone, free.wait)
    while passes._jobs or not passes._took.called:  # type: ignore[attr-defined]
        time.sleep(0.001)
    futures = []
    for number, work in enumerate(works, 1):
        futures.append(pool.submit(work))
        while len(passes._jobs) < number:
            time.sleep(0.001)
    free.set()
    pool.shutdown()
    return futures


class Took(list[int]):
    """The sizes of passes."""

    @property
    def called(self) -> bool:
        return bool(self)

    def __call__(self, size: int) -> None:
        self.append(size)


def shared(model: Model, most: int = 32) -> tuple[SharedPasses, Took]:
    took = Took()
    return SharedPasses(model, most, took), took


def test_what_waits_for_the_same_work_is_one_pass() -> None:
    model = GatedModel()
    passes, took = shared(model)
    futures = together(passes, [lambda n=n: passes.answer([COLORS[n % 3][0]], [f"{n}?"], 4) for n in range(10)])
    assert [future.result().texts for future in futures] == [[COLORS[n % 3][1]] for n in range(10)]
    assert took == [1, 10] and model.sizes == [10]
    passes.close()


def test_a_pass_has_a_largest_size_and_other_work_waits_its_turn() -> None:
    model = GatedModel()
    passes, took = shared(model, most=4)
    lengths = [4, 8, 4, 4, 8, 4, 4]
    futures = together(passes, [lambda n=n: passes.answer([RED], ["a?"], n) for n in lengths])
    assert all(future.result().texts == ["red"] for future in futures)
    assert took[1:] == [4, 2, 1] == model.sizes
    passes.close()


def test_several_samples_of_one_caller_come_back_in_order() -> None:
    passes, _ = shared(FakeModel())
    answers = passes.answer([RED, GREEN, BLUE], ["a?", "b?", "c?"], 4)
    assert isinstance(answers, JoinedGeneration) and answers.texts == ["red", "green", "blue"]
    assert answers.select([2, 0]).texts == ["blue", "red"]
    plain = FakeModel().answer([RED, GREEN, BLUE], ["a?", "b?", "c?"], 4)
    assert answers.entropies == plain.entropies and answers.confidences == plain.confidences
    assert answers.token_logprobs == plain.token_logprobs and answers.errors == plain.errors
    passes.close()


class Picky(FakeModel):
    """Refuses questions that say so; what else is in the batch suffers."""

    def answer(self, images: Sequence[Any], questions: Sequence[str], max_new_tokens: int) -> Generation:
        if any("bad" in question for question in questions):
            raise ZeroDivisionError("one is bad")
        if any("exit" in question for question in questions):
            raise SystemExit(3)
        return super().answer(images, questions, max_new_tokens)


def test_only_those_fail_that_must() -> None:
    passes, _ = shared(Picky())
    asked = ["a?", "bad?", "b?", "exit?", "c?"]
    futures = together(passes, [lambda one=one: passes.answer([RED], [one], 4) for one in asked])
    assert [future.exception() is None for future in futures] == [True, False, True, False, True]
    assert isinstance(futures[1].exception(), ZeroDivisionError) and isinstance(futures[3].exception(), SystemExit)
    assert passes.answer([GREEN], ["and now?"], 4).texts == ["green"], "the thread has outlived it"
    passes.close()


def test_work_that_returns_too_little_fails_and_the_thread_goes_on() -> None:
    passes, _ = shared(FakeModel())
    with pytest.raises(RuntimeError, match="0 answers to 1 questions"):
        passes.together("nothing", lambda images, questions: [], [RED], ["a?"])
    assert passes.answer([GREEN], ["and now?"], 4).texts == ["green"]
    passes.close()


def test_closing_finishes_what_waits_and_takes_no_more() -> None:
    model = GatedModel()
    model.gate.clear()
    passes, _ = shared(model)
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(passes.answer, [RED], ["a?"], 4 + n) for n in range(6)]
        while len(passes._jobs) < 5:
            time.sleep(0.001)
        closing = pool.submit(passes.close)
        time.sleep(0.05)
        assert not closing.done()
        model.gate.set()
        assert [future.result(10).texts for future in futures] == [["red"]] * 6
        closing.result(10)
    with pytest.raises(VQTTTError, match="stopping"):
        passes.answer([RED], ["a?"], 4)


def test_answers_in_a_batch_are_those_alone(one_thread: None) -> None:
    """Prompts of different lengths are padded; texts and, up to rounding, numbers are as if each were asked alone."""
    model = tiny_llava()
    passes, took = shared(model)
    images, questions = sample_images(8), [*QUESTIONS, *(f"{one} how many red shape are there" for one in QUESTIONS)]
    works = [lambda n=n: passes.answer([images[n]], [questions[n]], 5) for n in range(8)]
    for n, future in enumerate(together(passes, works)):
        alone, batched = model.answer([images[n]], [questions[n]], 5), future.result()
        assert batched.texts == alone.texts
        np.testing.assert_allclose(batched.entropies, alone.entropies, atol=1e-4)
        length = int(model.batch_of([images[n]], [questions[n]]).tensors["attention_mask"].sum())
        assert batched.prompt_tokens == [length]
    assert took == [1, 8]
    passes.close()


def test_a_prompt_longer_than_the_context_is_refused_before_a_pass() -> None:
    model = tiny_llava()
    assert model.context > 100
    with pytest.raises(InputError, match=rf"has [\d,]+ tokens, images included, and the model takes {model.context:,}"):
        encoded(model, [sample_images(1)[0]], ["red " * model.context])


class Clumsy(FakeTunableModel):
    """Its processor fails on small images, as some do."""

    def encode(self, images: Sequence[Any], questions: Sequence[str]) -> Any:
        if any(min(image.shape[:2]) < 4 for image in images):
            raise AssertionError("height < 4")
        return super().encode(images, questions)


def test_what_a_processor_cannot_take_is_the_requests_fault() -> None:
    passes, _ = shared(Clumsy())
    with pytest.raises(InputError, match="cannot take this question or image: AssertionError: height < 4"):
        passes.answer([doubtful(1, side=2)], ["a?"], 4)
    passes.close()
