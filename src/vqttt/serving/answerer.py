"""Answers in a program's own loop: a model, a method and what it has learned, behind one call."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from vqttt.errors import InputError
from vqttt.images.files import load_image
from vqttt.methods import MethodSpec, find_method
from vqttt.methods.saved import SavedConfig
from vqttt.methods.stream import StreamMethod
from vqttt.models import LoadOptions, ServedOptions, load_model
from vqttt.models.base import Model
from vqttt.models.batch import Given, check_asked
from vqttt.models.function import AnswerFunction, FunctionModel
from vqttt.types import Answer


class Answerer:
    """Answers questions about images, and learns from them if its method does.

    It may be used from several threads: what is asked at the same time is answered one after another. Processes do not
    share what they learn.

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
                a question to the answer's text and the log-probability of each token of it. A method that needs no
                probabilities also takes an empty list of them. A file that was saved with a function fits any
                function of the same name.
            method: the name of a registered method, or a spec.
            settings: of the method, by name, such as `{"tries": 3}`.
            start: a file that `save` or `vqttt tune` wrote; the method goes on learning from there.
            tuned: such a file, of which nothing more is learned.
            max_new_tokens: the longest answer, in tokens; a function decides this itself.
            load: how a checkpoint is loaded (see `vqttt.load_model`); only for a name.
            served: where the server of a served model is, and how it is asked; only for a name.

        Raises:
            InputError: if the model does not offer what the method needs, or a setting or file cannot be used.
            ModelError: if the model cannot be loaded.
            ServerError: if it is behind a server that cannot be asked.
        """
        if max_new_tokens < 1:
            raise InputError(f"max_new_tokens must be at least 1, not {max_new_tokens}")
        spec = _spec(method, settings, start, tuned)
        self._opened = isinstance(model, str)
        self.model = _model(model, spec, load, served)
        self.method = spec.build(self.model, max_new_tokens=max_new_tokens)
        self._lock = threading.Lock()

    def answer(self, image: Given | str | Path, question: str) -> Answer:
        """Answer one question about an image.

        Args:
            image: an array (uint8, (H, W, 3)), a Pillow image, or the path of a file; or a list of these: several that
                belong together, or an empty one for a question without an image.
            question: the text.

        Returns:
            The answer. If the model's numbers are not finite, or its server gives no answer, `error` says so.

        Raises:
            InputError: if the image cannot be read.
            ServerError: if the model is behind a server that cannot be asked any more.
            Exception: whatever the model raises over an unusual image; the method has then learned nothing from it.
        """
        return self.answer_all([image], [question])[0]

    def answer_all(self, images: Sequence[Given | str | Path], questions: Sequence[str]) -> list[Answer]:
        """Answer questions, each about an image, in one batch; arguments and errors as for `answer`.

        A model in this process answers a batch in one pass; to a served one, many requests are sent at a time.
        """
        if isinstance(images, str) or not isinstance(images, Sequence):
            raise InputError("answer_all takes lists of images and of questions; answer takes one of each")
        shown = [_read(image) for image in images]
        check_asked(shown, questions)
        with self._lock:
            return self.method.ask(shown, questions)

    def save(self, path: Path | str) -> None:
        """Write what was learned, for `start` or `tuned`; a file of that name is replaced.

        Raises:
            InputError: if the method learns nothing, or the file cannot be written.
        """
        if not isinstance(self.method, StreamMethod):
            frozen = isinstance(self.method.config, SavedConfig)
            why = "was given by tuned, and learned nothing more; give start" if frozen else "learns nothing"
            raise InputError(f"the method {self.method.name} {why}, so there is nothing to save")
        path = Path(path)
        if path.is_dir() or not path.parent.is_dir():
            raise InputError(f"{path} cannot be written: give the name of a file in a folder that exists")
        with self._lock:
            self.method.save(path)

    def reset(self) -> None:
        """Forget what was learned, but for what `start` gave."""
        with self._lock:
            self.method.reset()

    def __enter__(self) -> "Answerer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections of a served model that was named; a model that was given stays as it is."""
        if self._opened:
            self.model.close()


def _spec(
    method: str | MethodSpec, settings: Mapping[str, Any] | None, start: Path | str | None, tuned: Path | str | None
) -> MethodSpec:
    """Return the method with its settings and what it starts from, or applies."""
    if start is not None and tuned is not None:
        raise InputError("start goes on learning from a file and tuned does not; give one of them")
    spec = find_method(method) if isinstance(method, str) else method
    spec = spec.changed(settings) if settings else spec
    if start is not None:
        return spec.saved(Path(start)).learning()
    return spec if tuned is None else spec.saved(Path(tuned))


def _model(
    model: str | Model | AnswerFunction, spec: MethodSpec, load: LoadOptions | None, served: ServedOptions | None
) -> Model:
    if isinstance(model, str):
        return load_model(model, load, served)
    if load is not None or served is not None:
        raise InputError("load and served say how a model is found by its name; leave them out here")
    if isinstance(model, Model):
        return model
    # Probabilities are asked of a function only if the method cannot do without.
    return FunctionModel(model, certain=bool(spec.lacks(FunctionModel(model, certain=False))))


def _read(image: Given | str | Path) -> Given:
    if isinstance(image, str | Path):
        return load_image(image)
    if isinstance(image, Sequence):
        return [load_image(one) if isinstance(one, str | Path) else one for one in image]  # type: ignore[return-value]
    return image
