"""Reading a chat request: what is asked, of which images, and how; or the reason why it cannot be answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError

from vqttt.errors import ImageError, VQTTTError
from vqttt.images.files import decode_base64, load_image
from vqttt.models.conversation import Content, Conversation, Slot
from vqttt.serving.limits import Limits
from vqttt.types import Image

_REFUSED = {
    "tools": "tools are not supported",
    "functions": "functions are not supported",
    "audio": "answers are text only",
    "modalities": "answers are text only",
}
"""Parameters that change what an answer is, with the reason why they are refused unless they are empty."""

_PASSED = ("top_p", "stop", "presence_penalty", "frequency_penalty", "response_format", "chat_template_kwargs")
"""Parameters that only a served model behind this server understands."""


class RequestError(VQTTTError):
    """A request that cannot be answered.

    Attributes:
        status: the HTTP status.
        param: the parameter that is wrong, if it is one.
        code: a word for programs.
        retry_after: seconds after which it may be sent again; 0 if that is of no use.
    """

    def __init__(
        self, message: str, status: int = 400, param: str = "", code: str = "invalid_request", retry_after: int = 0
    ) -> None:
        """Store the parts."""
        super().__init__(message)
        self.status, self.param, self.code, self.retry_after = status, param, code, retry_after


class _Text(BaseModel):
    model_config = ConfigDict(extra="ignore")
    type: Literal["text", "input_text"]
    text: StrictStr


class _Url(BaseModel):
    model_config = ConfigDict(extra="ignore")
    url: StrictStr


class _Picture(BaseModel):
    model_config = ConfigDict(extra="ignore")
    type: Literal["image_url"]
    image_url: _Url | StrictStr


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")
    role: Literal["system", "developer", "user", "assistant"]
    content: StrictStr | list[Annotated[_Text | _Picture, Field(discriminator="type")]]


class _Wishes(BaseModel):
    """The part `vqttt` of a request."""

    model_config = ConfigDict(extra="allow")
    method: StrictStr | None = None
    stream: Annotated[StrictStr, Field(min_length=1, max_length=200)] | None = None
    deadline_ms: Annotated[StrictInt | StrictFloat, Field(gt=0)] | None = None


class _Body(BaseModel):
    model_config = ConfigDict(extra="allow")
    model: StrictStr
    messages: Annotated[list[_Message], Field(min_length=1)]
    max_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    n: Annotated[StrictInt, Field(ge=1)] | None = None
    temperature: Annotated[StrictInt | StrictFloat, Field(ge=0, le=2)] | None = None
    seed: Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)] | None = None
    logprobs: StrictBool | None = None
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=20)] | None = None
    stream: StrictBool | None = None
    stream_options: dict[str, Any] | None = None
    vqttt: _Wishes | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request, read and checked.

    Attributes:
        model: the model that it names.
        images: all images, in order.
        question: what is asked: the text of the one user message, or a whole `Conversation`.
        tokens: of the answer at most.
        choices: how many answers are wanted.
        temperature, seed: of the draw; greedy at 0.
        alternatives: likeliest tokens to list at each position; None for no log-probabilities.
        in_parts: whether the answer is to come as a stream of events, and `usage` whether these tell the tokens used.
        method, settings: the method that it names (empty for the server's) and settings of it.
        stream: the name of the stream that it belongs to; empty for none.
        deadline: seconds that the answer may take; None for no limit.
    """

    model: str
    images: list[Image]
    question: str
    tokens: int
    choices: int = 1
    temperature: float = 0.0
    seed: int = 0
    alternatives: int | None = None
    in_parts: bool = False
    usage: bool = False
    method: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    stream: str = ""
    deadline: float | None = None


def read(content: Any, limits: Limits, folder: Path | None = None, *, conversations: bool = False) -> Asked:
    """Read a request.

    Args:
        content: its body, as JSON has it.
        limits: what is accepted.
        folder: local images are read from here, and from nowhere else; None for none.
        conversations: whether several turns, and parameters that only another server understands, can be answered.

    Raises:
        RequestError: if it cannot be answered.
    """
    try:
        body = _Body.model_validate(content)
    except ValidationError as error:
        raise _invalid(error) from error
    extra = {name: value for name, value in (body.model_extra or {}).items() if value not in (None, [], {})}
    for name, reason in _REFUSED.items():
        if name in extra and extra[name] != ["text"]:
            raise RequestError(f"{reason}; leave out {name}", param=name)
    choices, wishes = body.n or 1, body.vqttt or _Wishes()
    if choices > limits.choices:
        raise RequestError(f"n is at most {limits.choices}, not {choices}", param="n")
    tokens = body.max_completion_tokens or body.max_tokens or limits.tokens
    images = _images(body.messages, limits, folder)
    return Asked(
        model=body.model,
        images=images,
        question=_question(body.messages, limits, extra if conversations else None),
        tokens=min(tokens, limits.tokens),
        choices=choices,
        temperature=float(body.temperature or 0),
        seed=body.seed or 0,
        alternatives=(body.top_logprobs or 0) if body.logprobs else None,
        in_parts=bool(body.stream),
        usage=bool((body.stream_options or {}).get("include_usage")),
        method=wishes.method or "",
        settings=wishes.model_extra or {},
        stream=wishes.stream or "",
        deadline=None if wishes.deadline_ms is None else float(wishes.deadline_ms) / 1000,
    )


def _invalid(error: ValidationError) -> RequestError:
    """Say what is wrong with a body, and where: the first thing that is."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"] if not isinstance(part, str) or part.isidentifier())
    return RequestError(f"{where or 'the body'}: {first['msg'].lower()}", param=where)


def _images(messages: Sequence[_Message], limits: Limits, folder: Path | None) -> list[Image]:
    urls = [
        part.image_url if isinstance(part.image_url, str) else part.image_url.url
        for message in messages
        if not isinstance(message.content, str)
        for part in message.content
        if isinstance(part, _Picture)
    ]
    if len(urls) > limits.images:
        raise RequestError(f"a request has at most {limits.images} images, not {len(urls)}", param="messages")
    return [_image(url, number, limits, folder) for number, url in enumerate(urls, 1)]


def _image(url: str, number: int, limits: Limits, folder: Path | None) -> Image:
    """Read one image: from a data URL, or from a file in the folder. Nothing is ever fetched."""
    scheme = url[:8].partition(":")[0].lower()
    if scheme in ("http", "https"):
        raise RequestError(
            f"image {number}: images are not fetched from URLs; send it as data:image/png;base64,...",
            param="messages",
            code="remote_image",
        )
    try:
        source = decode_base64(url) if scheme == "data" else _local(url, folder)
        return load_image(source, max_pixels=limits.pixels)
    except ImageError as error:
        raise RequestError(f"image {number}: {error}", param="messages", code="invalid_image") from error


def _local(url: str, folder: Path | None) -> Path:
    """Return the file that a URL or path names, if it is in the folder.

    Raises:
        ImageError: if it is not; the message does not say whether there is such a file.
    """
    if folder is None:
        raise ImageError("it must be a data URL, such as data:image/png;base64,...; this server reads no files")
    try:
        path = unquote(urlsplit(url).path) if url.lower().startswith("file:") else url
        found = (folder / path).resolve()
        if found.is_relative_to(folder.resolve()) and found.is_file():
            return found
    except (OSError, ValueError, RuntimeError):  # a path that is none, or links in a circle
        pass
    raise ImageError("there is no such image in the server's image folder")


def _question(messages: Sequence[_Message], limits: Limits, extra: Mapping[str, Any] | None) -> str:
    """Return the question: for a model in this process a text, and for one behind a server the conversation as it is.

    Args:
        messages: all.
        limits: what is accepted.
        extra: parameters that are passed on; None if there can only be one question.
    """
    texts = [_text(message) for message in messages]
    if sum(map(len, texts)) > limits.prompt:
        raise RequestError(
            f"the messages have {sum(map(len, texts)):,} characters, and {limits.prompt:,} are accepted",
            param="messages",
            code="context_length_exceeded",
        )
    users = [text for message, text in zip(messages, texts, strict=True) if message.role == "user"]
    if messages[-1].role != "user" or not users[-1].strip():
        raise RequestError("the last message must be the user's, and ask something in words", param="messages")
    if extra is not None:
        return Conversation.of(users[-1], [(one.role, _parts(one)) for one in messages], _passed(extra))
    if len(users) > 1 or any(message.role == "assistant" for message in messages):
        raise RequestError(
            "this server's model takes one user message, after system messages if there are any; to go on with a "
            "conversation, run `vqttt serve` in front of a served model",
            param="messages",
        )
    return "\n\n".join(text for text in texts if text.strip())


def _text(message: _Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part.text for part in message.content if isinstance(part, _Text))


def _parts(message: _Message) -> Content:
    if isinstance(message.content, str):
        return message.content
    return [part.text if isinstance(part, _Text) else Slot.IMAGE for part in message.content]


def _passed(extra: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in extra.items() if name in _PASSED}
