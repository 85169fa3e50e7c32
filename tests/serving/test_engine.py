"""Answering requests: the method by request, states kept apart, deadlines, and what happens when something fails."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.serving import BLUE, DOUBTFUL, GREEN, RED, doubtful
from tests.support.small_models import sample_images, tiny_llava
from vqttt.errors import InputError
from vqttt.methods import METHODS, Method, MethodSpec, find_method
from vqttt.methods.attempts import Attempt, Outcome
from vqttt.models import load_model
from vqttt.models.base import Generation, Inputs, Model
from vqttt.models.fake import FakeModel, FakeTunableModel
from vqttt.models.generation import NOT_FINITE, LogitGeneration
from vqttt.serving.asked import Asked
from vqttt.serving.engine import Answered, Engine
from vqttt.serving.limits import Limits
from vqttt.serving.refusals import RequestError
from vqttt.serving.replies import completion
from vqttt.types import Image


def asked(image: Image | list[Image] = RED, **more: Any) -> Asked:
    images = image if isinstance(image, list) else [image]
    return Asked(**{"model": "m", "images": images, "question": "what color is it?", "tokens": 4, **more})


@contextmanager
def engine(model: Model | None = None, method: str | MethodSpec = "vq-select", **more: Any) -> Iterator[Engine]:
    spec = find_method(method) if isinstance(method, str) else method
    own = Engine(model or FakeModel(), spec, Limits(), **more)
    yield own
    own.close()


def answered(own: Engine, image: Image | list[Image] = RED, **more: Any) -> Answered:
    return own.answer(asked(image, **more))


def account(own: Engine, image: Image | list[Image] = RED, **more: Any) -> Mapping[str, Any]:
    return answered(own, image, **more).account


def test_the_method_is_the_servers_unless_the_request_names_one() -> None:
    with engine(FakeTunableModel()) as own:
        assert account(own)["method"] == "vq-select"
        for name in ("none", "tta", "likeliest", "vq-ttt", "vq-ttt-episodic", "tent"):
            one = answered(own, method=name)
            assert one.texts == ["red"] and one.account["method"] == name


def test_the_account_says_what_was_done() -> None:
    with engine(method="vq-select") as own:
        certain, uncertain = account(own, RED), account(own, DOUBTFUL)
        plain = account(own, DOUBTFUL, method="none")
        more = account(own, DOUBTFUL, settings={"tries": 3})
    assert certain["looks"] == 1 and certain["entropy_before"] == certain["entropy_after"] < 0.02
    assert certain["before"] == certain["after"] == "red" and not certain["rolled_back"] and not certain["correction"]
    assert uncertain["looks"] == 3 and more["looks"] == 4 and plain["looks"] == 1
    assert plain["entropy_before"] == uncertain["entropy_before"] > 0.5
    assert uncertain["rolled_back"] or uncertain["correction"]
    assert not uncertain["deadline_reached"] and uncertain["failed"] is None and uncertain["stream"] is None
    assert all(0 <= one["seconds"] < 30 for one in (certain, uncertain, plain))


GRADIENTS: list[tuple[str, dict[str, Any], int]] = [
    ("vq-ttt", {}, 2),  # untuned, and by the pass that has the gradient
    ("vq-ttt", {"steps": 3, "afresh": True}, 5),
    ("vq-ttt-episodic", {"steps": 2}, 4),
    ("memo", {"views": 5}, 12),  # untuned, twice each view, and tuned
]


@pytest.mark.parametrize(("method", "settings", "looks"), GRADIENTS)
def test_every_pass_is_a_look_with_gradients_or_without(method: str, settings: dict[str, Any], looks: int) -> None:
    model = FakeTunableModel()
    with engine(model) as own:
        for stream in ("", "a") if method == "vq-ttt" else ("",):
            one = answered(own, DOUBTFUL, method=method, settings=settings, stream=stream)
            (generation,) = one.generations
            assert one.account["looks"] == looks and not one.account["failed"]
            assert isinstance(generation, LogitGeneration) and not generation.logits.requires_grad
            assert generation.texts == one.texts
            assert generation.entropies[0] == pytest.approx(one.account["entropy_after"], abs=1e-5)
    assert not {"generate", "generate_with_gradient", "answer_logits"} & set(vars(model)), "the model is as it was"


@pytest.mark.parametrize("method", ["vq-ttt", "vq-ttt-features", "memo"])
def test_tokens_and_probabilities_are_known_where_gradients_tune(method: str, one_thread: None) -> None:
    model = load_model("embedded")
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    request = asked(noise, method=method, settings={"views": 2} if method == "memo" else {}, alternatives=2)
    with engine(model) as own:
        one = own.answer(request)
    reply = completion(request, one, model)
    assert not one.account["failed"] and one.account["looks"] >= 1
    assert reply["usage"]["prompt_tokens"] > 60 and reply["usage"]["completion_tokens"] >= 1
    tokens = reply["choices"][0]["logprobs"]["content"]
    assert len(tokens) == reply["usage"]["completion_tokens"] and len(tokens[0]["top_logprobs"]) == 2


def test_requests_that_share_a_pass_have_looks_of_their_own(one_thread: None) -> None:
    with engine(FakeTunableModel()) as own:
        method = own._built_for(find_method("vq-ttt-episodic").changed({"steps": 2}), 4)
        found = own._noted(method, [RED, DOUBTFUL, DOUBTFUL], ["what color is it?"] * 3)
    assert [looks.count for _, looks in found] == [4, 4, 4]
    for answer, looks in found:
        kept = looks.of(answer.answer, answer.entropy_after)
        assert kept is not None and kept.entropies[0] == pytest.approx(answer.entropy_after, abs=1e-5)


def test_a_correction_that_is_kept_is_named() -> None:
    with engine() as own:
        found = [account(own, doubtful(seed), settings={"caution": -5.0}) for seed in range(20)]
    kept = [one for one in found if one["correction"]]
    assert kept and all(one["entropy_after"] != one["entropy_before"] and not one["rolled_back"] for one in kept)


def test_answers_are_those_of_the_process() -> None:
    images = [doubtful(seed) for seed in range(12)]
    for name in ("none", "vq-select", "tta", "vq-ttt-episodic"):
        with engine(FakeTunableModel(), name) as own:
            served = [account(own, image) for image in images]
        method = find_method(name).build(FakeTunableModel(), max_new_tokens=4)
        for image, one in zip(images, served, strict=True):
            if name == "vq-ttt-episodic":
                method = find_method(name).build(FakeTunableModel(), max_new_tokens=4)
            inputs, base = method.model.ask([image], ["what color is it?"], 4)
            alone = method.answer(inputs, base, learn=False)[0]
            assert (one["before"], one["after"], one["rolled_back"]) == (
                alone.base_answer,
                alone.answer,
                alone.rolled_back,
            )
            assert one["entropy_after"] == pytest.approx(alone.entropy_after, abs=1e-5)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"method": "vq-selekt"}, "did you mean vq-select"),
    ({"method": "vq-ttt"}, "access to the model's internals"),
    ({"settings": {"gates": 1}}, "has no setting 'gates'"),
    ({"settings": {"tries": "two"}}, "must be a whole number"),
    ({"settings": {"tries": 0}}, "from 1 to"),
    ({"settings": {"gate": 10**400}}, "at most 64"),
    ({"settings": {"gate": -(10**400)}}, "too large"),
    ({"settings": {"start": "/etc/passwd"}}, "leave out start"),
    ({"settings": {"tuned": "/etc/passwd"}}, "leave out tuned"),
    ({"settings": {"corrections": ["gamma", "spandrel:/tmp/weights.pth"]}}, "corrections is a list of these"),
    ({"settings": {"corrections": ["photoshop"]}}, "corrections is a list of these"),
    ({"settings": {"corrections": "gamma"}}, "corrections is a list of these"),
    ({"settings": {"corrections": ["gamma", {}]}}, "corrections is a list of these"),
    ({"method": "tta", "settings": {"corrections": ["gamma"] * 65}}, "too long"),
    ({"method": "tta", "stream": "a"}, "learns nothing along a stream"),
    ({"method": "\ud800"}, "unknown method"),
]
COSTLY: list[tuple[dict[str, Any], str]] = [
    ({"method": "vq-ttt", "settings": {"steps": 1_000_000}}, "steps is at most 64"),
    ({"method": "vq-ttt", "settings": {"adapters": {"lora_rank": 100_000}}}, "lora_rank is at most 64"),
    ({"method": "vq-ttt", "settings": {"clean_features": "/etc/passwd"}}, "leave out clean_features"),
    ({"method": "vq-ttt", "settings": {"objective": "entropy" + "+entropy" * 100}}, "too long"),
    ({"method": "memo", "settings": {"views": 10_000}}, "views is at most 64"),
    ({"method": "vq-ttt", "deadline": 1.0}, "cannot keep a deadline"),
]


@pytest.mark.parametrize(("wishes", "words"), REFUSED)
def test_wishes_that_cannot_be_granted(wishes: dict[str, Any], words: str) -> None:
    with engine() as own, pytest.raises(RequestError, match=words) as caught:
        answered(own, **wishes)
    assert caught.value.status == 400 and caught.value.param == "vqttt"


@pytest.mark.parametrize(("wishes", "words"), COSTLY)
def test_wishes_that_cost_too_much(wishes: dict[str, Any], words: str) -> None:
    with engine(FakeTunableModel()) as own, pytest.raises(RequestError, match=words) as caught:
        answered(own, **wishes)
    assert caught.value.status == 400


def test_a_tuned_method_is_applied_as_it_is(tmp_path: Path) -> None:
    taught = find_method("vq-select").build(FakeModel())
    taught.ask([doubtful(1)], ["what color is it?"])
    taught.save(tmp_path / "tuned.safetensors")  # type: ignore[attr-defined]
    with engine(method=find_method("vq-select").saved(tmp_path / "tuned.safetensors")) as own:
        assert account(own, DOUBTFUL)["method"] == "vq-select"
        for settings in ({"file": "/etc/passwd"}, {"tries": 3}):
            with pytest.raises(RequestError, match="was tuned and is applied as it is"):
                answered(own, settings=settings)
        assert account(own, DOUBTFUL, method="vq-select", settings={"tries": 3})["looks"] == 4
        answered(own, DOUBTFUL, stream="a")
        with own.streams.using("", "a", own.spec.learning()) as method:
            assert method.predictor.tries > taught.predictor.tries  # type: ignore[attr-defined]


def test_a_method_that_the_model_does_not_allow_is_refused_at_the_start() -> None:
    with pytest.raises(InputError, match="access to the model's internals"):
        Engine(FakeModel(), find_method("vq-ttt"), Limits())


def teach(own: Engine, stream: str, method: str, seed: int, owner: str = "") -> Answered:
    return own.answer(asked(doubtful(seed), method=method, stream=stream), owner)


def state(own: Engine, stream: str, method: str, owner: str = "") -> list[torch.Tensor]:
    with own.streams.using(owner, stream, find_method(method)) as learned:
        return learned.learned()


@pytest.mark.parametrize(
    ("model", "method", "other"),
    [
        (FakeModel, "vq-select", "tta"),
        (FakeTunableModel, "vq-ttt", "vq-ttt-episodic"),
        (FakeTunableModel, "lora-only", "none"),
    ],
)
def test_the_state_of_a_stream_is_as_if_it_were_alone(
    model: type[Model], method: str, other: str, one_thread: None
) -> None:
    """Other streams, other keys and requests without a stream, all at the same time, leave not a bit of it changed."""
    with engine(model()) as own, engine(model()) as alone, ThreadPoolExecutor(6) as pool:
        expected = [teach(alone, "camera-7", method, seed, "me") for seed in range(8)]
        ends = threading.Event()

        def others(number: int) -> int:
            done = 0
            while not ends.is_set():
                done += 1
                seed = 1000 * number + done
                teach(own, "camera-7", method, seed, "you")
                teach(own, f"camera-{number}", method, seed, "me")
                own.answer(asked(doubtful(seed), method=method))
                own.answer(asked(doubtful(seed), method=other))
            return done

        busy = [pool.submit(others, number) for number in range(4)]
        found = []
        for seed in range(8):
            found.append(teach(own, "camera-7", method, seed, "me"))
            time.sleep(0.02)
        ends.set()
        assert sum(one.result() for one in busy) > 8
        mine, theirs = state(own, "camera-7", method, "me"), state(own, "camera-7", method, "you")
        assert all(map(torch.equal, mine, state(alone, "camera-7", method, "me")))
    assert not all(
        one.shape == other.shape and torch.equal(one, other) for one, other in zip(mine, theirs, strict=True)
    )
    for one, other in zip(found, expected, strict=True):
        assert one.texts == other.texts
        assert {**one.account, "seconds": 0} == {**other.account, "seconds": 0}
        assert one.account["stream"] == "camera-7"


def test_a_stream_learns_and_requests_without_one_do_not() -> None:
    quick: Mapping[str, Any] = {"method": "vq-ttt", "settings": {"full_step": 1, "lora_rate": 0.05, "guard": False}}
    with engine(FakeTunableModel()) as own:
        first = account(own, doubtful(1), **quick)
        for seed in range(5):
            answered(own, doubtful(seed), stream="a", **quick)
            answered(own, doubtful(seed))
        assert {**account(own, doubtful(1), **quick), "seconds": 0} == {**first, "seconds": 0}
        assert account(own, doubtful(1), stream="a", **quick)["entropy_after"] != first["entropy_after"]
        method = own._built_for(find_method("vq-select"), 4)
        assert method.predictor.tries == 0  # type: ignore[attr-defined]


def test_a_stream_is_saved_and_found_again(tmp_path: Path) -> None:
    for method in ("vq-select", "vq-ttt"):
        with engine(FakeTunableModel(), folder=tmp_path / method) as own:
            for seed in range(4):
                teach(own, "a", method, seed)
            before = state(own, "a", method)
        with engine(FakeTunableModel(), folder=tmp_path / method) as again:
            assert all(map(torch.equal, state(again, "a", method), before))


def test_requests_that_arrive_together_are_one_batch_with_adapters_of_their_own(one_thread: None) -> None:
    sizes, ready = list[int](), threading.Event()
    images = [doubtful(seed) for seed in range(8)]
    with engine(FakeTunableModel(), "vq-ttt-episodic", took=sizes.append) as own:
        alone = [account(own, image) for image in images]
        assert own._passes is not None
        with ThreadPoolExecutor(9) as pool:
            pool.submit(own._passes.alone, ready.wait)
            time.sleep(0.05)
            together = [pool.submit(account, own, image) for image in images]
            while len(own._passes._jobs) < 8:
                time.sleep(0.001)
            ready.set()
            found = [one.result() for one in together]
    assert sizes == [1] * 9 + [8]
    for one, other in zip(found, alone, strict=True):
        assert one["after"] == other["after"] and one["rolled_back"] == other["rolled_back"]
        assert one["entropy_after"] == pytest.approx(other["entropy_after"], abs=1e-5)
    assert len({one["entropy_after"] for one in found}) == 8


class SlowModel(FakeModel):
    """Takes a tenth of a second for each pass."""

    def answer(self, images: Sequence[Any], questions: Sequence[str], max_new_tokens: int) -> Generation:
        time.sleep(0.1)
        return super().answer(images, questions, max_new_tokens)


def test_a_deadline_returns_the_best_answer_so_far() -> None:
    with engine(SlowModel()) as own:
        whole = account(own, DOUBTFUL, method="tta")
        assert whole["looks"] == 12 and not whole["deadline_reached"]
        cut = answered(own, DOUBTFUL, method="tta", deadline=0.55)
        assert 2 <= cut.account["looks"] <= 6 and cut.account["deadline_reached"]
        assert cut.texts[0] and cut.account["seconds"] < 0.9
        for late in (0.001, 0.12):
            one = account(own, DOUBTFUL, deadline=late)
            assert one["looks"] == 1 and one["deadline_reached"] and one["before"] == one["after"]
        generous = account(own, DOUBTFUL, deadline=30)
        assert generous["looks"] == 3 and not generous["deadline_reached"]
        assert account(own, RED, deadline=0.001)["deadline_reached"] is False, "it wanted no other look"


def test_a_deadline_counts_from_the_arrival() -> None:
    with engine(SlowModel()) as own:
        answered(own, DOUBTFUL)
        waited = own.answer(asked(DOUBTFUL, deadline=5.0), began=time.monotonic() - 4.95).account
    assert waited["looks"] == 1 and waited["deadline_reached"] and waited["seconds"] > 4.95


def test_where_no_time_is_left_no_image_is_corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    corrected = list[str]()
    monkeypatch.setattr("vqttt.methods.vq_select.corrected", lambda shown, name: corrected.append(name))
    with engine(SlowModel()) as own:
        assert account(own, DOUBTFUL, deadline=0.001)["deadline_reached"] and not corrected


class Broken(Method):
    """A method whose attempts fail in the way that its subclass says."""

    needs = Model

    def attempts(self, inputs: Inputs, base: Any, *, learn: bool = True) -> list[Attempt]:
        raise KeyError("weights")


class NotFinite(Broken):
    def attempts(self, inputs: Inputs, base: Any, *, learn: bool = True) -> list[Attempt]:
        count = inputs.count
        outcome = Outcome(texts=["nonsense"] * count, confidences=[nan] * count, entropies=[nan] * count)
        return [Attempt(how=["by chance"] * count, inputs=inputs, outcome=outcome)]


class Inside(Broken):
    """One that needs the model's internals, and spoils them for nobody else."""

    needs = FakeTunableModel


@pytest.mark.parametrize("kind", [Broken, Inside])
def test_a_method_that_raises_serves_the_untuned_answer(kind: type[Method]) -> None:
    with engine(FakeTunableModel(), MethodSpec(kind)) as own:
        for image, color in ((RED, "red"), (GREEN, "green")):
            one = answered(own, image)
            assert one.texts == [color] and not one.error
            assert one.account["failed"] == "KeyError: 'weights'" and one.account["rolled_back"]
            assert one.account["correction"] is None and one.account["before"] == one.account["after"] == color
        assert account(own, BLUE, method="none")["failed"] is None


def test_a_method_without_finite_numbers_serves_the_untuned_answer() -> None:
    with engine(method=MethodSpec(NotFinite)) as own:
        one = answered(own, BLUE)
    assert one.texts == ["blue"] and one.account["rolled_back"] and not one.error


class Unsound(FakeTunableModel):
    """Its numbers are not finite once an image is brighter than most, as after a correction."""

    def answer_logits(self, inputs: Inputs, answers: torch.Tensor | None = None) -> torch.Tensor:
        bright = inputs.tensors["pixel_values"].mean((1, 2, 3)) > -0.2
        return super().answer_logits(inputs, answers).masked_fill(bright[:, None, None], nan)


def test_corrections_that_make_the_model_fail_are_left_alone() -> None:
    wishes: Mapping[str, Any] = {"settings": {"corrections": ["brighten", "brighten-more"], "caution": -9.0}}
    with engine(Unsound()) as own:
        for seed in range(5):
            one = answered(own, doubtful(seed), **wishes)
            assert one.account["looks"] == 3 and one.account["rolled_back"] and one.texts == [one.account["before"]]
            assert not one.error and one.account["entropy_after"] == one.account["entropy_before"]


def test_without_an_untuned_answer_there_is_none() -> None:
    with engine(Unsound()) as own:
        assert answered(own, np.full((24, 24, 3), 250, np.uint8)).error == NOT_FINITE
        assert answered(own, RED).texts == ["red"]


def test_several_images_and_none() -> None:
    with engine() as own:
        assert answered(own, [RED, RED, GREEN]).texts == ["red"]
        assert answered(own, []).texts == ["no"]
        assert account(own, [DOUBTFUL, DOUBTFUL])["looks"] == 3


def test_choices_are_all_the_same_without_a_draw() -> None:
    with engine() as own:
        one = answered(own, choices=3)
        assert one.texts == ["red"] * 3 and len(one.generations) == 3 and one.account["looks"] == 1


def test_a_draw_is_one_and_the_seed_decides_it(one_thread: None) -> None:
    image = sample_images(1)[0]
    with engine(tiny_llava(), "none") as own:
        greedy = answered(own, image, tokens=3)

        def drawn(**more: Any) -> list[str]:
            return answered(own, image, **{"tokens": 3, "temperature": 1.0, "choices": 8, **more}).texts

        first = drawn(seed=1)
        assert len({*first}) > 2 and first == drawn(seed=1)
        assert drawn(seed=2)[:7] == drawn(seed=1)[1:], "each choice has the next seed"
        assert drawn(seed=100) != first
        assert set(drawn(temperature=1e-4)) == {*greedy.texts}
        torch.manual_seed(5)
        before = torch.random.get_rng_state()
        one = answered(own, image, temperature=1.0, seed=3)
        assert torch.equal(torch.random.get_rng_state(), before), "nobody else's random numbers change"
        assert one.account["looks"] == 1 and one.account["method"] == "none" and one.account["seconds"] >= 0
        assert one.generations[0] is not None and one.generations[0].prompt_tokens[0] > 5
        other = drawn(method="vq-select")
        assert other == [other[0]] * 8, "only the method none draws"


def test_a_model_that_cannot_draw_says_so() -> None:
    with engine(method="none") as own, pytest.raises(RequestError, match="answers greedily only") as caught:
        answered(own, temperature=0.5)
    assert caught.value.param == "temperature" and caught.value.status == 400


def test_methods_are_built_once_and_not_without_end() -> None:
    with engine() as own:
        one = own._built_for(find_method("vq-select"), 4)
        assert own._built_for(find_method("vq-select"), 4) is one
        for tokens in range(100, 200):
            answered(own, tokens=tokens)
        assert len(own._built) == 64


def test_many_threads_get_the_answers_of_one() -> None:
    images = [doubtful(seed) for seed in range(40)]
    works: list[Callable[[Engine], Mapping[str, Any]]] = [
        lambda own, n=n: account(own, images[n], method=("none", "vq-select", "tta")[n % 3])  # type: ignore[misc]
        for n in range(40)
    ]
    with engine() as one, engine() as many, ThreadPoolExecutor(16) as pool:
        alone = [work(one) for work in works]
        found = list(pool.map(lambda work: work(many), works))
    assert [{**one, "seconds": 0} for one in found] == [{**one, "seconds": 0} for one in alone]


def test_another_packages_method_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS._entries, "broken", MethodSpec(Broken))
    with engine() as own:
        assert account(own, method="broken")["failed"]
