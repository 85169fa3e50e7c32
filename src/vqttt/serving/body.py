"""The form of a chat request: which fields it has, and of what kind."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    ValidationError,
)

from vqttt.serving.refusals import RequestError

_MOST = 1000
"""Messages of a request, and parts of a message."""

_VALUES = 500_000
"""Values of a body, roughly: in memory each takes far more than the two bytes that it may have in JSON."""

_DAY = 86_400_000
"""Milliseconds of the longest deadline."""

_Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Text(BaseModel):
    """A part of a message in words."""

    model_config = ConfigDict(extra="ignore")
    type: Literal["text", "input_text"]
    text: StrictStr


class Url(BaseModel):
    """Where an image is."""

    model_config = ConfigDict(extra="ignore")
    url: StrictStr


class Picture(BaseModel):
    """A part of a message that is an image."""

    model_config = ConfigDict(extra="ignore")
    type: Literal["image_url"]
    image_url: Url | StrictStr

    @property
    def url(self) -> str:
        """Where the image is."""
        return self.image_url if isinstance(self.image_url, str) else self.image_url.url


# A list fails at the first entry that is wrong: a million wrong ones would be a million errors in memory.
_Parts = Annotated[
    list[Annotated[Text | Picture, Field(discriminator="type")]], Field(max_length=_MOST, fail_fast=True)
]


class Message(BaseModel):
    """A message of a conversation."""

    model_config = ConfigDict(extra="ignore")
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[
        Annotated[StrictStr, Tag("words")] | Annotated[_Parts, Tag("parts")],
        Discriminator(lambda given: "parts" if isinstance(given, list) else "words"),
    ]

    @property
    def text(self) -> str:
        """All its texts, one on each line."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, Text))

    @property
    def pictures(self) -> list[Picture]:
        """Its images, in order."""
        return [] if isinstance(self.content, str) else [part for part in self.content if isinstance(part, Picture)]


class Wishes(BaseModel):
    """The part `vqttt` of a request."""

    model_config = ConfigDict(extra="allow")
    method: StrictStr | None = None
    stream: Annotated[StrictStr, Field(min_length=1, max_length=200)] | None = None
    deadline_ms: Annotated[_Number, Field(gt=0, le=_DAY)] | None = None


class Body(BaseModel):
    """A chat request."""

    model_config = ConfigDict(extra="allow")
    model: StrictStr
    messages: Annotated[list[Message], Field(min_length=1, max_length=_MOST, fail_fast=True)]
    max_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    n: Annotated[StrictInt, Field(ge=1)] | None = None
    temperature: Annotated[_Number, Field(ge=0, le=2)] | None = None
    seed: Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)] | None = None
    logprobs: StrictBool | None = None
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=20)] | None = None
    stream: StrictBool | None = None
    stream_options: dict[str, Any] | None = None
    vqttt: Wishes | None = None

    @property
    def extra(self) -> dict[str, Any]:
        """The fields that are not known here, unless they say nothing."""
        return {name: value for name, value in (self.model_extra or {}).items() if value not in (None, [], {}, "")}


def loads(raw: bytes) -> Any:
    """Read JSON.

    Raises:
        RequestError: if it is none, or has numbers or texts that JSON cannot hold.
    """
    if sum(map(raw.count, (b",", b"[", b"{"))) > _VALUES:
        raise RequestError(f"the body has more than {_VALUES:,} values")
    try:
        text = raw.decode("utf-8-sig")
        content = json.loads(text, parse_constant=_not_json)
        if "\\u" in text:  # such escapes may write half a character, which nothing can send on
            json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not JSON: {str(error)[:200]}") from error
    return content


def _not_json(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


def parse(content: Any) -> Body:
    """Check the form of a request, as JSON has it.

    Raises:
        RequestError: if it is not that of a request.
    """
    try:
        body = Body.model_validate(content)
    except ValidationError as error:
        raise _invalid(error) from error
    _check_free(body.model_extra or {}, "")
    _check_free(body.vqttt.model_extra or {} if body.vqttt else {}, "vqttt")
    return body


def _check_free(extra: Mapping[str, Any], where: str) -> None:
    """See that the fields whose form is not given can be passed on: 1e999 is read as infinity."""
    try:
        json.dumps(extra, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise RequestError(f"{where or 'the body'} has a number that is not finite", param=where) from None


def _invalid(error: ValidationError) -> RequestError:
    """Say what is wrong with a body, and where: the error that lies deepest, for it names the place best."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    found = max(errors, key=lambda one: len(one["loc"]))
    place = [str(part) for part in found["loc"] if isinstance(part, int) or part in _FIELDS]
    # Beside the names of fields, a place has those of kinds, some of which are called like their field.
    where = ".".join(part for before, part in zip(["", *place], place, strict=False) if part != before)
    return RequestError(f"{where or 'the body'}: {_WORDS.get(found['type'], found['msg'].lower())}", param=where)


_WORDS = dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "input should be an object")
_FIELDS = {name for kind in (Text, Url, Picture, Message, Wishes, Body) for name in kind.model_fields}
