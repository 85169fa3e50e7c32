"""Reading a request: what is understood, what is refused and why, and where images may come from."""

import base64
import io
import json
import zlib
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage
from pydantic import ValidationError

from tests.support.serving import BLUE, GREEN, RED, body, doubtful, part, url_of, user
from vqttt.images.files import save_image
from vqttt.models.conversation import Conversation, Slot
from vqttt.serving.asked import Asked, read
from vqttt.serving.body import Body, loads
from vqttt.serving.limits import Limits
from vqttt.serving.refusals import RequestError

LIMITS = Limits()


def refused(content: Any, limits: Limits = LIMITS, folder: Path | None = None, **how: bool) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read(content, limits, folder, **how)
    assert "\n" not in str(caught.value) and len(str(caught.value)) <= 1000
    return caught.value


def test_all_that_a_request_may_say() -> None:
    asked = read(
        body(
            RED,
            GREEN,
            n=3,
            max_tokens=7,
            temperature=1,
            seed=-5,
            logprobs=True,
            top_logprobs=4,
            stream=True,
            stream_options={"include_usage": True},
            vqttt={"method": "tta", "stream": "camera-7", "deadline_ms": 250, "gate": 0.1},
        ),
        LIMITS,
    )
    for seen, shown in zip(asked.images, (RED, GREEN), strict=True):
        np.testing.assert_array_equal(seen, shown)
    expected = {
        "model": "default",
        "question": "what color is it?",
        "tokens": 7,
        "choices": 3,
        "temperature": 1.0,
        "seed": -5,
        "alternatives": 4,
        "in_parts": True,
        "usage": True,
        "method": "tta",
        "settings": {"gate": 0.1},
        "stream": "camera-7",
        "deadline": 0.25,
    }
    assert {name: getattr(asked, name) for name in expected} == expected


def test_what_a_request_does_not_say() -> None:
    nothing = dict.fromkeys(("n", "max_tokens", "temperature", "seed", "logprobs", "stream", "vqttt", "tools"))
    for content in (body(), body(**nothing)):
        assert read(content, LIMITS) == Asked(model="default", images=[], question="what color is it?", tokens=1024)


def test_tokens_are_limited_and_the_newer_name_counts_first() -> None:
    assert read(body(max_tokens=5000), LIMITS).tokens == 1024
    assert read(body(max_tokens=3, max_completion_tokens=4), LIMITS).tokens == 4


def test_system_messages_come_before_the_question() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "One word."}]},
        {"role": "user", "content": [part(RED), {"type": "text", "text": "which"}, {"type": "text", "text": "color?"}]},
    ]
    asked = read({"model": "m", "messages": messages}, LIMITS)
    assert asked.question == "Be brief.\n\nOne word.\n\nwhich\ncolor?" and len(asked.images) == 1


def test_a_conversation_is_kept_as_it_is() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        user(RED, GREEN, text="compare"),
        {"role": "assistant", "content": "one is red"},
        {"role": "user", "content": [{"type": "text", "text": "and this?"}, part(BLUE)]},
    ]
    more = {"top_p": 0.5, "stop": ["."], "chat_template_kwargs": {"thinking": False}, "top_k": 3}
    asked = read({"model": "m", "messages": messages, **more}, LIMITS, conversations=True)
    assert isinstance(asked.question, Conversation) and asked.question == "and this?"
    assert asked.question.turns == [
        ("system", "Be brief."),
        ("user", [Slot.IMAGE, Slot.IMAGE, "compare"]),
        ("assistant", "one is red"),
        ("user", ["and this?", Slot.IMAGE]),
    ]
    assert asked.question.parameters == {"extra_body": more}
    for seen, shown in zip(asked.images, (RED, GREEN, BLUE), strict=True):
        np.testing.assert_array_equal(seen, shown)
    assert "one user message" in str(refused({"model": "m", "messages": messages}))


def test_only_a_served_model_may_be_asked_by_an_image_alone() -> None:
    alone = {"model": "m", "messages": [{"role": "user", "content": [part(RED)]}]}
    assert read(alone, LIMITS, conversations=True).question == ""
    assert "ask something in words" in str(refused(alone))


@pytest.mark.parametrize("name", ["stop", "response_format", "logit_bias", "tools", "functions", "audio", "modalities"])
def test_what_would_change_the_answer_is_refused_where_it_is_not_understood(name: str) -> None:
    assert refused(body(**{name: {"some": "thing"}})).param == name
    assert read(body(**{name: None}), LIMITS).tokens == 1024


@pytest.mark.parametrize(
    ("name", "value", "harmless"),
    [("top_p", 0.5, 1), ("top_p", 0.5, 1.0), ("presence_penalty", 0.5, 0), ("frequency_penalty", -1, 0.0)],
)
def test_what_shapes_a_draw_is_refused_in_this_process_and_passed_on_to_a_server(
    name: str, value: float, harmless: float
) -> None:
    error = refused(body(temperature=1, **{name: value}))
    assert error.param == name and str(error) == f"this server's model does not know {name}; leave it out"
    for given in (harmless, None):
        assert read(body(temperature=1, **{name: given}), LIMITS).temperature == 1
    passed = read(body(temperature=1, **{name: value}), LIMITS, conversations=True).question
    assert isinstance(passed, Conversation) and passed.parameters == {"extra_body": {name: value}}


def test_greedy_answers_do_not_depend_on_top_p() -> None:
    for greedy in ({}, {"temperature": 0}, {"temperature": None}):
        assert read(body(top_p=0.1, **greedy), LIMITS).temperature == 0
        assert refused(body(presence_penalty=0.1, **greedy)).param == "presence_penalty"


def test_parameters_that_change_nothing_are_no_fault() -> None:
    harmless = {"modalities": ["text"], "response_format": {"type": "text"}, "user": "me", "top_p": 1, "metadata": {}}
    assert read(body(**harmless), LIMITS).question


def said(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


@pytest.mark.parametrize(
    ("content", "param", "words"),
    [
        (5, "", "the body: input should be an object"),
        ([], "", "the body: input should be an object"),
        ({}, "model", "field required"),
        (body(model=3), "model", "valid string"),
        (body(messages=[]), "messages", "at least 1 item"),
        (body(messages={}), "messages", "valid list"),
        (body(messages=[5]), "messages.0", "an object"),
        (body(messages=[{"role": "user"}]), "messages.0.content", "required"),
        (body(messages=[{"role": "tool", "content": "a"}]), "messages.0.role", "'user' or 'assistant'"),
        (body(messages=[{"role": "assistant", "content": "a"}]), "messages", "must be the user's"),
        (body(messages=[{"role": "system", "content": "a"}]), "messages", "must be the user's"),
        (body(messages=said(" \n")), "messages", "in words"),
        (body(messages=said([])), "messages", "in words"),
        (body(messages=said(None)), "messages.0.content", "string"),
        (body(messages=said([5])), "messages.0.content.0", "an object"),
        (body(messages=said([{"type": "video"}])), "messages.0.content.0", "does not match"),
        (body(messages=said([{"type": "text"}])), "messages.0.content.0.text", "required"),
        (body(messages=said([{"type": "image_url", "image_url": {}}])), "messages.0.content.0.image_url.url", "requi"),
        (body(messages=[*said("a"), *said("b")]), "messages", "one user message"),
        (body(n=0), "n", "at least 1|greater than or equal to 1"),
        (body(n=9), "n", "at most 8, not 9"),
        (body(n=True), "n", "integer"),
        (body(max_tokens=0), "max_tokens", "greater"),
        (body(max_tokens="4"), "max_tokens", "integer"),
        (body(temperature=2.5), "temperature", "less than or equal to 2"),
        (body(temperature=-1), "temperature", "greater"),
        (body(temperature=nan), "temperature", "finite"),
        (body(temperature=inf), "temperature", "finite"),
        (body(seed=2**63), "seed", "less than"),
        (body(top_logprobs=21, logprobs=True), "top_logprobs", "less than or equal to 20"),
        (body(top_logprobs=2), "top_logprobs", "needs logprobs"),
        (body(stream="yes"), "stream", "boolean"),
        (body(stream_options=[]), "stream_options", "an object"),
        (body(vqttt=[]), "vqttt", "an object"),
        (body(vqttt={"stream": ""}), "vqttt.stream", "at least 1 character"),
        (body(vqttt={"stream": "x" * 201}), "vqttt.stream", "at most 200"),
        (body(vqttt={"deadline_ms": 0}), "vqttt.deadline_ms", "greater than 0"),
        (body(vqttt={"deadline_ms": inf}), "vqttt.deadline_ms", "finite"),
        (body(vqttt={"deadline_ms": 10**400}), "vqttt.deadline_ms", "number"),
        (body(vqttt={"gate": inf}), "vqttt", "not finite"),
        (body(top_p=inf), "", "not finite"),
    ],
)
def test_what_is_wrong_is_named(content: Any, param: str, words: str) -> None:
    error = refused(content)
    assert error.status == 400 and error.param == param
    assert any(word in str(error) for word in words.split("|")), str(error)


def test_a_million_faults_are_one_error() -> None:
    for messages, param in (([5] * 999, "messages.0"), (said([5] * 999), "messages.0.content.0")):
        assert refused(body(messages=messages)).param == param
        with pytest.raises(ValidationError) as caught:
            Body.model_validate(body(messages=messages))
        assert caught.value.error_count() == 1, "the others would take memory"
    assert "at most 1000 items" in str(refused(body(messages=[user()] * 1001)))
    assert "at most 1000 items" in str(refused(body(messages=said([{"type": "text", "text": "a"}] * 1001))))
    long = refused(body(messages=said([{"type": "line\n" * 100_000}])))
    assert len(str(long)) <= 1000


def test_a_prompt_that_is_too_long() -> None:
    error = refused(body(text="a" * 100_001))
    assert error.code == "context_length_exceeded" and "100,001 characters" in str(error)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "Expecting value"),
        (b"{", "double quotes"),
        (b"\xff{}", "utf-8"),
        ("{}".encode("utf-16"), "utf-8"),
        (b"[NaN]", "NaN is not a number of JSON"),
        (b"[-Infinity]", "Infinity is not a number"),
        (b'["\\ud800"]', "surrogates not allowed"),
        (b"[" * 100_000, "recursion"),
        (b"1" * 5000, "digits"),
        (b"[" + b"[]," * 400_000, "more than 500,000 values"),
    ],
)
def test_what_is_not_json(raw: bytes, words: str) -> None:
    with pytest.raises(RequestError, match=words) as caught:
        loads(raw)
    assert caught.value.status == 400


def test_what_is_json() -> None:
    assert loads(b'\xef\xbb\xbf{"a": "\\ud83d\\ude00 \xc3\xa9 \\u0000"}') == {"a": "😀 é \0"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a.png", "https://x.org/a.png", "HTTP://X", " http://x.org/a.png"])
def test_nothing_is_fetched(url: str, tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        error = refused(body(RED, url), folder=folder)
        assert error.code == "remote_image" and str(error).startswith("image 2: images are not fetched from URLs")


def png(width: int, height: int) -> bytes:
    """A PNG whose header says this size, and that holds next to nothing."""
    chunk = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    header = len(chunk[4:]).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + header + b"\0\0\0\0IDAT" + zlib.crc32(b"IDAT").to_bytes(4, "big")


def data(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("data:image/png;base64,####", "not valid base64"),
        ("data:image/png;base64,", "empty"),
        ("data:", "not valid base64"),
        ("data:,hello", "not an image"),
        (data(b"hello"), "not an image"),
        (url_of(RED)[:-60], "truncated"),
        (data(png(50_000, 50_000)), "more than 40 million pixels"),
        (data(png(2**31 - 1, 2**31 - 1)), "pixels"),
        (data(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "not an image|vector"),
        ("", "reads no files"),
        ("photo.png", "reads no files"),
        ("file:///etc/passwd", "reads no files"),
    ],
)
def test_what_is_not_an_image(url: str, words: str) -> None:
    error = refused(body(url))
    assert error.code == "invalid_image" and str(error).startswith("image 1: ")
    assert any(word in str(error) for word in words.split("|")), str(error)


def test_every_usual_format_is_an_image() -> None:
    for kind in ("PNG", "BMP", "WEBP", "GIF", "TIFF"):
        assert read(body(url_of(RED, kind)), LIMITS).images[0].shape == RED.shape
    plain = {"type": "image_url", "image_url": url_of(RED)}
    np.testing.assert_array_equal(
        read(body(messages=said([plain, {"type": "text", "text": "a"}])), LIMITS).images[0], RED
    )


def test_all_images_of_a_request_share_its_pixels() -> None:
    limits = Limits(pixels=3 * 24 * 24, images=4)
    assert len(read(body(RED, GREEN, BLUE), limits).images) == 3
    assert str(refused(body(RED, GREEN, BLUE, RED), limits)).startswith("image 4: the images before it")
    assert str(refused(body(RED, doubtful(0, 48)), limits)).startswith("image 2: ")
    assert "at most 4 images, not 5" in str(refused(body(*[RED] * 5), limits))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of images, beside which lies a secret one."""
    own = tmp_path / "images"
    (own / "sub").mkdir(parents=True)
    save_image(RED, own / "red one.png")
    save_image(GREEN, own / "sub" / "green.png")
    save_image(BLUE, tmp_path / "secret.png")
    save_image(BLUE, tmp_path / "images2.png")
    (own / "out.png").symlink_to(tmp_path / "secret.png")
    (own / "in.png").symlink_to(own / "sub" / "green.png")
    (own / "up").symlink_to(tmp_path)
    (own / "circle.png").symlink_to(own / "circle.png")
    (own / "bad.png").write_bytes(b"nonsense")
    return own


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("red one.png", RED),
        ("sub/../red one.png", RED),
        ("file:red%20one.png", RED),
        ("in.png", GREEN),
        ("FOLDER/sub/green.png", GREEN),
        ("file://FOLDER/sub/green.png", GREEN),
        ("file://localhostFOLDER/red%20one.png", RED),
    ],
)
def test_files_in_the_folder_are_read(folder: Path, url: str, shown: np.ndarray) -> None:
    np.testing.assert_array_equal(read(body(url.replace("FOLDER", str(folder))), LIMITS, folder).images[0], shown)


@pytest.mark.parametrize(
    "url",
    [
        "../secret.png",
        "sub/../../secret.png",
        "file:..%2Fsecret.png",
        "file:%2e%2e/secret.png",
        "OUTSIDE/secret.png",
        "file://OUTSIDE/secret.png",
        "out.png",
        "up/secret.png",
        "OUTSIDE/images2.png",
        "circle.png",
        "/etc/passwd",
        "/dev/zero",
        "/proc/self/environ",
        "sub",
        ".",
        "",
        "missing.png",
        "a\0b.png",
        "file://[/x.png",
        "x" * 5000,
        "ftp://host/red one.png",
        "\\\\host\\red one.png",
    ],
)
def test_files_elsewhere_are_not_read_and_not_told_of(folder: Path, url: str) -> None:
    error = refused(body(url.replace("OUTSIDE", str(folder.parent))), folder=folder)
    assert str(error) == "image 1: there is no such image of up to 33,554,432 bytes in the server's image folder"


def test_an_error_does_not_say_where_the_folder_is(folder: Path) -> None:
    error = refused(body("bad.png"), folder=folder)
    assert "not an image" in str(error) and str(folder) not in str(error)


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    assert "up to 10 bytes" in str(refused(body("red one.png"), Limits(body=10), folder))


def test_a_bomb_is_not_unpacked() -> None:
    file = io.BytesIO()
    PILImage.new("RGB", (2000, 2000)).save(file, "PNG")
    assert len(file.getvalue()) < 20_000
    assert "more than 1 million pixels" in str(refused(body(data(file.getvalue())), Limits(pixels=1_000_000)))


def test_limits_below_one_are_refused() -> None:
    from vqttt.errors import InputError

    with pytest.raises(InputError, match="the limit queue must be at least 1, not 0"):
        Limits(queue=0)


def test_a_request_of_the_openai_package_is_understood() -> None:
    text = json.dumps(body(RED, user="me", store=False, service_tier="auto", parallel_tool_calls=True))
    assert read(loads(text.encode()), LIMITS).question
