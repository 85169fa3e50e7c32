"""In front of a served model: what reaches it, what comes back, and what happens when it fails."""

import base64
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import openai
import pytest
from PIL import Image as PILImage

from tests.support.servers import CHAT_SERVER, bodies, chat_server, counts, vqttt_server
from tests.support.serving import (
    BLUE,
    DOUBTFUL,
    GREEN,
    RED,
    ask,
    body,
    client,
    doubtful,
    part,
    post,
    server_in_process,
    user,
)
from vqttt.errors import InputError
from vqttt.methods import VQSelect, find_method
from vqttt.methods.corrected import corrected
from vqttt.models import ServedOptions, load_model
from vqttt.models.base import Model
from vqttt.models.fake import FakeTunableModel
from vqttt.models.served.circuit import LIMIT
from vqttt.types import Image

pytestmark = pytest.mark.usefixtures("no_server_environment")


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with chat_server() as running:
        yield running


def served(upstream: str, name: str = "colors", **options: int) -> Model:
    return load_model(f"openai:{name}", served=ServedOptions(base_url=upstream, **{"concurrency": 64, **options}))


@pytest.fixture
def url(upstream: str) -> Iterator[str]:
    with server_in_process(served(upstream)) as (running, _):
        yield running


def decoded(part: dict[str, Any]) -> Image:
    content = base64.b64decode(part["image_url"]["url"].partition(",")[2])
    return np.array(PILImage.open(io.BytesIO(content)))


def latest(upstream: str, question: str) -> list[dict[str, Any]]:
    """The requests that ended with a question, the oldest first."""
    found = []
    for sent in bodies(upstream):
        content = sent["messages"][-1]["content"]
        texts = [content] if isinstance(content, str) else [one["text"] for one in content if one["type"] == "text"]
        found += [sent] if texts[-1:] == [question] else []
    return found


def test_a_conversation_reaches_the_model_as_it_is_with_corrected_images_in_their_places(
    url: str, upstream: str
) -> None:
    first, second = doubtful(1), doubtful(2)
    messages: list[Any] = [
        {"role": "system", "content": "Be brief."},
        user(first, text="what is on it?"),
        {"role": "assistant", "content": "a color"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "compare"}, part(second), {"type": "text", "text": "now"}],
        },
    ]
    more = {"top_p": 0.25, "stop": ["!"], "presence_penalty": 0.5}
    unknown = {"chat_template_kwargs": {"thinking": False}, "top_k": 7, "vqttt": {"tries": 2}}
    reply = client(url).chat.completions.create(
        model="fake", messages=messages, max_tokens=9, seed=3, extra_body=unknown, **more
    )
    assert reply.vqttt["looks"] == 3 and reply.choices[0].message.content
    sent = latest(upstream, "now")
    assert len(sent) == 3
    shown = []
    for one in sent:
        assert {name: one[name] for name in more} == more
        assert one["chat_template_kwargs"] == {"thinking": False} and one["top_k"] == 7 and "vqttt" not in one
        assert one["max_tokens"] == 9 and one["temperature"] == 0 and one["top_logprobs"] == 20
        roles = [(message["role"], message["content"]) for message in one["messages"]]
        assert roles[0] == ("system", "Be brief.") and roles[2] == ("assistant", "a color")
        assert [name for name, _ in roles] == ["system", "user", "assistant", "user"]
        kinds = [[inner.get("text", "image") for inner in content] for _, content in (roles[1], roles[3])]
        assert kinds == [["image", "what is on it?"], ["compare", "image", "now"]]
        shown.append((decoded(roles[1][1][0]), decoded(roles[3][1][1])))
    np.testing.assert_array_equal(shown[0][0], first)
    np.testing.assert_array_equal(shown[0][1], second)
    names = VQSelect.default_config.corrections
    for one in shown[1:]:
        assert any(
            np.array_equal(one[0], corrected(first, name)) and np.array_equal(one[1], corrected(second, name))
            for name in names
        ), "both images are corrected alike"
        assert not np.array_equal(one[0], first)


def test_a_question_in_plain_text_stays_one(url: str, upstream: str) -> None:
    reply = client(url).chat.completions.create(model="fake", messages=[{"role": "user", "content": "in plain text"}])
    assert reply.choices[0].message.content == "none"
    (sent,) = latest(upstream, "in plain text")
    assert sent["messages"] == [{"role": "user", "content": "in plain text"}]


def test_an_image_alone_is_a_question_there(url: str, upstream: str) -> None:
    status, said, _ = post(url, {"model": "fake", "messages": [{"role": "user", "content": [part(GREEN)]}]})
    assert status == 200 and said["choices"][0]["message"]["content"] == "green"


def test_answers_come_with_probabilities_and_usage(url: str) -> None:
    reply = ask(client(url), RED, text="in front", logprobs=True, top_logprobs=2)
    (token,) = reply.choices[0].logprobs.content
    assert token.token == "red" == token.top_logprobs[0].token
    assert len(token.top_logprobs) == 2 and token.top_logprobs[0].logprob >= token.top_logprobs[1].logprob
    assert reply.usage.prompt_tokens == 15 and reply.usage.completion_tokens == 1


def test_a_draw_is_the_servers(url: str, upstream: str) -> None:
    reply = ask(client(url), RED, text="draw", n=2, temperature=0.5, seed=11, vqttt={"method": "none"})
    assert [choice.message.content for choice in reply.choices] == ["red", "red"]
    assert [(one["temperature"], one["seed"]) for one in latest(upstream, "draw")] == [(0.5, 11), (0.5, 12)]


def test_streaming_through(url: str) -> None:
    chunks = list(ask(client(url), BLUE, stream=True))
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "blue"


def test_requests_run_side_by_side() -> None:
    with chat_server() as own, server_in_process(served(own), "none") as (url, _), ThreadPoolExecutor(32) as pool:
        began = time.monotonic()
        asked = [pool.submit(ask, client(url), RED, text="slowly [slow*300]") for _ in range(32)]
        assert all(one.result().choices[0].message.content == "red" for one in asked)
        assert counts(own)["most"] >= 16 and time.monotonic() - began < 32 * 0.3 / 4


def test_what_the_server_refuses_is_the_clients_fault(url: str) -> None:
    with pytest.raises(openai.BadRequestError, match=r"the server refused this: .*400 as ordered") as caught:
        ask(client(url), RED, text="too much [400*99]")
    assert caught.value.code == "upstream_refused"
    assert ask(client(url), RED).choices[0].message.content == "red"


def test_a_server_that_fails_for_this_request_is_a_bad_gateway(url: str) -> None:
    status, said, _ = post(url, body(RED, text="for good [500*99]"))
    assert status == 502 and said["error"]["type"] == "server_error" and "500 as ordered" in said["error"]["message"]
    assert ask(client(url), RED, text="once [500*1]").choices[0].message.content == "red", "one failure is waited out"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        *[(fault, 503) for fault in ("503", "429", "504", "close", "hang")],
        *[(fault, 502) for fault in ("500", "html", "empty", "truncated")],
    ],
)
def test_a_server_that_may_be_back_soon_is_told_from_one_that_answers_nonsense(fault: str, expected: int) -> None:
    with chat_server() as own:
        model = served(own, timeout=1)
        without_retries(model)
        with server_in_process(model) as (url, _):
            status, said, headers = post(url, body(RED, text=f"again and again [{fault}*99]"))
    assert status == expected and headers.get("retry-after") == ("5" if expected == 503 else None)
    assert said["error"]["code"] == ("upstream_down" if expected == 503 else "no_answer")


def test_a_server_that_is_gone_is_unavailable_from_the_first_request() -> None:
    with killable() as (own, process):
        model = served(own)
        without_retries(model)
        process.kill()
        process.wait()
        with server_in_process(model) as (url, _):
            for _ in range(LIMIT + 2):
                status, said, headers = post(url, body(RED))
                assert status == 503 and headers["retry-after"] == "5" and said["error"]["code"] == "upstream_down"
                assert "http" not in said["error"]["message"]


def without_retries(model: Any) -> None:
    model.client._client = model.client._client.with_options(max_retries=0)


def test_a_try_that_fails_leaves_the_untuned_answer(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    question = "first well, then not [503*0]"
    real = ask(client(url), DOUBTFUL, text=question, vqttt={"method": "none"})
    with chat_server() as own, server_in_process(served(own)) as (other, server):
        client_of = server.model.client  # type: ignore[attr-defined]
        send, calls = client_of.ask, []

        def failing(*given: Any, **more: Any) -> Any:
            from vqttt.models.served.replies import Reply

            calls.append(1)
            return send(*given, **more) if len(calls) == 1 else Reply(failure="the server gave no answer: lost")

        monkeypatch.setattr(client_of, "ask", failing)
        reply = ask(client(other), DOUBTFUL, text=question)
    assert reply.choices[0].message.content == real.choices[0].message.content
    assert reply.vqttt["rolled_back"] and reply.vqttt["looks"] == 3 == len(calls)


def test_a_server_without_probabilities_serves_what_needs_none() -> None:
    with chat_server("--no-logprobs") as own:
        with server_in_process(served(own), "none") as (url, _):
            reply = ask(client(url), RED, logprobs=True)
            assert reply.choices[0].message.content == "red" and reply.choices[0].logprobs is None
            assert reply.vqttt["entropy_before"] is None
            with pytest.raises(openai.BadRequestError, match="needs the probabilities"):
                ask(client(url), RED, vqttt={"method": "vq-select"})
        with pytest.raises(InputError, match="needs the probabilities"), server_in_process(served(own), "vq-select"):
            pass


def test_in_front_of_vqttt_serve_it_answers_as_in_the_process() -> None:
    """The fake model's five words are all listed, so that nothing is lost on the way."""
    images = [doubtful(seed) for seed in range(10)]
    method = find_method("vq-select").build(FakeTunableModel(), max_new_tokens=8)
    with server_in_process(FakeTunableModel(), "none") as (inner, _):
        own_model = served(inner, "default")
        with server_in_process(own_model, "vq-select") as (outer, _):
            own = client(outer)
            for image in images:
                done = ask(own, image, max_tokens=8).vqttt
                inputs, base = method.model.ask([image], ["what color is it?"], 8)
                here = method.answer(inputs, base, learn=False)[0]
                assert (done["before"], done["after"], done["looks"]) == (here.base_answer, here.answer, 3)
                assert (done["correction"] or "", done["rolled_back"]) == (here.how, here.rolled_back)
                assert done["entropy_before"] == pytest.approx(here.entropy_before, abs=1e-4)
                assert done["entropy_after"] == pytest.approx(here.entropy_after, abs=1e-4)


@contextmanager
def killable(port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [sys.executable, str(CHAT_SERVER), "--port", str(port)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.slow
def test_killing_the_server_behind_fails_what_is_in_flight_and_nothing_once_it_is_back() -> None:
    statuses = list[tuple[float, int]]()

    def load(n: int, url: str, ends: float) -> None:
        while time.monotonic() < ends:
            status, said, _ = post(url, body(RED, text=f"{n} [slow*100]"))
            statuses.append((time.monotonic(), status))
            assert status == 200 or (said["error"]["type"] == "server_error" and "http" not in said["error"]["message"])

    with ExitStack() as stack:
        upstream, process = stack.enter_context(killable())
        options = ("--upstream", upstream, "--timeout", "5")
        running = stack.enter_context(vqttt_server(*options, model="colors"))
        pool = stack.enter_context(ThreadPoolExecutor(16))
        ends = time.monotonic() + 32
        working = [pool.submit(load, n, running.url, ends) for n in range(16)]
        time.sleep(3)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        killed = time.monotonic()
        time.sleep(8)
        stack.enter_context(killable(urlsplit(upstream).port or 0))
        back = time.monotonic()
        for one in working:
            one.result()
    before = [status for when, status in statuses if when < killed]
    down = [status for when, status in statuses if killed + 1 < when < back]
    after = [status for when, status in statuses if when > back + 10]
    assert len(before) > 16 and set(before) == {200}
    assert down and set(down) <= {502, 503} and 503 in down, "what fails quickly says when to come back"
    assert len(after) > 16 and set(after) == {200}


@pytest.mark.slow
def test_what_was_accepted_is_finished_when_the_server_is_told_to_stop(upstream: str) -> None:
    with vqttt_server("--upstream", upstream, model="colors") as running, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, client(running.url), GREEN, text=f"{n} [slow*1500]") for n in range(8)]
        time.sleep(0.7)
        began = time.monotonic()
        running.stop()
        assert time.monotonic() - began < 10
        assert [one.result().choices[0].message.content for one in asked] == ["green"] * 8
        with pytest.raises(openai.APIConnectionError):
            ask(client(running.url), RED)
