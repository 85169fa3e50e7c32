"""One model, asked from many threads: what waits for the same work is done together, in one pass."""

import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, TypeVar

from vqttt.errors import InputError, VQTTTError, in_a_line
from vqttt.models.base import Generation, Inputs, Model
from vqttt.models.batch import Shown
from vqttt.models.generation import LogitGeneration

T = TypeVar("T")

Work = Callable[[Sequence[Shown], Sequence[str]], Sequence[T]]
"""Does something with the images and questions of N samples, and returns N results."""


class JoinedGeneration(Generation):
    """Answers that come from several generations, one each."""

    def __init__(self, parts: Sequence[Generation]) -> None:
        """Store generations of one answer each."""
        self.parts = list(parts)
        self.texts = [part.texts[0] for part in parts]
        self.prompt_tokens = [count for part in parts for count in part.prompt_tokens]

    @property
    def token_logprobs(self) -> list[list[float]]:
        """The log-probability of each token of each answer, in nats."""
        return [part.token_logprobs[0] for part in self.parts]

    @property
    def entropies(self) -> list[float]:
        """The mean entropy of each answer's token distributions, in nats."""
        return [part.entropies[0] for part in self.parts]

    @property
    def confidences(self) -> list[float]:
        """The geometric mean of the probabilities of each answer's tokens, 0 to 1."""
        return [part.confidences[0] for part in self.parts]

    @property
    def errors(self) -> list[str]:
        """Why each answer is none; empty for an answer."""
        return [part.errors[0] for part in self.parts]

    def select(self, rows: Sequence[int]) -> "JoinedGeneration":
        """Return the answers `rows`, in that order."""
        return JoinedGeneration([self.parts[n] for n in rows])


@dataclass(frozen=True)
class _Job(Generic[T]):
    """One sample that waits: jobs of the same key can be worked on together."""

    key: Hashable
    work: Work[T]
    shown: Shown
    question: str
    future: "Future[T]" = field(default_factory=Future)


class SharedPasses:
    """Runs a model in a thread of its own, which does all that waits for the same work in one pass.

    While a pass runs the next samples gather, so batches grow with the load and nobody waits for company.
    """

    def __init__(self, model: Model, most: int, took: Callable[[int], None] = lambda size: None) -> None:
        """Start the thread.

        Args:
            model: the model; nothing else may use it from now on.
            most: samples in one pass at most.
            took: called with the number of samples of every pass.
        """
        self._model, self._most, self._took = model, most, took
        self._jobs, self._changed, self._closed = deque[_Job[Any]](), threading.Condition(), False
        self._thread = threading.Thread(target=self._run, name="vqttt-model", daemon=True)
        self._thread.start()

    def answer(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> Generation:
        """Answer N questions greedily; raises what the model raises over one of them."""
        work = partial(self._look, max_new_tokens=max_new_tokens)
        parts: list[Generation] = self.together(max_new_tokens, work, images, questions)
        return parts[0] if len(parts) == 1 else JoinedGeneration(parts)

    def together(self, key: Hashable, work: Work[T], images: Sequence[Shown], questions: Sequence[str]) -> list[T]:
        """Do something with N samples, together with those of others that have the same key.

        Args:
            key: says what is done; the same key must stand for the same work.
            work: does it, while nothing else uses the model.
            images: of each sample.
            questions: of each sample.
        """
        jobs = [_Job(key, work, shown, question) for shown, question in zip(images, questions, strict=True)]
        with self._changed:
            if self._closed:
                raise VQTTTError("the server is stopping")
            self._jobs.extend(jobs)
            self._changed.notify()
        return [job.future.result() for job in jobs]

    def alone(self, work: Callable[[], T]) -> T:
        """Do something with the model while nothing else uses it."""
        return self.together(object(), lambda images, questions: [work()], [()], [""])[0]

    def close(self) -> None:
        """Finish what waits, then end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self._took(len(batch))
            self._do(batch)

    def _next(self) -> list[_Job[Any]]:
        """Wait for a job; return the one that waits longest, with those that can be done with it."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            batch, rest = list[_Job[Any]](), deque[_Job[Any]]()
            for job in self._jobs:
                fits = not batch or (job.key == batch[0].key and len(batch) < self._most)
                (batch if fits else rest).append(job)
            self._jobs = rest
            return batch

    def _do(self, batch: Sequence[_Job[Any]]) -> None:
        """Do jobs together; if that fails one by one, so that only those fail that must. The thread outlives it all."""
        try:
            results = list(batch[0].work([job.shown for job in batch], [job.question for job in batch]))
            if len(results) != len(batch):
                raise RuntimeError(f"{len(results)} answers to {len(batch)} questions")
        except BaseException as error:  # a processor, a network or a plug-in may raise anything over an unusual sample
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            for job in batch:
                self._do([job])
            return
        for job, result in zip(batch, results, strict=True):
            job.future.set_result(result)

    def _look(self, images: Sequence[Shown], questions: Sequence[str], max_new_tokens: int) -> list[Generation]:
        """Answer a batch; return an answer for each sample, with the length of its prompt if that is known."""
        inputs = encoded(self._model, images, questions)
        answers = counted(inputs, self._model.generate(inputs, max_new_tokens))
        return [answers.select([n]) for n in range(len(questions))]


def encoded(model: Model, images: Sequence[Shown], questions: Sequence[str]) -> Inputs:
    """Return a batch (see `Model.batch_of`).

    Raises:
        InputError: if the model cannot take a question or an image, or a prompt is longer than its context.
    """
    try:
        return model.batch_of(images, questions)
    except VQTTTError:
        raise
    except Exception as error:  # a processor may raise anything over an unusual question or image
        raise InputError(f"the model cannot take this question or image: {in_a_line(error)[:300]}") from error


def counted(inputs: Inputs, answers: Generation) -> Generation:
    """Return answers with the lengths of their prompts, if these are known."""
    lengths = inputs.lengths
    return replace(answers, prompt_tokens=lengths) if lengths and isinstance(answers, LogitGeneration) else answers
