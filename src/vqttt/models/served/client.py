"""Sending chat requests to one model behind a server: retries, failures, and what the server understands.

The package `openai` sends, waits and retries: after a time-out, a lost connection or a status of 408, 409, 429 or 5xx,
with growing pauses or as long as `Retry-After` says.
"""

import os
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import ModuleType
from typing import Any

from vqttt.errors import InputError, MissingExtraError, ModelError, ServerError, in_a_line
from vqttt.models.served.circuit import Circuit
from vqttt.models.served.options import ServedOptions, secrets_in, without_credentials
from vqttt.models.served.replies import REFUSED, MalformedReplyError, Reply, read

RETRIES = 4
"""How often a request is sent again; the pauses are half a second to eight seconds."""

ALTERNATIVES = 20
"""The likeliest tokens that are asked for at each position, as many as OpenAI's interface allows."""

_TOKENS = ("max_tokens", "max_completion_tokens")
"""Names of the parameter for the longest answer: the common one, and the one that newer models of OpenAI want."""

_TOO_SHORT = re.compile("could not finish|output limit", re.IGNORECASE)
"""In a refusal, says that the longest answer was too short."""

_REFUSED = {401: "does not accept the key in OPENAI_API_KEY", 403: "does not allow this", 404: "has no such model"}
"""Statuses that every other request would get too, and what they mean."""


class Client:
    """Sends chat requests; safe between threads.

    Attributes:
        url: of the server, without credentials.
        parameters: what is sent with every request besides the messages; `agree` drops what the server refuses.
        circuit: opens when the server keeps failing.
    """

    def __init__(self, model: str, options: ServedOptions) -> None:
        """Connect to nothing yet.

        Args:
            model: what the server calls it.
            options: where the server is.

        Raises:
            InputError: if there is no URL, or the key cannot be sent.
            MissingExtraError: if the package `openai` is not installed.
        """
        self._package = _openai()
        url, key = options.url(), os.environ.get("OPENAI_API_KEY", "").strip() or "none"
        if not key.isascii() or not key.isprintable():
            raise InputError("OPENAI_API_KEY has characters that no key has; set it anew")
        self.url, self._secrets = (
            without_credentials(url),
            [key, *secrets_in(url)] if key != "none" else secrets_in(url),
        )
        self._client = self._package.OpenAI(api_key=key, base_url=url, timeout=options.timeout, max_retries=RETRIES)
        self.parameters: dict[str, Any] = {
            "model": model,
            "temperature": 0,
            "seed": 0,
            "logprobs": True,
            "top_logprobs": ALTERNATIVES,
        }
        self._length = _TOKENS[0]
        self.circuit = Circuit()

    def agree(self, messages: Sequence[Mapping[str, Any]]) -> Reply:
        """Ask once, leaving out the parameters that the server refuses; return the reply.

        Raises:
            ModelError: if the server refuses the request whatever is left out.
            ServerError: if it cannot be asked at all.
        """
        tokens = 16
        while True:
            try:
                return self._reply(messages, tokens)
            except self._unusable as error:
                raise self._down(error) from None
            except MalformedReplyError as error:
                raise ServerError(f"{self.url} gives no chat completions: {self._said(error)}") from None
            except self._package.APIStatusError as error:
                if error.status_code in _REFUSED:
                    raise self._refused(error) from None
                if error.status_code not in (400, 422):
                    raise self._down(error) from None
                if _TOO_SHORT.search(str(error)) and tokens < 4096:
                    tokens *= 16  # a model that reasons first
                elif not self._simplify(str(error)):
                    raise ModelError(
                        f"{self.url} cannot answer a question about an image with {self.parameters['model']}: "
                        f"{self._said(error)}"
                    ) from None

    def ask(self, messages: Sequence[Mapping[str, Any]], max_new_tokens: int, **more: Any) -> Reply:
        """Ask; the reply has the reason if there is no answer, although other requests may have one.

        Args:
            messages: of the conversation.
            max_new_tokens: the longest answer.
            more: parameters of this request only.

        Raises:
            ServerError: if the server cannot be asked any more.
        """
        self.circuit.check()
        try:
            reply = self._reply(messages, max_new_tokens, more)
        except self._package.APIStatusError as error:
            if error.status_code in _REFUSED:
                raise self._refused(error) from None
            if error.status_code >= 500 or error.status_code in (408, 409, 429):
                return self._failure(error)
            self.circuit.succeeded()  # it is this request that the server does not accept
            return Reply(failure=f"{REFUSED}: {self._said(error)}")
        except (self._package.APIError, MalformedReplyError, ValueError) as error:
            return self._failure(error)
        self.circuit.succeeded()
        return reply

    def served_names(self) -> list[str]:
        """Return the models that the server lists; none if it does not say."""
        try:
            return [str(model.id) for model in self._client.with_options(max_retries=0).models.list().data]
        except Exception:  # not every server has this list, and nothing depends on it
            return []

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @cached_property
    def _unusable(self) -> tuple[type[Exception], ...]:
        """Errors of a server that is not there, or is no server of this kind."""
        return (self._package.APIConnectionError, self._package.APIResponseValidationError, ValueError)

    def _reply(
        self, messages: Sequence[Mapping[str, Any]], max_new_tokens: int, more: Mapping[str, Any] | None = None
    ) -> Reply:
        """Send a request; once more if the reply is malformed, which the package does not retry."""
        arguments = self.parameters | {"messages": messages, self._length: max_new_tokens} | dict(more or {})
        try:
            return _read(self._client.chat.completions.create(**arguments))
        except (MalformedReplyError, ValueError):
            return _read(self._client.chat.completions.create(**arguments))

    def _simplify(self, refusal: str) -> bool:
        """Leave out the parameters that a refusal names, or else the log-probabilities; return whether any was left."""
        optional = ("temperature", "seed", "logprobs", "top_logprobs")
        named = [name for name in optional if name in refusal and name in self.parameters]
        if not named and self._length in refusal and self._length == _TOKENS[0]:
            self._length = _TOKENS[1]
            return True
        named = named or [name for name in optional if name.endswith("logprobs") and name in self.parameters]
        if "logprobs" in named:
            named.append("top_logprobs")
        for name in named:
            self.parameters.pop(name, None)
        return bool(named)

    def _failure(self, error: Exception) -> Reply:
        """Return a reply without an answer; the circuit counts it."""
        reason = self._said(error)
        self.circuit.failed(
            f"{self.url} failed {self.circuit.limit} times in a row, last with: {reason}; when it is back, the same "
            "command goes on where it stopped"
        )
        return Reply(failure=f"the server gave no answer: {reason}")

    def _down(self, error: Exception) -> ServerError:
        return ServerError(f"{self.url} cannot be asked: {self._said(error)}")

    def _refused(self, error: Any) -> ServerError:
        names = self.served_names() if error.status_code == 404 else []
        served = f"; it has {', '.join(names[:5])}" if names else ""
        return ServerError(
            f"{self.url} {_REFUSED[error.status_code]} ({self.parameters['model']}){served}: {self._said(error)}"
        )

    def _said(self, error: Exception) -> str:
        """Return an error in a line, without anything secret."""
        words = in_a_line(error)
        if (cause := error.__cause__) is not None and isinstance(error, self._package.APIConnectionError):
            words = f"{words} {in_a_line(cause)}"
        for secret in self._secrets:
            words = words.replace(secret, "...")
        return words[:300]


def _read(completion: Any) -> Reply:
    """Read a reply, of which the package checks nothing.

    Raises:
        MalformedReplyError: if it is not what it should be.
    """
    try:
        return read(completion)
    except (TypeError, AttributeError, RecursionError) as error:
        raise MalformedReplyError(f"the reply is not a chat completion: {in_a_line(error)}") from error


def _openai() -> ModuleType:
    """Import the package `openai`.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        import openai
    except ImportError:
        raise MissingExtraError("a served model needs the package openai: pip install 'vqttt[served]'") from None
    return openai
