"""What the tests of the server share: requests, models that are slow or broken, and a server in this process."""

import base64
import io
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from openai import DefaultHttpxClient, OpenAI
from PIL import Image as PILImage

from vqttt.methods import MethodSpec, find_method
from vqttt.models.base import Generation, Model
from vqttt.models.fake import FakeModel
from vqttt.serving.app import Server, Settings
from vqttt.serving.keys import Keys
from vqttt.serving.limits import Limits
from vqttt.serving.listening import Listener
from vqttt.types import Image

QUESTION = "what color is it?"


def image_of(*levels: int, side: int = 24) -> Image:
    """An image of one colour."""
    return np.full((side, side, 3), levels, np.uint8)


RED, GREEN, BLUE = image_of(250, 5, 5), image_of(5, 250, 5), image_of(5, 5, 250)  # fake models are certain of these
DOUBTFUL = image_of(90, 80, 85)


def doubtful(seed: int, side: int = 24) -> Image:
    """An image that a fake model is not certain of; each seed has its own."""
    return np.random.default_rng(seed).integers(60, 120, (side, side, 3), dtype=np.uint8)


def url_of(image: Image, kind: str = "PNG") -> str:
    """An image as a data URL."""
    file = io.BytesIO()
    PILImage.fromarray(image).save(file, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def part(image: Image | str) -> dict[str, Any]:
    """An image, or the URL of one, as a part of a message."""
    return {"type": "image_url", "image_url": {"url": image if isinstance(image, str) else url_of(image)}}


def user(*images: Image | str, text: str = QUESTION) -> dict[str, Any]:
    """A message of the user."""
    return {"role": "user", "content": [*map(part, images), {"type": "text", "text": text}]}


def body(*images: Image | str, text: str = QUESTION, **more: Any) -> dict[str, Any]:
    """A request."""
    return {"model": "default", "messages": [user(*images, text=text)], **more}


def post(
    url: str, content: Any, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Send a request, bytes or what JSON has; return the status, the reply, and its headers in lower case."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    request = urllib.request.Request(
        f"{url}/chat/completions", data, {"Content-Type": "application/json", **(headers or {})}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.load(reply), {name.lower(): value for name, value in reply.headers.items()}
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), {name.lower(): value for name, value in error.headers.items()}


def get(url: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Return the status and the text of a page."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers or {})), timeout=30) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def client(url: str, key: str = "none", retries: int = 0) -> OpenAI:
    """The package `openai`, which must not hide failures by trying again.

    It reads no certificates, which takes longer than all else. Each connection ends with its reply: none is left to the
    collection of garbage, where Python may find the open socket before the client that would close it.
    """
    return OpenAI(
        base_url=url,
        api_key=key,
        max_retries=retries,
        timeout=60,
        default_headers={"Connection": "close"},
        http_client=DefaultHttpxClient(verify=False),
    )


def ask(own: OpenAI, *images: Image | str, text: str = QUESTION, **more: Any) -> Any:
    """Ask by the package `openai`; what it does not know goes into the part `vqttt` of the request."""
    wishes = more.pop("vqttt", None)
    extra = {"extra_body": {"vqttt": wishes}} if wishes else {}
    messages: Any = [user(*images, text=text)]
    return own.chat.completions.create(**{"model": "default", "messages": messages, **extra, **more})


class GatedModel(FakeModel):
    """Names colours; while its gate is closed, no pass ends.

    Attributes:
        sizes: samples of each pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.sizes = threading.Event(), list[int]()
        self.gate.set()

    def answer(self, images: Sequence[Any], questions: Sequence[str], max_new_tokens: int) -> Generation:
        self.sizes.append(len(questions))
        assert self.gate.wait(30)
        return super().answer(images, questions, max_new_tokens)


@contextmanager
def server_in_process(
    model: Model | None = None,
    method: str | MethodSpec = "vq-select",
    *,
    keys: Sequence[str] = (),
    folder: Path | None = None,
    limits: Limits | None = None,
) -> Iterator[tuple[str, Server]]:
    """Within the block, a server runs in a thread; yields its URL, and it."""
    server = Server(
        model or FakeModel(),
        find_method(method) if isinstance(method, str) else method,
        Settings(name="fake", limits=limits or Limits(), keys=Keys(list(keys)), image_folder=folder),
    )
    listener = Listener(server.app(), "127.0.0.1", 0, server.settings.limits.body_seconds)
    thread = threading.Thread(target=listener.run)
    thread.start()
    try:
        yield listener.url, server
    finally:
        listener.stop()
        thread.join(60)
        assert not thread.is_alive(), "the server does not stop"
