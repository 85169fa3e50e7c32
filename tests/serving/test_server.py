"""The server over HTTP, read by the package `openai`: what clients send, and what they get."""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import exp, log
from typing import Any

import openai
import pytest

from tests.support.serving import (
    BLUE,
    DOUBTFUL,
    GREEN,
    RED,
    GatedModel,
    ask,
    body,
    client,
    doubtful,
    get,
    post,
    server_in_process,
)
from tests.support.small_models import sample_images, tiny_llava
from vqttt.methods import find_method
from vqttt.models.fake import FakeModel, FakeTunableModel
from vqttt.serving.app import Server
from vqttt.serving.limits import Limits


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, Server]]:
    with server_in_process(FakeTunableModel()) as both:
        yield both


@pytest.fixture
def url(running: tuple[str, Server]) -> str:
    return running[0]


def test_the_openai_package_reads_the_reply(url: str) -> None:
    reply = ask(client(url), RED, logprobs=True, top_logprobs=5, max_tokens=4)
    (choice,) = reply.choices
    assert choice.message.content == "red" and choice.message.role == "assistant"
    assert choice.finish_reason == "stop" and choice.index == 0
    assert reply.object == "chat.completion" and reply.model == "default" and reply.id.startswith("chatcmpl-")
    assert abs(reply.created - time.time()) < 60
    (token,) = choice.logprobs.content
    alone = FakeTunableModel().answer([RED], ["what color is it?"], 4)
    assert token.token == "red" and token.logprob == pytest.approx(alone.token_logprobs[0][0], abs=1e-5)
    shares = [exp(one.logprob) for one in token.top_logprobs]
    assert len(shares) == 5 and sum(shares) == pytest.approx(1)
    assert -sum(p * log(p) for p in shares) == pytest.approx(alone.entropies[0], abs=1e-5)
    assert reply.usage.completion_tokens == 1 and reply.usage.total_tokens == reply.usage.prompt_tokens + 1
    assert reply.vqttt["method"] == "vq-select" and reply.vqttt["looks"] >= 1


def test_the_reply_says_what_was_done(url: str) -> None:
    wishes = {"method": "vq-select", "tries": 2, "stream": "camera-7"}
    said = ask(client(url), DOUBTFUL, vqttt=wishes).vqttt
    method = find_method("vq-select").build(FakeTunableModel(), max_new_tokens=1024)
    alone = method.ask([DOUBTFUL], ["what color is it?"])[0]
    assert said.pop("seconds") > 0
    assert said == {
        "method": "vq-select",
        "stream": "camera-7",
        "before": alone.base_answer,
        "after": alone.answer,
        "entropy_before": pytest.approx(alone.entropy_before, abs=1e-5),
        "entropy_after": pytest.approx(alone.entropy_after, abs=1e-5),
        "looks": 3,
        "rolled_back": alone.rolled_back,
        "correction": alone.how or None,
        "failed": None,
        "deadline_reached": False,
    }


def test_streaming(url: str) -> None:
    own = client(url)
    whole = ask(own, RED, n=2, logprobs=True, top_logprobs=2)
    chunks = list(
        ask(own, RED, n=2, logprobs=True, top_logprobs=2, stream=True, stream_options={"include_usage": True})
    )
    texts = {0: "", 1: ""}
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == {0: "red", 1: "red"}
    assert chunks[-1].usage == whole.usage and not chunks[-1].choices
    ends = [choice for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert [(one.index, one.finish_reason) for one in ends] == [(0, "stop"), (1, "stop")]
    (listed,) = [c.logprobs for chunk in chunks for c in chunk.choices if c.index == 1 and c.logprobs]
    assert listed.content == whole.choices[0].logprobs.content
    assert next(c for c in chunks if c.choices and c.choices[0].finish_reason).vqttt["method"] == "vq-select"
    plain = list(ask(own, RED, stream=True))
    assert plain and not any(chunk.usage for chunk in plain)


def test_several_choices_and_a_limit(url: str) -> None:
    reply = ask(client(url), GREEN, n=3, max_tokens=1)
    assert [(c.index, c.message.content, c.finish_reason) for c in reply.choices] == [
        (n, "green", "length") for n in range(3)
    ]


def test_a_draw(one_thread: None) -> None:
    image = sample_images(1)[0]
    with server_in_process(tiny_llava(), "vq-select") as (url, _):
        own, none = client(url), {"method": "none"}

        def drawn(**more: Any) -> list[str]:
            given = {"n": 8, "max_tokens": 3, "temperature": 1.0, "seed": 4, "vqttt": none, **more}
            return [choice.message.content for choice in ask(own, image, **given).choices]

        first = drawn()
        assert len({*first}) > 2 and drawn() == first != drawn(seed=90)
        assert len({*drawn(vqttt=None)}) == 1 and len({*drawn(temperature=0)}) == 1
        one = ask(own, image, temperature=1.0, seed=4, vqttt=none, max_tokens=3, logprobs=True)
        assert one.choices[0].message.content == first[0] and one.usage.prompt_tokens > 5
        assert one.usage.completion_tokens == len(one.choices[0].logprobs.content) <= 3
        with pytest.raises(openai.BadRequestError, match="tokens, images included, and the model takes"):
            ask(own, image, text="red " * 5000)


def test_a_model_that_cannot_draw_says_so(url: str) -> None:
    with pytest.raises(openai.BadRequestError, match="answers greedily only"):
        ask(client(url), RED, temperature=0.7, vqttt={"method": "none"})


def test_models_and_names(url: str) -> None:
    (model,) = client(url).models.list().data
    assert model.id == "fake"
    assert ask(client(url), RED, model="fake").model == "fake"
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt-4'; it is 'fake'") as caught:
        ask(client(url), RED, model="gpt-4")
    assert caught.value.code == "model_not_found" and caught.value.param == "model"


def test_health(url: str) -> None:
    status, text = get(url.removesuffix("/v1") + "/healthz")
    assert status == 200 and json.loads(text) == {"status": "ok", "model": "fake", "method": "vq-select"}


def number(text: str, name: str) -> float:
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def test_metrics() -> None:
    with server_in_process(FakeModel()) as (url, _):
        own = client(url)
        for image in (RED, DOUBTFUL, DOUBTFUL):
            ask(own, image, vqttt={"stream": "a"})
        ask(own, DOUBTFUL, vqttt={"deadline_ms": 0.001})
        post(url, body(n=99))
        status, text = get(url.removesuffix("/v1") + "/metrics")
        assert status == 200 and "# TYPE vqttt_request_seconds histogram" in text
        assert number(text, 'vqttt_requests_total{status="200"}') == 4
        assert number(text, 'vqttt_requests_total{status="400"}') == 1
        assert number(text, 'vqttt_looks_total{method="vq-select"}') == 1 + 3 + 3 + 1
        assert number(text, 'vqttt_deadlines_total{method="vq-select"}') == 1
        assert number(text, 'vqttt_request_seconds_count{method="vq-select"}') == 4
        assert number(text, "vqttt_pass_size_count") == number(text, "vqttt_pass_size_sum") == 8
        assert number(text, "vqttt_streams ") == 1 and number(text, "vqttt_waiting ") == 0
        assert number(text, "vqttt_own_seconds_count") == 4


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/nothing", 404),
        ("POST", "/", 404),
        ("GET", "/docs", 404),
        ("GET", "/openapi.json", 404),
    ],
)
def test_what_is_not_there_is_an_error_in_openais_form(url: str, method: str, path: str, status: int) -> None:
    request = urllib.request.Request(url.removesuffix("/v1") + path, method=method)
    with pytest.raises(urllib.request.HTTPError) as caught, urllib.request.urlopen(request):
        pass
    with caught.value as error:
        said = json.load(error)["error"]
        assert error.code == status and said["type"] == "invalid_request_error" and said["message"]
        assert status != 405 or error.headers["Allow"] in ("POST", "GET")


def test_errors_are_those_that_the_openai_package_knows(url: str) -> None:
    own = client(url)
    with pytest.raises(openai.BadRequestError, match=r"n is at most 8, not 9") as caught:
        ask(own, RED, n=9)
    assert caught.value.param == "n" and caught.value.type == "invalid_request_error"
    with pytest.raises(openai.BadRequestError, match="did you mean vq-select"):
        ask(own, RED, vqttt={"method": "vq-selec"})
    with pytest.raises(openai.BadRequestError, match="not fetched from URLs"):
        ask(own, "https://example.org/a.png")


KEYS = ("sk-first-client", "sk-second-client")


def test_keys_and_their_streams() -> None:
    with server_in_process(FakeModel(), keys=KEYS) as (url, server):
        first, second = (client(url, key) for key in KEYS)
        for key in ("none", KEYS[0] + "x", KEYS[0][:-1]):
            with pytest.raises(openai.AuthenticationError, match="wants an API key"):
                ask(client(url, key), RED)
            with pytest.raises(openai.AuthenticationError):
                client(url, key).models.list()
        assert first.models.list().data
        base = url.removesuffix("/v1")
        assert get(f"{base}/healthz")[0] == 200 and get(f"{base}/metrics")[0] == 401
        assert get(f"{base}/metrics", {"Authorization": f"Bearer {KEYS[0]}"})[0] == 200
        status, said, headers = post(url, b"{" * 10_000)
        assert status == 401 and headers["www-authenticate"] == "Bearer" and "key" in said["error"]["message"]
        for seed in range(3):
            ask(first, doubtful(seed), vqttt={"stream": "camera-7"})
        assert len(server.engine.streams) == 1
        ask(second, doubtful(0), vqttt={"stream": "camera-7"})
        assert len(server.engine.streams) == 2
        tries = []
        for key in KEYS:
            owner = server.settings.keys.owner(f"Bearer {key}")
            assert owner
            with server.engine.streams.using(owner, "camera-7", find_method("vq-select")) as method:
                tries.append(method.predictor.tries)  # type: ignore[attr-defined]
        assert tries[0] > tries[1] > 0


def test_a_full_queue_is_said_with_a_time_to_wait() -> None:
    model = GatedModel()
    with server_in_process(model, "none", limits=Limits(queue=3)) as (url, server), ThreadPoolExecutor(3) as pool:
        model.gate.clear()
        waiting = [pool.submit(ask, client(url), image) for image in (RED, GREEN, BLUE)]
        while server.waiting < 3:
            time.sleep(0.01)
        status, said, headers = post(url, body(RED))
        assert status == 429 and said["error"]["code"] == "queue_full" and int(headers["retry-after"]) >= 1
        with pytest.raises(openai.RateLimitError):
            ask(client(url), RED)
        assert get(url.removesuffix("/v1") + "/healthz")[0] == 200, "health does not wait"
        model.gate.set()
        assert [one.result().choices[0].message.content for one in waiting] == ["red", "green", "blue"]
        assert ask(client(url), RED).choices[0].message.content == "red"
        patient = client(url, retries=5)
        model.gate.clear()
        waiting = [pool.submit(ask, client(url), image) for image in (RED, GREEN, BLUE)]
        while server.waiting < 3:
            time.sleep(0.01)
        threading.Timer(0.2, model.gate.set).start()
        assert ask(patient, GREEN).choices[0].message.content == "green", "the package waits and tries again"


def test_limits_of_a_request() -> None:
    limits = Limits(body=100_000, images=2, pixels=2000, prompt=50, tokens=2)
    with server_in_process(FakeModel(), "none", limits=limits) as (url, _):
        own = client(url)
        for images, text, words in (
            ([RED] * 3, "a?", "at most 2 images"),
            ([doubtful(0, 50)], "a?", "million pixels"),
            ([RED], "a" * 51, "51 characters"),
        ):
            with pytest.raises(openai.BadRequestError, match=words):
                ask(own, *images, text=text)
        with pytest.raises(openai.APIStatusError, match="at most 100,000 bytes") as caught:
            ask(own, RED, text="a" * 200_000)
        assert caught.value.status_code == 413
        assert ask(own, RED, max_tokens=500).choices[0].message.content == "red"


def test_a_body_that_is_much_too_large_is_refused_where_the_client_hears_it() -> None:
    with server_in_process(FakeModel(), "none", limits=Limits(body=1_000_000)) as (url, _):
        for _ in range(3):
            with pytest.raises(openai.APIStatusError) as caught:
                ask(client(url), RED, text="a" * 20_000_000)
            assert caught.value.status_code == 413
        assert ask(client(url), RED).choices[0].message.content == "red"


def test_sixty_four_clients_get_the_answers_that_they_would_get_alone() -> None:
    images = [doubtful(seed) for seed in range(64)]
    methods = ("none", "vq-select", "tta", "vq-ttt-episodic")

    def answer(url: str, n: int) -> tuple[Any, ...]:
        """Three questions of one client, the last two in a stream of its own."""
        own, said = client(url), []
        for step in range(3):
            wishes = {"method": "vq-select", "stream": f"client {n}"} if step else {"method": methods[n % 4]}
            reply = ask(own, images[(n + 7 * step) % 64], vqttt=wishes)
            done = reply.vqttt
            # How many passes an episode takes depends on the batch before it, its answer does not.
            looks = done["looks"] if done["method"] != "vq-ttt-episodic" else None
            said.append((reply.choices[0].message.content, done["before"], looks, done["rolled_back"]))
            said.append(pytest.approx((done["entropy_before"], done["entropy_after"]), abs=1e-4))
        return tuple(said)

    with server_in_process(FakeTunableModel()) as (url, _), ThreadPoolExecutor(64) as pool:
        found = list(pool.map(lambda n: answer(url, n), range(64)))
    with server_in_process(FakeTunableModel()) as (url, _):
        for n in range(0, 64, 7):
            alone = answer(url, n)
            assert [one if isinstance(one, tuple) else one.expected for one in alone] == list(found[n])
