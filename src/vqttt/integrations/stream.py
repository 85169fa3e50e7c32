"""A stream: the questions of one task, answered in order by one instance of a method."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from vqttt.errors import UnsupportedError
from vqttt.images.conditions import degrade_and_restore
from vqttt.images.degradations import image_seed
from vqttt.integrations.settings import Settings
from vqttt.models.answering import Asked, answer_untuned
from vqttt.models.base import Model
from vqttt.types import Answer, Image

Load: TypeAlias = Callable[[], tuple[list[Image], str]]
"""Returns a question's undegraded images and its text."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question about one image, several or none.

    Attributes:
        id: stable between runs. It decides, with the settings' seed and an image's position, every random draw of the
            image's degradation.
        load: called when the images and the text are needed.
    """

    id: str
    load: Load


class Stream:
    """Answers questions and counts what happened; a question that fails gets an empty answer and holds up no other."""

    def __init__(self, model: Model, settings: Settings) -> None:
        """Start with a method that has learned nothing yet."""
        self.model, self.settings = model, settings
        self.method = settings.new_method(model)
        self.answered = self.tuned = self.rolled_back = self.changed = self.failed = 0
        self.seconds = 0.0
        self.reason = ""

    @property
    def learns(self) -> bool:
        """Whether an answer depends on the questions before it."""
        return self.settings.method_spec().learns

    @property
    def account(self) -> str:
        """What has happened so far, in one line."""
        each = self.seconds / max(self.answered + self.failed, 1)
        failures = f", {self.failed} failed, the first: {self.reason}" if self.failed else ", none failed"
        return (
            f"{self.answered} answered, {self.tuned} tuned, {self.rolled_back} rolled back, "
            f"{self.changed} answers changed, {each:.3f} s each{failures}"
        )

    def answer(self, questions: Sequence[Question], max_new_tokens: int) -> list[str]:
        """Answer a batch.

        Raises:
            UnsupportedError: if a question is of a kind that no model here can answer.
        """
        began = time.perf_counter()
        asked, texts = self._loaded(questions), dict[str, str]()
        self.method.max_new_tokens = max_new_tokens
        for some in _with_and_without(asked):  # few processors accept both in one batch
            texts |= {position: answer.answer for position, answer in self._answered(some, max_new_tokens).items()}
        self.seconds += time.perf_counter() - began
        return [texts.get(str(position), "") for position in range(len(questions))]

    def _loaded(self, questions: Sequence[Question]) -> dict[str, Asked]:
        """Load, degrade and restore; return each question that did not fail, by its position in the batch."""
        asked = dict[str, Asked]()
        for position, question in enumerate(questions):
            try:
                images, text = question.load()
                shown = [self._shown(image, f"{question.id}:{n}") for n, image in enumerate(images)]
                asked[str(position)] = Asked(shown=shown[0] if len(shown) == 1 else shown, text=text)
            except UnsupportedError:
                raise
            except Exception as error:  # whatever a task's own functions, a decoder or a restorer may raise
                self._fail([f"{question.id}: {type(error).__name__}: {error}"])
        return asked

    def _shown(self, image: Image, name: str) -> Image:
        return degrade_and_restore(image, self.settings.condition, image_seed(self.settings.seed, name))

    def _answered(self, asked: dict[str, Asked], max_new_tokens: int) -> dict[str, Answer]:
        """Answer questions that all have images, or all have none; a method that fails is reset."""
        try:
            together, errors = answer_untuned(asked, self.model, max_new_tokens)
            answers = self.method.answer(*together) if together else []
        except Exception as error:  # one bad batch must not end a run of many hours
            self.method.reset()
            self._fail([f"answering failed: {type(error).__name__}: {error}"] * len(asked))
            return {}
        self._fail(list(errors.values()))
        self.answered += len(answers)
        self.tuned += sum(answer.steps > 0 for answer in answers)
        self.rolled_back += sum(answer.rolled_back for answer in answers)
        self.changed += sum(answer.answer != answer.base_answer for answer in answers)
        return dict(zip((position for position in asked if position not in errors), answers, strict=True))

    def _fail(self, reasons: Sequence[str]) -> None:
        self.failed += len(reasons)
        self.reason = self.reason or " ".join("".join(reasons[:1]).split())


def _with_and_without(asked: dict[str, Asked]) -> list[dict[str, Asked]]:
    """Separate the questions that have images from those that have none."""
    bare = {position for position, one in asked.items() if isinstance(one.shown, list) and not one.shown}
    parts = [{key: one for key, one in asked.items() if (key in bare) is without} for without in (False, True)]
    return [part for part in parts if part]
