"""`vqttt.Answerer`: what it learns is kept, saved and applied; threads and failures do no harm."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import isnan, log
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from tests.support.servers import chat_server, counts
from vqttt import Answer, Answerer, LoadOptions, ServedOptions, find_method, load_model, save_image
from vqttt.errors import ImageError, InputError, ServerError, UnknownNameError
from vqttt.methods.stream import StreamMethod
from vqttt.models.base import Inputs
from vqttt.models.fake import FakeTunableModel
from vqttt.types import Image

ONE_TRY = {"tries": 1, "corrections": ["soften", "smooth", "brighten"]}
"""Two corrections that do not help an image that is too dark, and then one that does."""


def dark(number: int) -> Image:
    """A dark image with noise, so that every correction changes it."""
    draw = np.random.default_rng(number)
    return (draw.integers(10, 60, (1, 1, 3)) + draw.integers(0, 40, (32, 32, 3))).astype(np.uint8)


def light_or_dark(image: Image, question: str) -> tuple[str, list[float]]:
    """Sure of a bright image, unsure of a dark one."""
    return ("bright", [log(0.98)]) if image.mean() > 75 else ("dark", [log(0.6)])


def plain(answers: Sequence[Answer]) -> list[Answer]:
    """Answers without the time that they took; another number of threads may round the last digits otherwise."""
    rounded = ("confidence", "base_confidence", "entropy_before", "entropy_after")
    return [
        replace(answer, seconds=0.0, **{name: round(getattr(answer, name), 6) for name in rounded})
        for answer in answers
    ]


def asked(answerer: Answerer, numbers: Sequence[int]) -> list[Answer]:
    return plain([answerer.answer(dark(number), "how is it?") for number in numbers])


def learned(answerer: Answerer) -> list[torch.Tensor]:
    assert isinstance(answerer.method, StreamMethod)
    return answerer.method.learned()


def equal(one: Answerer, other: Answerer) -> bool:
    pairs = list(zip(learned(one), learned(other), strict=True))
    return all(a.shape == b.shape and torch.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in pairs)


def test_it_learns_from_image_to_image() -> None:
    answerer = Answerer(light_or_dark, settings=ONE_TRY)
    first, *later = asked(answerer, range(8))
    assert first.answer == "dark", "a correction that does not help was tried"
    assert [answer.answer for answer in later[-5:]] == ["bright"] * 5
    assert {answer.how for answer in later[-5:]} == {"dark tones raised, by a power of 0.5"}
    answerer.reset()
    assert asked(answerer, [0]) == [first]


def test_it_answers_as_the_method_does() -> None:
    images, questions = [dark(n) for n in range(6)], [f"how is it? {n}" for n in range(6)]
    method = find_method("vq-select").build(load_model("fake-plain"))
    expected = method.ask(images[:4], questions[:4]) + method.ask(images[4:], questions[4:])
    answerer = Answerer("fake-plain")
    found = answerer.answer_all(images[:4], questions[:4]) + answerer.answer_all(images[4:], questions[4:])
    assert plain(found) == plain(expected)


def test_what_was_saved_goes_on_or_is_applied(tmp_path: Path) -> None:
    whole, first = (Answerer(light_or_dark, settings=ONE_TRY) for _ in range(2))
    asked(whole, range(6))
    asked(first, range(6))
    first.save(tmp_path / "learned.safetensors")

    started = Answerer(light_or_dark, settings=ONE_TRY, start=tmp_path / "learned.safetensors")
    assert equal(started, whole)
    assert asked(started, range(6, 12)) == asked(whole, range(6, 12))
    assert not equal(started, first), "it has gone on learning"

    tuned = Answerer(light_or_dark, settings=ONE_TRY, tuned=str(tmp_path / "learned.safetensors"))
    alone = [asked(tuned, [n])[0] for n in (20, 21, 20)]
    assert [answer.answer for answer in alone] == ["bright"] * 3 and alone[0] == alone[2]
    assert asked(Answerer(light_or_dark, settings=ONE_TRY), [20])[0].answer == "dark"
    with pytest.raises(InputError, match="vq-select was given by tuned, and learned nothing more; give start"):
        tuned.save(tmp_path / "again.safetensors")
    started.reset()
    assert equal(started, first), "a reset goes back to the file"


def test_images_come_in_any_form(tmp_path: Path) -> None:
    image = dark(3)
    save_image(image, tmp_path / "image.png")
    forms = [image, PILImage.fromarray(image), tmp_path / "image.png", str(tmp_path / "image.png")]
    answers = plain([Answerer("fake-plain").answer(form, "what color?") for form in forms])
    assert answers == answers[:1] * 4
    answerer = Answerer("fake-plain", "none")
    green = np.full((9, 9, 3), (0, 255, 0), np.uint8)
    assert answerer.answer([tmp_path / "image.png", green, green], "what color?").answer == "green"
    assert answerer.answer([], "is there an image?").answer == "no"


class Recorder:
    """A function that notes what it is asked first, and fails if it is asked twice at a time."""

    def __init__(self) -> None:
        self.order, self.looks, self._busy = list[str](), 0, False

    def __call__(self, image: Image, question: str) -> tuple[str, list[float]]:
        assert not self._busy, "two threads ask at a time"
        self._busy = True
        self.looks += 1
        if question not in self.order:
            self.order.append(question)
        time.sleep(0.0005)  # another thread may take its turn here
        self._busy = False
        return light_or_dark(image, question)


class RecordingFake(FakeTunableModel):
    """Notes the questions in the order in which they are encoded."""

    def __init__(self) -> None:
        super().__init__()
        self.order = list[str]()

    def encode(self, images: Sequence[Image], questions: Sequence[str]) -> Inputs:
        self.order += [question for question in questions if question not in self.order]
        time.sleep(0.0005)
        return super().encode(images, questions)


def side_by_side(answerer: Answerer, count: int, threads: int = 8) -> dict[str, Answer]:
    """Ask about `count` images from many threads; return the answers by question."""
    questions = [str(number) for number in range(count)]
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda text: answerer.answer(dark(int(text)), text), questions))
    return dict(zip(questions, plain(found), strict=True))


@pytest.mark.parametrize(
    ("make", "method"), [(Recorder, "vq-select"), (RecordingFake, "vq-select"), (RecordingFake, "vq-ttt")]
)
def test_of_what_threads_learn_nothing_is_lost(
    make: type[Recorder] | type[RecordingFake], method: str, one_thread: None
) -> None:
    """Answers and all that was learned equal those of one thread that asks in the same order."""
    model = make()
    together = Answerer(model, method)
    found = side_by_side(together, 40)
    alone = Answerer(make(), method)
    assert found == {text: asked_one(alone, text) for text in model.order}
    assert equal(together, alone) and not equal(together, Answerer(make(), method))


def asked_one(answerer: Answerer, question: str) -> Answer:
    return plain([answerer.answer(dark(int(question)), question)])[0]


def test_every_try_of_every_thread_counts() -> None:
    recorder = Recorder()
    answerer = Answerer(recorder, settings={"tries": 2, "corrections": ["soften", "smooth", "brighten"]})
    found = side_by_side(answerer, 40)
    assert recorder.looks == 3 * 40 and all(answer.steps == 2 for answer in found.values())
    assert sum(len(known.gained) for known in answerer.method.predictor.experience) == 2 * 40


@pytest.mark.parametrize("method", ["none", "tta", "vq-ttt-episodic"])
def test_threads_get_what_one_thread_gets(method: str, one_thread: None) -> None:
    found = side_by_side(Answerer("fake", method), 24)
    alone = Answerer("fake", method)
    assert found == {text: asked_one(alone, text) for text in found}


def test_threads_that_apply_a_file_get_what_one_thread_gets(tmp_path: Path) -> None:
    first = Answerer(light_or_dark, settings=ONE_TRY)
    asked(first, range(6))
    first.save(tmp_path / "learned.safetensors")
    tuned = Answerer(light_or_dark, settings=ONE_TRY, tuned=tmp_path / "learned.safetensors")
    found = side_by_side(tuned, 24)
    assert found == {text: asked_one(tuned, text) for text in found}


def test_the_recipe_learns_from_one_image_at_a_time() -> None:
    answerer = Answerer("fake", "vq-ttt")
    start = learned(answerer)
    for number in range(3):
        answerer.answer(dark(number), "what color?")
    assert not all(map(torch.equal, learned(answerer), start))


def test_a_function_gives_confidence_and_the_least_entropy() -> None:
    answer = Answerer(lambda image, question: (" two words ", [log(0.9), log(0.5)]), "none").answer(dark(0), "what?")
    assert (answer.answer, answer.error) == ("two words", "")
    assert answer.confidence == pytest.approx((0.9 * 0.5) ** 0.5)
    shares = [(0.9, 0.1), (0.5, 0.5)]
    assert answer.entropy_before == pytest.approx(sum(-p * log(p) for pair in shares for p in pair) / 2)


def test_a_function_without_probabilities_can_be_asked_untuned() -> None:
    answer = Answerer(lambda image, question: ("red", []), "none").answer(dark(0), "what color?")
    assert (answer.answer, answer.error) == ("red", "") and isnan(answer.confidence)
    with pytest.raises(InputError, match="returned no log-probabilities; give one for each token, or choose a method"):
        Answerer(lambda image, question: ("red", []), "vq-select").answer(dark(0), "what color?")


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("red", "must return a text and a list of log-probabilities, not 'red'"),
        (("red", None), "must return a text and a list"),
        (("red", ["high"]), "must return a text and a list"),
        ((3, [-0.1]), "must return a text first, not 3"),
        (("red", [0.9]), r"returned 0.9; log-probabilities are at most 0, so give log\(p\)"),
    ],
)
def test_a_function_that_returns_something_else(returned: object, message: str) -> None:
    def mine(image: Image, question: str) -> object:
        return returned

    with pytest.raises(InputError, match=f"mine {message}"):
        Answerer(mine, "none").answer(dark(0), "what color?")  # type: ignore[arg-type]


def test_a_look_that_fails_leaves_no_trace() -> None:
    fails = False

    def mine(image: Image, question: str) -> tuple[str, list[float]]:
        if fails and image.mean() > 75:  # the corrected image, once the method has learned to brighten
            raise RuntimeError("out of memory")
        return light_or_dark(image, question)

    answerer, untroubled = Answerer(mine, settings=ONE_TRY), Answerer(mine, settings=ONE_TRY)
    assert asked(answerer, range(6)) == asked(untroubled, range(6))
    fails = True
    with pytest.raises(RuntimeError, match="out of memory"):
        answerer.answer(dark(6), "how is it?")
    fails = False
    assert equal(answerer, untroubled)
    assert asked(answerer, range(7, 10)) == asked(untroubled, range(7, 10))


def test_numbers_that_are_not_finite_are_an_error_of_the_answer() -> None:
    def mine(image: Image, question: str) -> tuple[str, list[float]]:
        return "red", [float("nan") if question == "bad" else log(0.6)]

    good, bad = Answerer(mine).answer_all([dark(0), dark(1)], ["good", "bad"])
    assert good.answer == "red" and not good.error
    assert bad.answer == "" and "not finite" in bad.error


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Answerer("fake-plain", "vq-selct"), UnknownNameError, "did you mean vq-select"),
        (lambda: Answerer("fakes"), UnknownNameError, "did you mean fake"),
        (lambda: Answerer("fake-plain", "vq-ttt"), InputError, "needs access to the model's internals"),
        (lambda: Answerer(light_or_dark, "vq-ttt"), InputError, "internals, which light_or_dark does not give"),
        (lambda: Answerer("fake-plain", settings={"trys": 2}), InputError, "vq-select has no setting 'trys'"),
        (lambda: Answerer("fake-plain", start="no.safetensors"), InputError, "there is no file no.safetensors"),
        (lambda: Answerer("fake-plain", "none", start="no"), InputError, "none learns nothing that could be saved"),
        (lambda: Answerer("fake-plain", start="a", tuned="b"), InputError, "give one of them"),
        (lambda: Answerer("fake-plain", max_new_tokens=0), InputError, "max_new_tokens must be at least 1, not 0"),
        (lambda: Answerer(7), InputError, "a model is a name, a model or a function .*, not 7"),
        (lambda: Answerer(light_or_dark, load=LoadOptions(dtype="float32")), InputError, "load and served say how"),
        (lambda: Answerer("openai:colors"), InputError, "a served model needs --base-url"),
    ],
)
def test_what_cannot_be_built(
    make: Callable[[], Answerer], error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda answerer: answerer.answer("no.png", "what?"), "no.png: no such file"),
        (lambda answerer: answerer.answer(None, "what?"), "an image must be a uint8 array"),
        (lambda answerer: answerer.answer(np.zeros((4, 4)), "what?"), r"got float64 of shape \(4, 4\)"),
        (lambda answerer: answerer.answer_all("no.png", ["what?"]), "answer_all takes lists"),
        (lambda answerer: answerer.answer_all(dark(0), ["what?"]), "answer_all takes lists"),
        (lambda answerer: answerer.answer_all([dark(0)], ["what?", "which?"]), "1 images for 2 questions"),
        (lambda answerer: answerer.answer_all([dark(0)], "what?"), "give lists"),
        (lambda answerer: answerer.answer_all([], []), "0 images for 0 questions"),
        (lambda answerer: answerer.save("no/folder.safetensors"), "in a folder that exists"),
        (lambda answerer: answerer.save("."), "cannot be written"),
    ],
)
def test_what_cannot_be_asked_or_saved(ask: Callable[[Answerer], object], message: str) -> None:
    answerer = Answerer("fake-plain")
    before = learned(answerer)
    with pytest.raises(InputError, match=message):
        ask(answerer)
    assert all(map(torch.equal, learned(answerer), before))
    assert answerer.answer(dark(0), "what color?").answer in ("red", "green", "blue"), "it can still be asked"


def test_a_method_that_learns_nothing_saves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the method none learns nothing, so there is nothing to save"):
        Answerer("fake-plain", "none").save(tmp_path / "learned.safetensors")
    with pytest.raises(ImageError):
        Answerer("fake-plain", "none").answer(tmp_path, "what?")


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    first = Answerer(light_or_dark)
    asked(first, range(3))
    first.save(tmp_path / "learned.safetensors")
    with pytest.raises(InputError, match=r"other weights \(light_or_dark\) than fake-plain"):
        Answerer("fake-plain", start=tmp_path / "learned.safetensors")
    with pytest.raises(InputError, match="tuned with other settings of vq-select: tries is 2, not 3"):
        Answerer(light_or_dark, settings={"tries": 3}, tuned=tmp_path / "learned.safetensors")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with chat_server() as running:
        yield running


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_a_served_model_is_asked_and_left(url: str, tmp_path: Path) -> None:
    given = ServedOptions(base_url=url, concurrency=4)
    with Answerer("openai:colors", served=given) as answerer:
        images = [dark(number) for number in range(8)]
        answers = answerer.answer_all(images, [f"what color? [slow*{n}]" for n in range(20, 28)])
        assert [answer.base_answer for answer in answers] == [
            ("red", "green", "blue")[int(image.mean((0, 1)).argmax())] for image in images
        ]
        assert 2 <= counts(url)["most"] <= 4, "a batch is sent side by side"
        assert answerer.method.predictor.tries >= 2 * 8
        failed, fine = answerer.answer_all([dark(0)] * 2, ["refused [400*99]", "and this?"])
        assert failed.error.startswith("the server refused this") and fine.answer and not fine.error
        answerer.save(tmp_path / "learned.safetensors")
    with pytest.raises(RuntimeError, match="shutdown"):
        answerer.answer(dark(0), "what color?")
    with Answerer("openai:colors", served=given, tuned=tmp_path / "learned.safetensors") as tuned:
        assert tuned.answer(dark(0), "what color?").answer in ("red", "green", "blue")


def test_a_served_model_that_was_given_stays_open(url: str) -> None:
    model = load_model("openai:colors", served=ServedOptions(base_url=url))
    with Answerer(model, "none") as answerer:
        assert answerer.model is model
    assert answerer.answer(np.full((9, 9, 3), (0, 0, 200), np.uint8), "what color?").answer == "blue"
    model.close()  # type: ignore[attr-defined]


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqttt.models.served.client.RETRIES", 0)
    with pytest.raises(ServerError, match="cannot be asked"):
        Answerer("openai:colors", served=ServedOptions(base_url="http://127.0.0.1:9/v1", timeout=2))
