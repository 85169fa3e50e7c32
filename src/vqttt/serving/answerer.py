"""Answers in a program's own loop: a model, a method and what it has learned, behind one call."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from vqttt.errors import InputError
from vqttt.methods import MethodSpec, find_method
from vqttt.methods.stream import StreamMethod
from vqttt.models import LoadOptions, ServedOptions, load_model
from vqttt.models.base import Model
from vqttt.models.batch import Given
from vqttt.models.function import AnswerFunction, FunctionModel
from vqttt.types import Answer


class Answerer:
    """Answers questions about images, and learns from them if its method does.

    It may be used from several threads: what is asked at the same time is answered one after another.

        with vqttt.Answerer("embedded", method="vq-select") as answerer:
            print(answerer.answer("photo.jpg", "what color is the circle?").answer)

    Attributes:
        model: the model that answers.
        method: how it answers.
    """

    def __init__(
        self,
        model: str | Model | AnswerFunction = "embedded",
        method: str | MethodSpec = "vq-select",
        *,
        settings: Mapping[str, Any] | None = None,
        start: Path | str | None = None,
        tuned: Path | str | None = None,
        max_new_tokens: int = 16,
        load: LoadOptions | None = None,
        served: ServedOptions | None = None,
    ) -> None:
        """Load the model and build the method.

        Args:
            model: a name (see `vqttt.load_model`), a model, or a function of yours from an image (uint8, (H, W, 3)) and
                a question to the answer's text and the log-probabilities of its tokens (see `FunctionModel`).
            method: the name of a registered method, or a spec.
            settings: of the method, by name, such as `{"tries": 3}`.
            start: a file that `save` or `vqttt tune` wrote; the method goes on learning from there.
            tuned: such a file, of which nothing more is learned.
            max_new_tokens: the longest answer, in tokens.
            load: how a checkpoint is loaded (see `vqttt.load_model`).
            served: where the server of a served model is, and how it is asked.

        Raises:
            InputError: if the model does not offer what the method needs, or a setting or file cannot be used.
            ModelError: if the model cannot be loaded.
        """
        if start is not None and tuned is not None:
            raise InputError("start goes on learning from a file and tuned does not; give one of them")
        self.model = self._model(model, load, served)
        spec = find_method(method) if isinstance(method, str) else method
        spec = spec.changed(settings) if settings else spec
        if start is not None or tuned is not None:
            spec = spec.saved(Path(str(start or tuned)))
        self.method = (spec if start is None else spec.learning()).build(self.model, max_new_tokens=max_new_tokens)
        self._lock = threading.Lock()

    def answer(self, image: Given | str | Path, question: str) -> Answer:
        """Answer one question about an image.

        Args:
            image: an array (uint8, (H, W, 3)), a Pillow image, or the path of a file; or a list of these, or none.
            question: the text.

        Returns:
            The answer. One that failed has the reason in `error`.

        Raises:
            InputError: if the image cannot be read.
        """
        return self.answer_all([image], [question])[0]

    def answer_all(self, images: Sequence[Given | str | Path], questions: Sequence[str]) -> list[Answer]:
        """Answer questions, each about an image, in one batch; arguments and errors as for `answer`."""
        shown = [_read(image) for image in images]
        with self._lock:
            return self.method.ask(shown, questions)

    def save(self, path: Path | str) -> None:
        """Write what was learned, for `start` or `tuned`.

        Raises:
            InputError: if the method learns nothing.
        """
        with self._lock:
            self._learner().save(Path(path))

    def reset(self) -> None:
        """Forget what was learned here."""
        with self._lock:
            self.method.reset()

    def __enter__(self) -> "Answerer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections of a served model; nothing else needs to be closed."""
        close: Callable[[], None] | None = getattr(self.model, "close", None)
        if close is not None:
            close()

    def _learner(self) -> StreamMethod:
        if not isinstance(self.method, StreamMethod):
            raise InputError(f"the method {self.method.name} learns nothing that could be saved")
        return self.method

    @staticmethod
    def _model(model: str | Model | AnswerFunction, load: LoadOptions | None, served: ServedOptions | None) -> Model:
        if isinstance(model, str):
            return load_model(model, load, served)
        return model if isinstance(model, Model) else FunctionModel(model)


def _read(image: Given | str | Path) -> Given:
    from vqttt.images.files import load_image

    if isinstance(image, str | Path):
        return load_image(image)
    if isinstance(image, Sequence):
        return [load_image(one) if isinstance(one, str | Path) else one for one in image]  # type: ignore[return-value]
    return image
