"""Replies in OpenAI's form: one object, or a stream of events; and errors."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from vqttt.models.base import Generation, ListedGeneration, Model
from vqttt.models.generation import LogitGeneration
from vqttt.serving.asked import Asked
from vqttt.serving.engine import Answered
from vqttt.serving.refusals import RequestError

Object = dict[str, Any]


def completion(asked: Asked, answered: Answered, model: Model) -> Object:
    """Return the reply to a request.

    Args:
        asked: the request.
        answered: its answers.
        model: the one that answered; it knows the texts of tokens.
    """
    choices = [
        {
            "index": n,
            "message": {"role": "assistant", "content": text},
            "finish_reason": _finish(asked, text, generation, model),
            "logprobs": _logprobs(asked, generation, model),
        }
        for n, (text, generation) in enumerate(zip(answered.texts, answered.generations, strict=True))
    ]
    return _head("chat.completion", asked) | {
        "choices": choices,
        "usage": _usage(answered),
        "vqttt": dict(answered.account),
    }


def events(reply: Object, *, usage: bool) -> Iterator[str]:
    """Yield a reply as server-sent events, word by word.

    An answer is known only when it is chosen, so it comes at once: the parts are for clients that want them.

    Args:
        reply: what `completion` returned.
        usage: whether a last event tells the tokens used.
    """
    head = {**{key: reply[key] for key in ("id", "created", "model")}, "object": "chat.completion.chunk"}
    for choice in reply["choices"]:
        pieces = _pieces(choice["message"]["content"])
        for number, piece in enumerate(pieces):
            delta = {"role": "assistant", "content": piece} if not number else {"content": piece}
            logprobs = choice["logprobs"] if number == len(pieces) - 1 else None
            part = {"index": choice["index"], "delta": delta, "logprobs": logprobs, "finish_reason": None}
            yield event({**head, "choices": [part]})
        part = {"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}
        yield event({**head, "choices": [part], "vqttt": reply["vqttt"]})
    if usage:
        yield event({**head, "choices": [], "usage": reply["usage"]})
    yield "data: [DONE]\n\n"


def event(content: Object) -> str:
    """Return an object as a server-sent event."""
    return f"data: {json.dumps(content)}\n\n"


def error(raised: RequestError) -> Object:
    """Return the body of an error."""
    kind = "invalid_request_error" if raised.status < 500 else "server_error"
    return {"error": {"message": str(raised), "type": kind, "param": raised.param or None, "code": raised.code}}


def models(names: Mapping[str, str]) -> Object:
    """Return the list of models, by name with a sentence on each."""
    entries = [
        {"id": name, "object": "model", "created": 0, "owned_by": "vqttt", "description": words}
        for name, words in names.items()
    ]
    return {"object": "list", "data": entries}


def _head(kind: str, asked: Asked) -> Object:
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": asked.model,
    }


def _pieces(text: str) -> list[str]:
    """Cut a text before its spaces; an empty one is one piece."""
    words = text.split(" ")
    return [words[0], *(f" {word}" for word in words[1:])]


def _finish(asked: Asked, text: str, generation: Generation | None, model: Model) -> str:
    """Say why an answer ends: `length` if it has as many tokens as were allowed, and the last is a part of its text."""
    if generation is None or len(generation.token_logprobs[0]) < asked.tokens:
        return "stop"
    last = ""
    if isinstance(generation, LogitGeneration):
        last = model.piece(int(generation.tokens[0][generation.mask[0]][-1]))
    elif isinstance(generation, ListedGeneration) and generation.shown:
        last = generation.shown[0][-1][0]
    return "length" if text.endswith(last.strip()) else "stop"  # a token that ends an answer is not in its text


def _usage(answered: Answered) -> Object:
    """Return the tokens of the prompt and of the answers, as far as they are known."""
    known = [one for one in answered.generations if one is not None]
    prompt = known[0].prompt_tokens[0] if known and known[0].prompt_tokens else 0
    answers = sum(len(one.token_logprobs[0]) for one in known)
    return {"prompt_tokens": prompt, "completion_tokens": answers, "total_tokens": prompt + answers}


def _logprobs(asked: Asked, generation: Generation | None, model: Model) -> Object | None:
    """Return the log-probabilities of an answer's tokens, the end token included, if they are wanted and known."""
    if asked.alternatives is None or generation is None:
        return None
    tokens = _tokens(generation, model, asked.alternatives)
    return {"content": tokens} if tokens else None


def _tokens(generation: Generation, model: Model, count: int) -> list[Object]:
    if isinstance(generation, ListedGeneration):
        if not generation.shown:
            return []
        pairs = zip(generation.shown[0], generation.chosen[0], strict=True)
        return [_token(text, value, list(likeliest.items())[::-1][:count]) for (text, likeliest), value in pairs]
    if not isinstance(generation, LogitGeneration):
        return []
    logprobs = generation.logits[0][generation.mask[0]].log_softmax(-1)
    chosen = generation.tokens[0][generation.mask[0]]
    values, numbers = logprobs.topk(min(max(count, 1), logprobs.shape[-1]), dim=-1)
    found = []
    for place, token in enumerate(chosen.tolist()):
        likeliest = zip(numbers[place].tolist(), values[place].tolist(), strict=True)
        listed = [(model.piece(number), value) for number, value in likeliest][:count]
        found.append(_token(model.piece(token), float(logprobs[place, token]), listed))
    return found


def _token(text: str, value: float, likeliest: list[tuple[str, float]]) -> Object:
    return {**_listed(text, value), "top_logprobs": [_listed(token, own) for token, own in likeliest]}


def _listed(text: str, value: float) -> Object:
    # JSON has no infinities; OpenAI's interface writes a probability of zero as this number.
    logprob = max(value, -9999.0) if value == value else -9999.0
    return {"token": text, "logprob": logprob, "bytes": [*text.encode("utf-8", "replace")]}
