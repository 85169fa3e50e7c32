"""Reading a chat request: what is asked, of which images, and how; or the reason why it cannot be answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vqttt.models.conversation import Content, Conversation, Slot
from vqttt.serving.body import Body, Message, Text, Wishes, parse
from vqttt.serving.limits import Limits
from vqttt.serving.pictures import read_images
from vqttt.serving.refusals import RequestError
from vqttt.types import Image

_REFUSED = {
    "tools": "tools are not supported",
    "functions": "functions are not supported",
    "audio": "answers are text only",
    "modalities": "answers are text only",
}
"""Parameters that change what an answer is, with the reason why they are refused unless they are empty."""

_ELSEWHERE = {
    "stop": (),
    "response_format": ({"type": "text"},),
    "logit_bias": (),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "top_p": (1,),
}
"""Parameters that change what an answer is, and that only a served model behind this server understands; each with the
values that change nothing."""


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
    body = parse(content)
    _check_parameters(body, limits, conversations)
    choices, wishes = body.n or 1, body.vqttt or Wishes()
    # The question is checked first: images take longer to read.
    question = _question(body, limits, conversations)
    images = read_images([one.url for message in body.messages for one in message.pictures], limits, folder)
    return Asked(
        model=body.model,
        images=images,
        question=question,
        tokens=min(body.max_completion_tokens or body.max_tokens or limits.tokens, limits.tokens),
        choices=choices,
        temperature=body.temperature or 0.0,
        seed=body.seed or 0,
        alternatives=(body.top_logprobs or 0) if body.logprobs else None,
        in_parts=bool(body.stream),
        usage=bool((body.stream_options or {}).get("include_usage")),
        method=wishes.method or "",
        settings=wishes.model_extra or {},
        stream=wishes.stream or "",
        deadline=None if wishes.deadline_ms is None else wishes.deadline_ms / 1000,
    )


def _check_parameters(body: Body, limits: Limits, conversations: bool) -> None:
    """Refuse what would be answered in another way than it is asked for."""
    for name, reason in _REFUSED.items():
        if name in body.extra and body.extra[name] != ["text"]:
            raise RequestError(f"{reason}; leave out {name}", param=name)
    if not conversations:
        _check_known(body)
    if (body.n or 1) > limits.choices:
        raise RequestError(f"n is at most {limits.choices}, not {body.n}", param="n")
    if body.top_logprobs and not body.logprobs:
        raise RequestError("top_logprobs needs logprobs, as true", param="top_logprobs")


def _check_known(body: Body) -> None:
    """Refuse what a model in this process does not understand, if it would change the answer."""
    for name, harmless in _ELSEWHERE.items():
        greedy = name == "top_p" and not body.temperature  # the likeliest token is among any share of them
        if name in body.extra and body.extra[name] not in harmless and not greedy:
            raise RequestError(f"this server's model does not know {name}; leave it out", param=name)


def _question(body: Body, limits: Limits, conversations: bool) -> str:
    """Return the question: for a model in this process a text, and for one behind a server the conversation as it is.

    Args:
        body: the request.
        limits: what is accepted.
        conversations: whether the model is behind a server.
    """
    messages, texts = body.messages, [message.text for message in body.messages]
    if sum(map(len, texts)) > limits.prompt:
        raise RequestError(
            f"the messages have {sum(map(len, texts)):,} characters, and {limits.prompt:,} are accepted",
            param="messages",
            code="context_length_exceeded",
        )
    last = messages[-1]
    if last.role != "user" or not (last.text.strip() or (conversations and last.pictures)):
        raise RequestError("the last message must be the user's, and ask something in words", param="messages")
    if conversations:
        # What is not known here may be known there; `extra_body` is how the package `openai` sends any of it.
        passed = {"extra_body": body.extra} if body.extra else {}
        return Conversation.of(last.text, [(one.role, _parts(one)) for one in messages], passed)
    if any(message.role in ("user", "assistant") for message in messages[:-1]):
        raise RequestError(
            "this server's model takes one user message, after system messages if there are any; to go on with a "
            "conversation, run `vqttt serve` in front of a served model",
            param="messages",
        )
    return "\n\n".join(text for text in texts if text.strip())


def _parts(message: Message) -> Content:
    if isinstance(message.content, str):
        return message.content
    parts: Sequence[str | Slot] = [part.text if isinstance(part, Text) else Slot.IMAGE for part in message.content]
    return parts
