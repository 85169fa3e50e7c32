"""A model behind a server: what is asked of it, what comes back, and everything that can go wrong on the way."""

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from math import exp, isnan, log

import numpy as np
import pytest
from PIL import Image as PILImage

from tests.support.servers import chat_server, counts
from vqttt.errors import InputError, RequestsSpentError, ServerError
from vqttt.methods import find_method
from vqttt.models import ServedOptions, load_model
from vqttt.models.answering import Asked, answer_untuned
from vqttt.models.served.circuit import Circuit
from vqttt.models.served.messages import data_url
from vqttt.models.served.model import ServedModel
from vqttt.models.served.options import redacted
from vqttt.models.usage import Usage

pytestmark = pytest.mark.usefixtures("no_server_environment")
NAME = "openai:colors"


def image_of(*levels: int) -> np.ndarray:
    return np.full((20, 30, 3), levels, np.uint8)


RED, GREEN = image_of(200, 10, 10), image_of(10, 90, 50)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with chat_server() as running:
        yield running


def served(url: str, **options: int) -> ServedModel:
    model = load_model(NAME, served=ServedOptions(base_url=url, **options))
    assert isinstance(model, ServedModel)
    return model


def decoded(url: str) -> np.ndarray:
    return np.array(PILImage.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def test_answers_come_with_their_probabilities(url: str) -> None:
    model = served(url)
    answers = model.answer([RED, GREEN, []], ["what color?", "which?", "and without an image?"], 8)
    assert answers.texts == ["red", "green", "none"] and model.certain
    for n, image in enumerate((RED, GREEN)):
        levels = image.mean((0, 1)) / 32
        shares = np.exp(levels - np.logaddexp.reduce(levels))
        assert answers.confidences[n] == pytest.approx(shares.max())
        assert answers.entropies[n] == pytest.approx(-sum(p * log(p) for p in shares), abs=1e-6)
        assert exp(answers.shown[n][0][1]["blue"]) == pytest.approx(shares[2])
    assert model.usage == Usage(requests=3, prompt_tokens=40, answer_tokens=3)


def test_several_images_go_in_order(url: str) -> None:
    assert served(url).answer([[GREEN, RED]], ["the first?"], 4).texts == ["green"]


def test_an_image_is_sent_pixel_by_pixel_or_made_smaller() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decoded(data_url(noise)), noise)
    small = decoded(data_url(noise, max_pixels=500))
    assert small.shape[0] * small.shape[1] <= 500 and small.shape[1] / small.shape[0] == pytest.approx(53 / 37, rel=0.1)
    np.testing.assert_array_equal(decoded(data_url(noise, max_pixels=37 * 53)), noise)


def test_requests_run_at_the_same_time_but_not_more_than_allowed() -> None:
    with chat_server() as own:
        model = served(own, concurrency=5)
        model.answer([RED] * 40, ["what color? [slow*50]"] * 40, 4)
        assert 2 <= counts(own)["most"] <= 5


@pytest.mark.parametrize("fault", ["429", "500", "503", "truncated", "close", "empty"])
def test_a_fault_that_passes_leaves_no_trace(url: str, fault: str) -> None:
    answers = served(url).answer([RED, GREEN], [f"{fault}? [{fault}*1]", "which?"], 4)
    assert answers.texts == ["red", "green"] and answers.errors == ["", ""]


@pytest.mark.parametrize(
    ("fault", "word"), [("500", "500 as ordered"), ("400", "400"), ("html", ""), ("truncated", "")]
)
def test_a_request_that_fails_for_good_marks_its_sample(url: str, fault: str, word: str) -> None:
    model = served(url)
    asked = {
        "a": Asked(shown=RED, text=f"for good [{fault}*99]"),
        "b": Asked(shown=GREEN, text="which?"),
    }
    before = counts(url)["seen"].get("which?", 0)
    answered, errors = answer_untuned(asked, model, 4)
    assert answered is not None and answered[1].texts == ["green"] and answered[0].count == 1
    assert list(errors) == ["a"] and word in errors["a"] and "server" in errors["a"]
    assert counts(url)["seen"]["which?"] == before + 1, "the others are not asked again"


def test_a_failed_try_keeps_the_untuned_answer(url: str) -> None:
    model = served(url)
    method = find_method("vq-select").build(model)
    images = [image_of(90, 80, 85), image_of(60, 80, 85)]
    inputs, base = model.ask(images, ["what color? [500*0]", "tries fail [500*0]"], 4)
    model.client.ask = lambda messages, most, **more: served_failure()  # type: ignore[method-assign]
    answers = method.answer(inputs, base)
    assert [answer.answer for answer in answers] == ["red", "blue"] and all(answer.rolled_back for answer in answers)


def served_failure():
    from vqttt.models.served.replies import Reply

    return Reply(failure="the server gave no answer: as the test wants it")


def test_a_try_that_fails_teaches_nothing(url: str) -> None:
    model, sent = served(url), []
    method = find_method("vq-select").build(model)
    inputs, base = model.ask([image_of(90, 80, 85)], ["what color? [500*0]"], 4)
    answer = model.client.ask

    def first_fails(messages, most, **more):
        sent.append(messages)
        return served_failure() if len(sent) == 1 else answer(messages, most, **more)

    model.client.ask = first_fails  # type: ignore[method-assign]
    method.answer(inputs, base)
    assert len(sent) == 2 and sum(len(known.gained) for known in method.predictor.experience) == 1


def test_a_hanging_server_is_given_up(url: str) -> None:
    model = served(url, timeout=1)
    began = time.monotonic()
    assert model.answer([RED], ["hanging [hang*1]"], 4).texts == ["red"]
    assert 1 <= time.monotonic() - began < 10


def test_a_server_that_keeps_failing_ends_the_run(url: str) -> None:
    model = served(url)
    questions = [f"down {n} [500*99]" for n in range(20)]
    with pytest.raises(ServerError, match=r"failed 8 times in a row, last with: .*500 as ordered"):
        model.answer([RED] * 20, questions, 4)
    with pytest.raises(ServerError, match="8 times in a row"):
        model.answer([RED], ["what color?"], 4)


def test_an_open_circuit_lets_one_request_through_after_a_pause() -> None:
    now = [0.0]
    circuit = Circuit(limit=2, pause=5, clock=lambda: now[0])
    circuit.failed("once")
    circuit.succeeded()
    circuit.failed("once")
    circuit.check()
    with pytest.raises(ServerError, match="again"):
        circuit.failed("again")
    with pytest.raises(ServerError, match="again"):
        circuit.check()
    now[0] = 5
    circuit.check()
    with pytest.raises(ServerError):
        circuit.check()
    circuit.succeeded()
    circuit.check()


def test_without_probabilities_the_answers_are_there_and_their_numbers_are_not() -> None:
    with chat_server("--no-logprobs") as own:
        model = served(own)
        assert not model.certain and "logprobs" not in model.fingerprint()
        answers = model.answer([RED], ["what color?"], 4)
        assert answers.texts == ["red"] and answers.errors == [""]
        assert isnan(answers.confidences[0]) and isnan(answers.entropies[0])
        assert find_method("none").build(model).ask([RED], ["what color?"])[0].answer == "red"
        for name in ("vq-select", "tta", "likeliest"):
            with pytest.raises(InputError, match=r"needs the probabilities .* such as none"):
                find_method(name).build(model)
        with pytest.raises(InputError, match="access to the model's internals"):
            find_method("vq-ttt").build(model)


@pytest.mark.parametrize("parameter", ["seed", "temperature", "max_tokens", "logprobs", "top_logprobs"])
def test_a_parameter_that_the_server_refuses_is_left_out(parameter: str) -> None:
    with chat_server("--refuse", parameter) as own:
        model = served(own)
        assert model.answer([RED], ["what color?"], 4).texts == ["red"]
        assert parameter not in json.loads(model.fingerprint())
        assert model.certain == (parameter not in ("logprobs", "top_logprobs"))


def test_the_identity_has_no_secrets_and_what_decides_the_answers(url: str) -> None:
    given = url.replace("http://", "http://someone:hush@")
    found = json.loads(served(given, max_pixels=5000, concurrency=3).fingerprint())
    assert found == {
        "served": "colors-2026",
        "url": url,
        "max_pixels": 5000,
        "temperature": 0,
        "seed": 0,
        "logprobs": True,
        "top_logprobs": 20,
    }


def test_a_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with chat_server("--key", "sk-right-one") as own:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-right-one")
        assert served(own).answer([RED], ["what color?"], 4).texts == ["red"]
        monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-one")
        with pytest.raises(ServerError, match="does not accept the key in OPENAI_API_KEY") as caught:
            served(own)
        assert "sk-wrong" not in str(caught.value) and "sk-wrong" not in repr(caught.value.__cause__)


def test_credentials_are_taken_out_of_what_is_shown() -> None:
    assert redacted("--base-url=https://me:pass@host:8000/v1?token=abc") == "--base-url=https://host:8000/v1"
    assert redacted("jsonl:questions.jsonl") == "jsonl:questions.jsonl"
    assert redacted("--base-url=HTTP://me:se cret@h/v1") == "--base-url=HTTP://h/v1".replace("HTTP", "http")
    options = ServedOptions(base_url="https://me:pass@host/v1", concurrency=4)
    assert options.described() == {"base_url": "https://host/v1"}


def test_credentials_of_a_resumed_run_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://me:pass@host/v1")
    assert ServedOptions(base_url="https://host/v1").url() == "https://me:pass@host/v1"
    assert ServedOptions(base_url="https://other/v1").url() == "https://other/v1"
    assert ServedOptions().url() == "https://me:pass@host/v1"


def test_an_allowance_is_spent_by_whole_batches(url: str) -> None:
    model = served(url, max_requests=5)
    model.answer([RED] * 3, ["what color?"] * 3, 4)
    with pytest.raises(
        RequestsSpentError, match="--max-requests 5 is reached: 2 are left, and the next batch may need 3"
    ):
        model.answer([RED] * 3, ["what color?"] * 3, 4)
    assert model.usage.requests == 3
    assert model.answer([RED] * 2, ["what color?"] * 2, 4).texts == ["red", "red"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"base_url": "localhost:8000"}, "is not the URL of a server"),
        ({"base_url": "ftp://host/v1"}, "is not the URL of a server"),
        ({"base_url": "http://me:pass@:99999/v1"}, "is not the URL of a server"),
        ({"base_url": "http://me:12/pass@host/v1"}, "is not the URL of a server"),
        ({"concurrency": 0}, "concurrency must be at least 1"),
        ({"timeout": -1}, "timeout must be at least 1"),
        ({}, "needs --base-url"),
    ],
)
def test_options_that_cannot_be_used(given: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_model(NAME, served=ServedOptions(**given))
    assert "pass" not in str(caught.value)


def test_names_and_options_that_do_not_go_together(url: str) -> None:
    from vqttt.models import LoadOptions

    with pytest.raises(InputError, match="takes no load options"):
        load_model(NAME, LoadOptions(dtype="float32"), ServedOptions(base_url=url))
    with pytest.raises(InputError, match="is not behind a server"):
        load_model("fake", served=ServedOptions(base_url=url))
    with pytest.raises(InputError, match="needs the name"):
        load_model("openai:", served=ServedOptions(base_url=url))
    with pytest.raises(ServerError, match=r"has no such model \(colours\); it has colors"):
        load_model("openai:colours", served=ServedOptions(base_url=url))


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(ServerError, match=r"http://127.0.0.1:9/v1 cannot be asked: .*[Cc]onnect"):
        served("http://127.0.0.1:9/v1", timeout=2)


def test_several_threads_may_ask(url: str) -> None:
    model, found = served(url), list[str]()

    def ask(image: np.ndarray, color: str) -> None:
        for n in range(5):
            texts = model.answer([image] * 4, [f"thread {color} {n}"] * 4, 4).texts
            found.extend(text for text in texts if text != color)

    threads = [threading.Thread(target=ask, args=given) for given in ((RED, "red"), (GREEN, "green")) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not found and model.usage.requests == 6 * 20
