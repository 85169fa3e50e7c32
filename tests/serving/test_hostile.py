"""Clients that are broken, slow or mean: errors in OpenAI's form, for them alone, and a server that goes on."""

import base64
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.support.fuzzing import examples
from tests.support.serving import (
    BLUE,
    DOUBTFUL,
    GREEN,
    RED,
    GatedModel,
    ask,
    body,
    client,
    image_of,
    part,
    post,
    server_in_process,
    url_of,
    user,
)
from vqttt.images.files import save_image
from vqttt.models.fake import FakeModel, FakeTunableModel
from vqttt.serving import replies
from vqttt.serving.app import Server
from vqttt.serving.limits import Limits


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Server]]:
    folder = tmp_path_factory.mktemp("images")
    save_image(image_of(20, 90, 40), folder / "a.png")
    with server_in_process(FakeTunableModel(), folder=folder, limits=Limits(body_seconds=1, streams=20)) as both:
        yield both


@pytest.fixture
def url(running: tuple[str, Server]) -> str:
    return running[0]


def raw(url: str) -> socket.socket:
    """A connection, on which a test writes what it likes."""
    place = urlsplit(url)
    assert place.hostname and place.port
    return socket.create_connection((place.hostname, place.port), timeout=20)


def head(length: int, *more: str) -> bytes:
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: x", f"Content-Length: {length}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    parts = []
    while found := connection.recv(65536):
        parts.append(found)
    return b"".join(parts)


def error_in(reply: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(reply.partition(b"\r\n\r\n")[2])["error"]
    return found


CONTENT = json.dumps(body(RED)).encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b"\x00\xff\xfe", "not JSON"),
        (b'{"model": "default", "messages": [', "not JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "not JSON"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "not JSON"),
        (b'{"model": "\\ud800", "messages": []}', "not JSON"),
        (json.dumps(body(RED, vqttt={"stream": "\udcff"})).encode(), "not JSON"),
        (json.dumps(body(RED, text="\ud83d")).encode(), "not JSON"),
        (json.dumps(body(RED, temperature=float("nan"))).encode(), "not JSON"),
        (b"[" + b"0," * 600_000 + b"0]", "more than 500,000 values"),
        (json.dumps(body(vqttt={"deadline_ms": 10**300})).encode(), "deadline_ms"),
        (json.dumps(body(vqttt={"gate": 10**400})).encode(), "at most 64"),
        (json.dumps(body(RED, seed=10**30)).encode(), "seed"),
    ],
)
def test_what_is_no_request_is_the_clients_fault(url: str, content: bytes, words: str) -> None:
    status, said, _ = post(url, content)
    assert status == 400 and words in said["error"]["message"], said
    assert set(said["error"]) == {"message", "type", "param", "code"}


def test_a_question_may_hold_any_text(url: str) -> None:
    for text in ("\0", "😀 é \u2028", "<image>", "</s>" * 100, "a" * 100_000, "data:image/png;base64,"):
        status, said, _ = post(url, body(RED, text=text, vqttt={"stream": text[:50]}))
        assert status == 200 and said["choices"][0]["message"]["content"] == "red" and said["vqttt"]["failed"] is None


def test_tiny_and_strange_images_are_answered(url: str) -> None:
    for side, kind in ((1, "PNG"), (2, "GIF"), (3, "WEBP"), (17, "JPEG")):
        status, said, _ = post(url, body(url_of(image_of(90, 80, 85, side=side), kind)))
        assert status == 200 and said["vqttt"]["failed"] is None and said["vqttt"]["looks"] == 3
    thin = image_of(90, 80, 85, side=2000)[:1]
    assert post(url, body(thin))[0] == 200


def test_a_slow_body_is_given_up_while_others_are_answered(url: str) -> None:
    with closing(raw(url)) as slow:
        slow.sendall(head(1000) + b"{")
        began = time.monotonic()
        assert ask(client(url), GREEN).choices[0].message.content == "green"
        reply = rest(slow)
        assert 0.9 < time.monotonic() - began < 10
    assert reply.startswith(b"HTTP/1.1 408 ") and "not complete after 1 seconds" in error_in(reply)["message"]


@pytest.mark.parametrize("start", [b"", b"POST /v1/chat/comp", head(5)[:-2]])
def test_who_does_not_begin_is_disconnected(url: str, start: bytes) -> None:
    with closing(raw(url)) as slow:
        began = time.monotonic()
        slow.sendall(start)
        assert rest(slow) == b"" and 0.9 < time.monotonic() - began < 10


def test_drop_by_drop_is_too_slow_too(url: str) -> None:
    """Between two requests of one connection as before the first."""
    for first in (b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"):
        with closing(raw(url)) as slow:
            slow.sendall(first)
            began, ended = time.monotonic(), False
            while not ended and time.monotonic() - began < 10:
                try:
                    slow.sendall(b"X")
                    slow.settimeout(0.1)
                    ended = slow.recv(65536) == b""
                except TimeoutError:
                    continue
                except OSError:
                    ended = True
            assert ended and time.monotonic() - began < 9


def test_a_connection_may_rest_between_requests(url: str) -> None:
    place = urlsplit(url)
    assert place.hostname
    with closing(http.client.HTTPConnection(place.hostname, place.port)) as kept:
        for pause in (0, 1.5):
            time.sleep(pause)
            kept.request("POST", "/v1/chat/completions", CONTENT)
            assert json.loads(kept.getresponse().read())["choices"]
            assert kept.sock is not None, "the same connection"


def test_what_is_not_http(url: str) -> None:
    for said in (b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\xfc\x03\x03\r\n\r\n", b"GET /\r\n\r\n"):
        with closing(raw(url)) as connection:
            connection.sendall(said)
            reply = rest(connection)
        assert reply.startswith(b"HTTP/1.1 400 ") and error_in(reply)["type"] == "invalid_request_error"


def test_an_endless_head_is_refused(url: str) -> None:
    with closing(raw(url)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 70_000)
        assert rest(connection).startswith(b"HTTP/1.1 400 ")
    with closing(raw(url)) as connection, pytest.raises(OSError):
        for _ in range(1000):
            connection.sendall(b"a" * 100_000)


def test_a_body_without_a_stated_length_has_the_same_limit() -> None:
    with server_in_process(FakeModel(), limits=Limits(body=50_000)) as (url, _), closing(raw(url)) as connection:
        start = head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        connection.sendall(start + (b"2710\r\n" + b"a" * 10_000 + b"\r\n") * 6)
        assert b" 413 " in connection.recv(65536)


def until(true: Any, seconds: float = 10) -> bool:
    ends = time.monotonic() + seconds
    while not true() and time.monotonic() < ends:
        time.sleep(0.01)
    return bool(true())


def test_clients_that_go_away_leave_nothing_behind() -> None:
    model = GatedModel()
    with server_in_process(model, "none", limits=Limits(body_seconds=5)) as (url, server):
        assert ask(client(url), RED)
        files = len(list(Path("/proc/self/fd").iterdir()))
        streamed = json.dumps(body(RED, stream=True, n=8, logprobs=True)).encode()
        for _ in range(10):
            with closing(raw(url)) as connection:  # in the head
                connection.sendall(head(1000)[:20])
            with closing(raw(url)) as connection:  # in the body
                connection.sendall(head(1000) + b"{")
            model.gate.clear()
            with closing(raw(url)) as connection:  # while it is answered
                connection.sendall(head(len(CONTENT)) + CONTENT)
                assert until(lambda: server.waiting)
            model.gate.set()
            with closing(raw(url)) as connection:  # in the middle of the events
                connection.sendall(head(len(streamed)) + streamed)
                connection.recv(10)
        assert until(lambda: not server.waiting)
        assert ask(client(url), BLUE).choices[0].message.content == "blue"
        assert until(lambda: len(list(Path("/proc/self/fd").iterdir())) <= files + 2)


def test_a_client_that_does_not_read_holds_up_nobody(url: str) -> None:
    content = json.dumps(body(RED, stream=True, n=8, logprobs=True, top_logprobs=5)).encode()
    with closing(raw(url)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        deaf.sendall((head(len(content)) + content) * 50)
        for _ in range(5):
            assert ask(client(url), GREEN).choices[0].message.content == "green"


def test_an_upgrade_is_not_followed(url: str) -> None:
    with closing(raw(url)) as connection:
        lines = ["GET /healthz HTTP/1.1", "Host: x", "Connection: upgrade, close", "Upgrade: websocket", "", ""]
        connection.sendall("\r\n".join(lines).encode())
        assert rest(connection).startswith(b"HTTP/1.1 200 ")


def test_our_own_fault_is_an_error_without_a_trace(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def faulty(*_: Any) -> None:
        raise ZeroDivisionError("secret detail")

    with server_in_process(FakeModel()) as (url, server):
        with monkeypatch.context() as patched:
            patched.setattr(replies, "completion", faulty)
            status, said, _ = post(url, body(RED))
        assert status == 500 and said["error"]["type"] == "server_error"
        assert "secret" not in json.dumps(said) and "Traceback" not in json.dumps(said)
        assert server.waiting == 0 and post(url, body(RED))[0] == 200
    assert "secret detail" in capsys.readouterr().err, "the operator sees it"


class Failing(FakeModel):
    """Fails on images that are mostly green."""

    def answer(self, images: Any, questions: Any, max_new_tokens: int) -> Any:
        if any(image[..., 1].mean() > 100 for image in images):
            raise RuntimeError("CUDA error")
        return super().answer(images, questions, max_new_tokens)


def test_a_model_that_fails_fails_for_this_request_alone() -> None:
    with server_in_process(Failing(), "none") as (url, _):
        results = dict[int, tuple[int, Any]]()

        def send(n: int) -> None:
            status, said, _ = post(url, body((RED, GREEN, BLUE)[n % 3]))
            results[n] = status, said["error"]["message"] if n % 3 == 1 else said["choices"][0]["message"]["content"]

        threads = [threading.Thread(target=send, args=(n,)) for n in range(18)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    expected = [(200, "red"), (500, "the model cannot answer this: RuntimeError: CUDA error"), (200, "blue")]
    assert [results[n] for n in range(18)] == expected * 6


awkward = some.sampled_from([
    "", " ", "user", "assistant", "system", "text", "image_url", "default", "fake", "auto", "vq-select", "vq-ttt",
    "tta", "none", "likeliest", "a.png", "../a.png", "file:a.png", "/etc/passwd", "http://x/a.png", "data:,", "\0",
    "data:image/png;base64,", "data:image/png;base64,AAAA", url_of(DOUBTFUL), url_of(RED)[:80], "\ud800", "😀", "NaN",
    "a" * 300, "<image>",
])  # fmt: skip
numbers = some.integers() | some.floats() | some.sampled_from([0, 1, -1, 2, 2**63, 10**400, 1e308, float("nan")])
scalars = some.none() | some.booleans() | numbers | awkward | some.text(max_size=10)
names = some.sampled_from([
    "model", "messages", "role", "content", "type", "text", "image_url", "url", "n", "max_tokens", "temperature",
    "seed", "logprobs", "top_logprobs", "stream", "stream_options", "include_usage", "vqttt", "method", "tries", "gate",
    "guard", "deadline_ms", "corrections", "adapters", "steps", "start", "tuned", "stop", "tools", "boldness",
    "response_format",
])  # fmt: skip
values = some.recursive(
    scalars,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(names | awkward, inner, max_size=5),
    max_leaves=15,
)
VALID = [
    body(RED),
    body(DOUBTFUL, n=2, max_tokens=3, temperature=0, seed=1, logprobs=True, top_logprobs=3),
    body(RED, "a.png", stream=True, stream_options={"include_usage": True}),
    body(DOUBTFUL, vqttt={"method": "vq-select", "tries": 2, "stream": "camera-7", "deadline_ms": 50, "gate": 0.1}),
    body(DOUBTFUL, vqttt={"method": "vq-ttt", "stream": "camera-8", "steps": 1, "adapters": {"lora_rank": 2}}),
    body(messages=[{"role": "system", "content": "Be brief."}, user(DOUBTFUL)]),
    body(messages=[{"role": "user", "content": [part(DOUBTFUL), {"type": "text", "text": "what color?"}]}]),
]


small = some.integers(0, 9)
plausible = some.one_of(
    some.tuples(some.sampled_from(["n", "max_tokens", "top_logprobs", "seed", "tries", "steps"]), small),
    some.tuples(
        some.sampled_from(["temperature", "deadline_ms", "gate", "boldness", "trust"]), some.floats(0, 2) | small
    ),
    some.tuples(some.sampled_from(["logprobs", "stream", "guard", "include_usage"]), some.booleans()),
    some.tuples(
        some.sampled_from(["method", "stream", "model", "content", "user", "objective"]), awkward | some.text()
    ),
    some.tuples(some.just("corrections"), some.lists(awkward | some.sampled_from(["gamma", "soften", "wiener"]))),
    some.tuples(some.just("vqttt"), some.dictionaries(names, scalars, max_size=3)),
)
"""Names with values of the kind that they want."""


def alike(value: Any) -> some.SearchStrategy[Any]:
    """Values of the same kind."""
    if isinstance(value, bool):
        return some.booleans()
    if isinstance(value, int | float):
        return numbers | small | some.floats(0, 2)
    if isinstance(value, list):
        return some.sampled_from([value * 2, value[::-1], value[1:]])
    return awkward | some.text(max_size=50) if isinstance(value, str) else values


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in a value of JSON."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in inside for place in places(inner, (*path, key)))]


@some.composite
def mutated(draw: some.DrawFn) -> Any:
    """A valid request in which one to three values are replaced, removed or added."""
    content = {"": json.loads(json.dumps(draw(some.sampled_from(VALID))))}
    for _ in range(draw(some.sampled_from([1, 1, 1, 2, 3]))):
        if isinstance(content[""], dict) and draw(some.booleans()):
            name, value = draw(plausible)
            wishes = content[""].setdefault("vqttt", {})
            (wishes if isinstance(wishes, dict) and draw(some.booleans()) else content[""])[name] = value
            continue
        *way, last = draw(some.sampled_from(places(content)[1:]))
        holder: Any = content
        for key in way:
            holder = holder[key]
        change = draw(some.sampled_from(["alike", "alike", "add", "add", "replace", "remove"]))
        if change == "add" and isinstance(holder, dict) and way:
            name, value = draw(plausible)
            holder[name] = value
        elif change == "add" and isinstance(holder, list):
            holder.append(draw(values))
        elif change == "remove" and way:
            del holder[last]
        else:
            holder[last] = draw(alike(holder[last]) if change == "alike" else values)
    return content[""]


def send(url: str, content: bytes) -> None:
    """Whatever is sent, it is answered or it is the client's fault."""
    place = urlsplit(url)
    assert place.hostname
    with closing(http.client.HTTPConnection(place.hostname, place.port, timeout=60)) as connection:
        connection.request("POST", "/v1/chat/completions", content, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        text = reply.read().decode()
    if reply.status == 200 and reply.headers["Content-Type"].startswith("text/event-stream"):
        assert text.endswith("data: [DONE]\n\n")
    elif reply.status == 200:
        assert json.loads(text)["choices"][0]["message"]["content"] is not None
    else:
        assert 400 <= reply.status < 500, (reply.status, text)
        error = json.loads(text)["error"]
        assert set(error) == {"message", "type", "param", "code"} and error["type"] == "invalid_request_error"
        assert error["message"] and "\n" not in error["message"] and "Traceback" not in text


@pytest.fixture(scope="module", autouse=True)
def alive(running: tuple[str, Server]) -> Iterator[None]:
    """After all that, the server answers, nothing waits and no stream is one too many."""
    yield
    url, server = running
    assert ask(client(url), BLUE).choices[0].message.content == "blue"
    assert server.waiting == 0 and len(server.engine.streams) <= 20
    assert server._threads._work_queue.empty()


@examples(100)
@given(content=mutated())
def test_any_request_that_is_nearly_right(url: str, content: Any) -> None:
    send(url, json.dumps(content).encode())


@examples(60)
@given(content=values)
def test_any_json(url: str, content: Any) -> None:
    send(url, json.dumps(content).encode())


@examples(60)
@given(content=some.binary(max_size=300))
def test_any_bytes(url: str, content: bytes) -> None:
    send(url, content)


@examples(60)
@given(content=some.binary(max_size=60), cut=some.integers(0, 400), flip=some.integers(0, 400))
def test_any_damage_to_a_request(url: str, content: bytes, cut: int, flip: int) -> None:
    whole = json.dumps(VALID[3]).encode()
    send(url, whole[:cut] + content + whole[cut + flip :])


@examples(40)
@given(content=some.binary(max_size=300))
@pytest.mark.parametrize(
    "start", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"II*\0"]
)
def test_any_image(url: str, start: bytes, content: bytes) -> None:
    send(url, json.dumps(body(f"data:image/png;base64,{base64.b64encode(start + content).decode()}")).encode())
