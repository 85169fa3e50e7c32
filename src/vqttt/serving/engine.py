"""Answering requests: which method, on which model, in whose stream, until when; and an account of what was done."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf, isfinite
from pathlib import Path
from typing import Any

from vqttt.errors import ServerError, UnsupportedError, in_a_line
from vqttt.methods import Method, MethodSpec, find_method
from vqttt.methods.spec import INTERNALS
from vqttt.methods.stream import StreamMethod
from vqttt.models.base import Generation, Model
from vqttt.models.batch import Shown
from vqttt.models.memory import release_pass
from vqttt.runs.records import NONE
from vqttt.serving.asked import Asked
from vqttt.serving.choosing import chosen
from vqttt.serving.limits import Limits
from vqttt.serving.noted import Notes
from vqttt.serving.refusals import RequestError
from vqttt.serving.shared_passes import SharedPasses, counted, encoded
from vqttt.serving.streams import Streams
from vqttt.serving.watched import Looks, WatchedModel
from vqttt.types import Answer

_BUILT = 64
"""Methods that are kept built, each with its settings and length of answers."""

_FAILED = "failed: "
"""What begins the account of a method that raised something."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The answers to one request.

    Attributes:
        texts: one for each choice.
        generations: where each text comes from; None where no single pass gave it.
        account: what was done, for the part `vqttt` of the reply.
        error: why there is no answer; empty if there is one.
    """

    texts: list[str]
    generations: list[Generation | None]
    account: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


class Engine:
    """Answers requests from any number of threads.

    Attributes:
        model: what methods ask; it counts their looks.
        streams: those that clients have named.
        spec: the method of requests that name none.
    """

    def __init__(
        self,
        model: Model,
        spec: MethodSpec,
        limits: Limits,
        *,
        folder: Path | None = None,
        took: Callable[[int], None] = lambda size: None,
    ) -> None:
        """Start.

        Args:
            model: the model; nothing else may use it from now on.
            spec: the method of requests that name none.
            limits: see `Limits`.
            folder: where streams are saved.
            took: called with the number of samples of every pass.

        Raises:
            InputError: if the model does not offer what the method needs.
        """
        spec.build(model)
        self._inner, self.spec, self.limits = model, spec, limits
        # A served model is asked with many requests at a time; one in this process with many questions in one pass.
        self._passes = None if model.independent else SharedPasses(model, limits.batch, took)
        self.model = WatchedModel(model, model.answer if self._passes is None else self._passes.answer)
        self.streams = Streams(
            self._stream,
            limits.streams,
            limits.stream_seconds,
            folder,
            memory=limits.stream_memory,
            queue=limits.stream_queue,
        )
        self._built: OrderedDict[object, Method] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, asked: Asked, owner: str = "", began: float | None = None) -> Answered:
        """Answer a request.

        Args:
            asked: the request.
            owner: whose it is, for its stream.
            began: when it arrived, by `time.monotonic`; its deadline counts from there. None for now.

        Raises:
            RequestError: if it asks for a method or setting that there is not.
            InputError: if the model cannot take the question or the images.
            ServerError: if the model is behind a server that cannot be asked.
        """
        began = time.monotonic() if began is None else began
        spec = chosen(asked, self.spec, self._inner, self.model)
        shown: Shown = asked.images[0] if len(asked.images) == 1 else asked.images
        deadline = inf if asked.deadline is None else began + asked.deadline
        with self.model.watching(deadline) as looks:
            if asked.temperature and spec.name == NONE:
                answered = self._drawn(asked, shown)
            else:
                answered = self._chosen(asked, spec, shown, owner, looks)
        return replace(answered, account={**answered.account, "seconds": round(time.monotonic() - began, 4)})

    def close(self) -> None:
        """Finish what waits, and save the streams."""
        self.streams.close()
        if self._passes is not None:
            self._passes.close()

    def _chosen(self, asked: Asked, spec: MethodSpec, shown: Shown, owner: str, looks: Looks) -> Answered:
        """Answer by a method; each choice is the same."""
        answer = self._answer(asked, spec, shown, owner, looks)
        generation = looks.of(answer.answer, answer.entropy_after)
        return Answered(
            texts=[answer.answer] * asked.choices,
            generations=[generation] * asked.choices,
            account=_account(answer, spec, asked, looks),
            error=answer.error,
        )

    def _answer(self, asked: Asked, spec: MethodSpec, shown: Shown, owner: str, looks: Looks) -> Answer:
        """Answer by a method; if that fails, untuned."""
        try:
            if spec.lacks(self.model) != INTERNALS:
                return self._by_method(asked, spec, owner, shown)
            assert self._passes is not None, "a served model gives no access to its internals"
            alike = object() if spec.learns else (spec, asked.tokens)  # what learns must not be shared by clients
            work = partial(self._by_internals, asked, spec, owner)
            (answer, found), *_ = self._passes.together(alike, work, [shown], [asked.question])
            looks.add(found)
            return answer
        except (ServerError, RequestError):
            raise
        except Exception as error:  # a method may be another package's, and its network may raise anything
            if spec.name == NONE:
                raise
            release_pass(error)
            untuned = self._built_for(find_method(NONE), asked.tokens).ask([shown], [asked.question])[0]
            return replace(untuned, rolled_back=True, how=f"{_FAILED}{in_a_line(error)[:300]}")

    def _by_method(self, asked: Asked, spec: MethodSpec, owner: str, shown: Shown) -> Answer:
        """Answer by the method of a stream, or by one that forgets what it learns here."""
        if asked.stream and spec.name != NONE:
            with self.streams.using(owner, asked.stream, spec) as stream:
                stream.max_new_tokens = asked.tokens
                return stream.answer_alone(encoded(stream.model, [shown], [asked.question]))[0]
        method = self._built_for(spec, asked.tokens)
        inputs, base = self.model.ask([shown], [asked.question], asked.tokens)
        return method.answer(inputs, base, learn=False)[0]

    def _by_internals(
        self, asked: Asked, spec: MethodSpec, owner: str, images: Sequence[Shown], questions: Sequence[str]
    ) -> list[tuple[Answer, Looks]]:
        """The same for methods that need the model's internals, several samples together; with the looks of each."""
        if asked.stream and spec.name != NONE:
            with self.streams.using(owner, asked.stream, spec) as stream:
                stream.max_new_tokens = asked.tokens
                return self._noted(stream, images, questions)
        built = spec.build(self._inner, max_new_tokens=asked.tokens) if spec.learns else None
        return self._noted(built or self._built_for(spec, asked.tokens), images, questions)

    def _noted(self, method: Method, images: Sequence[Shown], questions: Sequence[str]) -> list[tuple[Answer, Looks]]:
        notes = Notes(encoded(self._inner, images, questions))
        with notes.taken(self._inner):
            answers = method.answer_alone(notes.inputs)
        return list(zip(answers, notes.looks, strict=True))

    def _drawn(self, asked: Asked, shown: Shown) -> Answered:
        """Answer by tokens drawn at random, one draw for each choice."""

        def draw(seed: int) -> Generation:
            inputs = encoded(self._inner, [shown], [asked.question])
            return counted(inputs, self._inner.sample(inputs, asked.tokens, asked.temperature, seed))

        draws = [partial(draw, asked.seed + n) for n in range(asked.choices)]
        try:
            found = [one() if self._passes is None else self._passes.alone(one) for one in draws]
        except UnsupportedError as error:
            raise RequestError(str(error), param="temperature") from error
        errors = [error for one in found for error in one.errors if error]
        return Answered(
            texts=[one.texts[0] for one in found],
            generations=list(found),
            account={"method": NONE, "looks": asked.choices},
            error=errors[0] if errors else "",
        )

    def _built_for(self, spec: MethodSpec, tokens: int) -> Method:
        """Return a method that is built once for all requests that want the same of it."""
        key = (spec, tokens)
        with self._lock:
            method = self._built.get(key)
            if method is None:
                model = self._inner if spec.lacks(self.model) == INTERNALS else self.model
                method = self._built[key] = spec.build(model, max_new_tokens=tokens)
                while len(self._built) > _BUILT:
                    self._built.popitem(last=False)
            self._built.move_to_end(key)
            return method

    def _stream(self, spec: MethodSpec) -> StreamMethod:
        method = spec.build(self._inner if spec.lacks(self.model) == INTERNALS else self.model)
        assert isinstance(method, StreamMethod), method
        return method


def _account(answer: Answer, spec: MethodSpec, asked: Asked, looks: Looks) -> dict[str, Any]:
    """Return what was done for one answer."""
    failed = answer.how.startswith(_FAILED)
    return {
        "method": spec.name,
        "stream": (spec.name != NONE and asked.stream) or None,
        "before": answer.base_answer,
        "after": answer.answer,
        "entropy_before": _number(answer.entropy_before),
        "entropy_after": _number(answer.entropy_after),
        "looks": looks.count or None,
        "rolled_back": answer.rolled_back,
        "correction": None if failed else answer.how or None,
        "failed": answer.how.removeprefix(_FAILED) if failed else None,
        "deadline_reached": looks.late,
    }


def _number(value: float) -> float | None:
    return round(value, 6) if isfinite(value) else None
