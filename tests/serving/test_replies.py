"""Replies in OpenAI's form: tokens, their probabilities, and why an answer ends."""

import json
from collections.abc import Sequence
from math import exp, inf, nan
from typing import Any

import pytest
import torch

from tests.support.small_models import sample_images, tiny_llava
from vqttt.models.base import Generation, ListedGeneration
from vqttt.models.fake import FakeModel
from vqttt.models.tunable import LogitGeneration
from vqttt.serving.asked import Asked
from vqttt.serving.engine import Answered
from vqttt.serving.refusals import RequestError
from vqttt.serving.replies import completion, error, events

WORDS = ["<end>", " dark", " red", "ish"]


class Speller(FakeModel):
    """Its tokens are `WORDS`."""

    def piece(self, token: int) -> str:
        return WORDS[token]


def generation(tokens: Sequence[int], text: str) -> LogitGeneration:
    """An answer of these tokens, each with a logit of 3 among zeros, and one of padding."""
    logits = torch.zeros(1, len(tokens) + 1, len(WORDS))
    for place, token in enumerate(tokens):
        logits[0, place, token] = 3.0
    mask = torch.tensor([[True] * len(tokens) + [False]])
    padded = torch.tensor([[*tokens, 0]])
    return LogitGeneration(texts=[text], tokens=padded, mask=mask, logits=logits, prompt_tokens=[7])


def reply(one: Generation | None, text: str, tokens: int = 9, **more: Any) -> dict[str, Any]:
    choices = more.pop("choices", 1)
    asked = Asked(**{"model": "m", "images": [], "question": "a?", "tokens": tokens, "choices": choices, **more})
    answered = Answered(texts=[text] * choices, generations=[one] * choices, account={"method": "none"})
    made = completion(asked, answered, Speller())
    json.dumps(made, allow_nan=False)
    return made


@pytest.mark.parametrize(
    ("tokens", "text", "most", "reason"),
    [
        ([1, 2, 0], "dark red", 9, "stop"),
        ([1, 2, 0], "dark red", 3, "stop"),  # the last token allowed is the one that ends the answer
        ([1, 2, 3], "dark redish", 3, "length"),
        ([1], "dark", 1, "length"),
        ([0], "", 1, "stop"),
    ],
)
def test_why_an_answer_ends(tokens: list[int], text: str, most: int, reason: str) -> None:
    assert reply(generation(tokens, text), text, most)["choices"][0]["finish_reason"] == reason


def test_an_answer_of_no_single_pass() -> None:
    made = reply(None, "red", alternatives=3)
    assert made["choices"][0]["finish_reason"] == "stop" and made["choices"][0]["logprobs"] is None
    assert made["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def test_usage_counts_the_prompt_once_and_every_answer() -> None:
    made = reply(generation([1, 2, 0], "dark red"), "dark red", choices=3)
    assert made["usage"] == {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16}
    assert [choice["index"] for choice in made["choices"]] == [0, 1, 2]


def test_log_probabilities_of_logits() -> None:
    made = reply(generation([1, 2, 0], "dark red"), "dark red", alternatives=2)
    content = made["choices"][0]["logprobs"]["content"]
    assert [one["token"] for one in content] == [" dark", " red", "<end>"]
    for one in content:
        assert one["logprob"] == pytest.approx(3 - torch.tensor([3.0, 0, 0, 0]).logsumexp(0).item(), abs=1e-6)
        assert one["top_logprobs"][0] == {key: one[key] for key in ("token", "logprob", "bytes")}
        assert len(one["top_logprobs"]) == 2 and bytes(one["bytes"]).decode() == one["token"]
    assert (
        reply(generation([1], "dark"), "dark", alternatives=0)["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        == []
    )
    every = reply(generation([1], "dark"), "dark", alternatives=20)["choices"][0]["logprobs"]["content"][0]
    assert sum(exp(one["logprob"]) for one in every["top_logprobs"]) == pytest.approx(1) and len(WORDS) == 4
    assert reply(generation([1], "dark"), "dark")["choices"][0]["logprobs"] is None


def test_log_probabilities_that_a_server_listed() -> None:
    listed = ListedGeneration(
        texts=["red"],
        chosen=[[-0.2]],
        likeliest=[[[-2.0, -0.2]]],
        shown=[[("red", {"blue": -2.0, "red": -0.2})]],
    )
    (one,) = reply(listed, "red", alternatives=1)["choices"][0]["logprobs"]["content"]
    assert one == {
        "token": "red",
        "logprob": -0.2,
        "bytes": [*b"red"],
        "top_logprobs": [{"token": "red", "logprob": -0.2, "bytes": [*b"red"]}],
    }


def test_numbers_that_json_cannot_hold() -> None:
    listed = ListedGeneration(
        texts=["a"], chosen=[[-inf]], likeliest=[[[nan, -inf]]], shown=[[("a", {"\ud800": nan, "a": -inf})]]
    )
    (one,) = reply(listed, "a", alternatives=5)["choices"][0]["logprobs"]["content"]
    assert {token["logprob"] for token in (one, *one["top_logprobs"])} == {-9999.0}


def test_the_tokens_of_a_real_tokenizer(one_thread: None) -> None:
    model = tiny_llava()
    answers = model.answer(sample_images(1), ["what color is the shape?"], 5)
    asked = Asked(model="m", images=[], question="a?", tokens=5, alternatives=3)
    answered = Answered(texts=answers.texts, generations=[answers], account={})
    content = completion(asked, answered, model)["choices"][0]["logprobs"]["content"]
    assert [one["logprob"] for one in content] == pytest.approx(answers.token_logprobs[0], abs=1e-5)
    assert all(len(one["top_logprobs"]) == 3 for one in content)
    assert all(one["logprob"] == pytest.approx(one["top_logprobs"][0]["logprob"]) for one in content), "it is greedy"


def test_events_hold_the_same_as_the_reply() -> None:
    made = reply(generation([1, 2, 0], "dark  red, \n"), "dark  red, \n", choices=2, alternatives=1)
    sent = list(events(made, usage=True))
    assert sent[-1] == "data: [DONE]\n\n" and all(one.startswith("data: ") and one.endswith("\n\n") for one in sent)
    chunks = [json.loads(one.removeprefix("data: ")) for one in sent[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"} and {c["id"] for c in chunks} == {
        made["id"]
    }
    assert chunks[-1]["usage"] == made["usage"] and chunks[-1]["choices"] == []
    for choice in made["choices"]:
        own = [part for chunk in chunks for part in chunk["choices"] if part["index"] == choice["index"]]
        assert "".join(part["delta"].get("content", "") for part in own) == choice["message"]["content"]
        assert own[0]["delta"]["role"] == "assistant" and len(own) > 3
        assert [part["finish_reason"] for part in own] == [None] * (len(own) - 1) + [choice["finish_reason"]]
        assert [part["logprobs"] for part in own if part.get("logprobs")] == [choice["logprobs"]]
    assert len(list(events(reply(None, ""), usage=False))) == 3, (
        "an empty answer is one part, its end and the end of all"
    )


def test_errors_have_openais_form() -> None:
    assert error(RequestError("no\nsuch " + "x" * 5000, 404, "model", "model_not_found")) == {
        "error": {
            "message": "no such " + "x" * 992,
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }
    assert error(RequestError("down", 503))["error"]["type"] == "server_error"
