"""A model behind an OpenAI-compatible server, asked with many requests at a time."""

import json
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from vqttt.models.base import Inputs, Model
from vqttt.models.batch import Shown, as_shown, listed
from vqttt.models.conversation import Conversation
from vqttt.models.generation import ListedGeneration
from vqttt.models.questions import plain
from vqttt.models.served.circuit import Allowance
from vqttt.models.served.client import Client
from vqttt.models.served.messages import messages
from vqttt.models.served.options import PREFIX, ServedOptions
from vqttt.models.served.replies import Reply
from vqttt.models.usage import Usage

_PROBE = np.full((64, 64, 3), 128, np.uint8)


class ServedModel(Model):
    """Asks a server; what it can do is found out by one request about a grey image.

    Attributes:
        certain: whether the server gives log-probabilities. If not, confidences and entropies are NaN.
    """

    independent = True

    def __init__(self, name: str, options: ServedOptions) -> None:
        """Find out what the server can do.

        Args:
            name: `openai:` and what the server calls the model.
            options: where the server is, and how it is asked.

        Raises:
            InputError: if there is no URL, or the key cannot be sent.
            MissingExtraError: if the package `openai` is not installed.
            ModelError: if the model cannot answer a question about an image.
            ServerError: if the server cannot be reached, or refuses the key or the model.
        """
        self.name, self.options = name, options
        self.client = Client(name.removeprefix(PREFIX), options)
        weakref.finalize(self, self.client.close)
        self.allowance = Allowance(options.max_requests)
        self.usage, self._lock = Usage(), threading.Lock()
        probed = self.client.agree(messages([_PROBE], "what color is this?"))
        self.certain, self.reported = bool(probed.chosen), probed.model
        if not self.certain:
            for parameter in ("logprobs", "top_logprobs"):
                self.client.parameters.pop(parameter, None)
        self._threads = ThreadPoolExecutor(options.concurrency, thread_name_prefix="vqttt-served")
        weakref.finalize(self, self._threads.shutdown, wait=False)

    def answer(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> ListedGeneration:
        """Answer N questions, each by a request of its own; one that fails leaves the others alone.

        Raises:
            RequestsSpentError: if fewer than N requests are allowed; none is sent.
            ServerError: if the server cannot be asked any more.
        """
        return self._asked(images, questions, max_new_tokens)

    def sample(self, inputs: Inputs, max_new_tokens: int, temperature: float, seed: int) -> ListedGeneration:
        """Answer by tokens that the server draws (see `Model.sample`); raises as `answer` does."""
        return self._asked(inputs.images, inputs.questions, max_new_tokens, temperature=temperature, seed=seed)

    def _asked(
        self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int, **drawn: float
    ) -> ListedGeneration:
        self.allowance.take(len(questions))

        def ask(shown: Shown, question: str) -> Reply:
            more = question.parameters if isinstance(question, Conversation) else {}
            sent = messages(listed(shown), plain(question), self.options.max_pixels)
            reply = self.client.ask(sent, max_new_tokens, **{**more, **drawn})
            with self._lock:
                self.usage += reply.usage
            return reply

        waiting = [
            self._threads.submit(ask, shown, question)
            for shown, question in zip(as_shown(images), questions, strict=True)
        ]
        try:
            replies = [one.result() for one in waiting]
        finally:
            for one in waiting:
                one.cancel()  # those that have not begun, if another one ended the run
        return ListedGeneration(
            texts=[reply.text for reply in replies],
            chosen=[reply.chosen for reply in replies],
            likeliest=[reply.likeliest for reply in replies],
            shown=[reply.shown for reply in replies],
            failures=[reply.failure for reply in replies],
            prompt_tokens=[reply.usage.prompt_tokens for reply in replies],
        )

    def check_allowance(self, count: int) -> None:
        """See that so many requests may be sent (see `Model.check_allowance`)."""
        self.allowance.check(count)

    def close(self) -> None:
        """Close the connections; nothing can be asked any more."""
        self._threads.shutdown(wait=False)
        self.client.close()

    def fingerprint(self) -> str:
        """Return the name that the server reports, its URL without credentials, and what every request says."""
        return json.dumps(self._described() | {"url": self.client.url}, sort_keys=True)

    def tuned_for(self) -> str:
        """Return the same without the URL: a model may move from one address to another."""
        return json.dumps(self._described(), sort_keys=True)

    def _described(self) -> dict[str, Any]:
        sent = {name: value for name, value in self.client.parameters.items() if name != "model"}
        if self.options.max_pixels:
            sent["max_pixels"] = self.options.max_pixels
        return {"served": self.reported, **sent}
