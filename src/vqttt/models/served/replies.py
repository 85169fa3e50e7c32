"""What comes back: the text of a reply, its log-probabilities and the tokens used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vqttt.models.usage import Usage

REFUSED = "the server refused this"
"""What begins the failure of a request that was at fault itself, and would fail again."""


class MalformedReplyError(Exception):
    """A reply that is not a chat completion; the message says what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer, or why there is none.

    Attributes:
        text: the answer, stripped.
        model: what the server calls the model that answered.
        chosen, likeliest, shown: see `ListedGeneration`; empty if the server gives no log-probabilities.
        usage: what it took.
        failure: why there is no answer; empty if there is one.
    """

    text: str = ""
    model: str = ""
    chosen: list[float] = field(default_factory=list)
    likeliest: list[list[float]] = field(default_factory=list)
    shown: list[tuple[str, Mapping[str, float]]] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    failure: str = ""


def read(completion: Any) -> Reply:
    """Read a chat completion, as the package `openai` returns it: without checks of its own.

    Raises:
        MalformedReplyError: if it has no answer.
    """
    choices = getattr(completion, "choices", None)
    if not isinstance(choices, list) or not choices or getattr(choices[0], "message", None) is None:
        stated = getattr(completion, "error", None)
        raise MalformedReplyError(f"the reply has no answer{f': {stated}' if stated else ''}")
    text = getattr(choices[0].message, "content", None) or ""
    if not isinstance(text, str):
        raise MalformedReplyError("the reply's answer is not text")
    tokens = _listed(getattr(choices[0], "logprobs", None))
    return Reply(
        text=text.strip(),
        model=str(getattr(completion, "model", "") or ""),
        chosen=[chosen for _, chosen, _ in tokens],
        likeliest=[[value for _, value in listed] for _, _, listed in tokens],
        shown=[(text, dict(reversed(listed))) for text, _, listed in tokens],
        usage=_usage(getattr(completion, "usage", None)),
    )


def _listed(logprobs: Any) -> list[tuple[str, float, list[tuple[str, float]]]]:
    """Return each token, its log-probability, and the likeliest tokens at its place; empty if one has no number."""
    found = []
    for token in getattr(logprobs, "content", None) or ():
        shown = getattr(token, "top_logprobs", None) or [token]
        values = [getattr(one, "logprob", None) for one in (token, *shown)]
        numbers = [float(value) for value in values if isinstance(value, int | float)]
        if len(numbers) < len(values):
            return []
        texts = [str(getattr(one, "token", "")) for one in (token, *shown)]
        found.append((texts[0], numbers[0], list(zip(texts[1:], numbers[1:], strict=True))))
    return found


def _usage(usage: Any) -> Usage:
    prompt, answer = (getattr(usage, name, None) for name in ("prompt_tokens", "completion_tokens"))
    return Usage(
        requests=1,
        prompt_tokens=prompt if isinstance(prompt, int) else 0,
        answer_tokens=answer if isinstance(answer, int) else 0,
    )
