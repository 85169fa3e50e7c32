"""The model `vqttt` for lmms-eval 0.7: its tasks, with degradations, restorers and tuning at test time.

All settings are given in `--model_args`: lmms-eval's response cache has these in its key, but not the images.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import torch
from lmms_eval.api.model import lmms
from lmms_eval.models.registry_v2 import ModelManifest
from lmms_eval.utils import simple_parse_args_string
from loguru import logger
from PIL import Image as PILImage
from tqdm import tqdm

from vqttt.errors import InputError, UnsupportedError
from vqttt.images.files import SAVE_OPTIONS, from_pillow, load_image
from vqttt.integrations.settings import Limits, Settings
from vqttt.integrations.stream import Load, Question, Stream
from vqttt.models import MODELS
from vqttt.models.tunable import TunableModel
from vqttt.types import Image

MANIFEST = ModelManifest(
    model_id="vqttt",
    simple_class_path=f"{__name__}.SimpleVQTTT",
    chat_class_path=f"{__name__}.ChatVQTTT",
)
"""The object of the entry point in the group `lmms_eval.models`."""


@dataclass(frozen=True, kw_only=True)
class _Request:
    """A request to generate, parsed."""

    task: str
    doc_id: int
    question: Question
    limits: Limits

    @property
    def kind(self) -> tuple[str, int]:
        """What the requests of one batch have in common."""
        return self.task, self.limits.max_new_tokens


class ChatVQTTT(lmms):  # type: ignore[misc]
    """Answers requests in order, so that a method that learns along the stream sees the task's order."""

    is_simple = False

    def __init__(self, **arguments: Any) -> None:
        """Load the model; the arguments are described at `Settings`.

        Raises:
            VQTTTError: if an argument is invalid, or the model cannot be loaded.
        """
        super().__init__()
        local = os.environ.get("LOCAL_RANK", "")
        if local and torch.cuda.is_available() and arguments.get("pretrained") not in (None, *MODELS):
            arguments.setdefault("device", f"cuda:{local}")
        self.settings = Settings.parse(arguments)
        self.model = self.settings.load_model()
        self.settings.new_method(self.model)  # a file of adapters that does not fit fails here, before a task is loaded
        self._streams: dict[str, Stream] = {}
        self._next: dict[str, int] = {}
        self._warned: set[str] = set()
        logger.info(f"vqttt: {self.settings}")

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: dict[str, Any] | None = None) -> Self:
        """Create the model from `--model_args` and `--device`.

        Raises:
            InputError: for a `--batch_size` that is not in `--model_args` too. The batch size decides what a method
                learns, and the key of the response cache would not have it.
        """
        arguments = simple_parse_args_string(arg_string)
        for name, value in (additional_config or {}).items():
            if name == "device" and value is not None:
                arguments.setdefault(name, value)
            # lmms-eval passes the number 1 by default; what is given on the command line arrives as text.
            elif value is not None and value != 1 and str(arguments.get(name)) != str(value):
                raise InputError(f"vqttt does not use --{name}; give --model_args batch_size=N instead")
        return cls(**arguments)

    @property
    def device(self) -> torch.device:
        """The model's device; lmms-eval needs it when several processes share the work."""
        return self.model.device if isinstance(self.model, TunableModel) else torch.device("cpu")

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Answer requests; one that fails gets an empty answer and is counted.

        Raises:
            UnsupportedError: if one has a video or sound, or is a conversation.
        """
        read = [self._read(request) for request in requests]
        answers: list[str] = []
        with tqdm(total=len(read), disable=self.rank != 0, desc="vqttt") as bar:
            for (task, tokens), batch in self._batches(read):
                stream = self._stream(task, [one.doc_id for one in batch])
                texts = stream.answer([one.question for one in batch], tokens)
                answers += [one.limits.cut(text) for one, text in zip(batch, texts, strict=True)]
                bar.update(len(batch))
        return answers

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Refuse: lmms-eval 0.7.3 turns the result into text (`unwrap_generation_output`) and then cannot score it.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError("tasks that compare likelihoods are not supported: lmms-eval 0.7.3 cannot score them")

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
        """Refuse: vqttt answers each question on its own.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError("tasks of several rounds are not supported: vqttt answers one question at a time")

    def clean(self) -> None:
        """Log what happened, and free the model's memory."""
        for task, stream in self._streams.items():
            (logger.warning if stream.failed else logger.info)(f"vqttt, {task}: {stream.account}")
        self._streams.clear()
        del self.model
        super().clean()

    def _read(self, request: Any) -> _Request:
        """Parse a request of lmms-eval's chat tasks."""
        _, messages, wanted, doc_id, task, split = request.args
        return self._request(task, doc_id, partial(self._load_messages, messages, doc_id, task, split), wanted)

    def _request(self, task: str, doc_id: int, load: Load, wanted: dict[str, Any]) -> _Request:
        limits = Limits.parse(wanted, self.settings)
        if limits.drawn:
            self._warn(f"{task} asks for {limits.drawn}; answers are greedy")
        return _Request(task=task, doc_id=doc_id, question=Question(id=f"{task}:{doc_id}", load=load), limits=limits)

    def _load_messages(self, messages: Any, doc_id: int, task: str, split: str) -> tuple[list[Image], str]:
        images: list[Image] = []
        texts: list[str] = []
        for message in messages(self.task_dict[task][split][doc_id]):
            if message["role"] == "assistant":
                raise UnsupportedError(f"{task} has conversations; vqttt answers one question at a time")
            content = message["content"]
            for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
                if part["type"] == "text":
                    texts.append(part["text"])
                elif part["type"] == "image":
                    images.append(_image(part["url"]))
                    if texts and message["role"] == "user":
                        self._warn(f"{task} has images after text; the model gets all images first")
                else:
                    raise UnsupportedError(f"{task} has a {part['type']}; vqttt answers questions about images")
        return images, "\n".join(texts)

    def _batches(self, read: Sequence[_Request]) -> Iterator[tuple[tuple[str, int], list[_Request]]]:
        """Split requests into batches of one kind each, keeping their order."""
        for kind, some in groupby(read, key=lambda one: one.kind):
            alike = list(some)
            for start in range(0, len(alike), self.settings.batch_size):
                yield kind, alike[start : start + self.settings.batch_size]

    def _stream(self, task: str, doc_ids: Sequence[int]) -> Stream:
        """Return a task's stream; a method that learns starts anew with every task."""
        if task not in self._streams:
            self._streams[task] = Stream(self.model, self.settings)
        stream = self._streams[task]
        for doc_id in doc_ids:
            expected = self._next.get(task, self.rank)
            if stream.learns and doc_id not in (expected, expected - self.world_size):
                self._warn(
                    f"{task}: {self.settings.method} learns along the stream, and the stream lacks documents before "
                    f"{doc_id} (because of --offset, or cached answers); an uninterrupted run may answer differently"
                )
            self._next[task] = doc_id + self.world_size
        return stream

    def _warn(self, message: str) -> None:
        """Log a warning, once."""
        if message not in self._warned and self.rank == 0:
            logger.warning(f"vqttt: {message}")
        self._warned.add(message)


class SimpleVQTTT(ChatVQTTT):
    """The model for lmms-eval's simple tasks (`--force_simple`)."""

    is_simple = True

    def _read(self, request: Any) -> _Request:
        text, wanted, visuals, doc_id, task, split = request.args
        load = partial(self._load_visuals, text, visuals, doc_id, task, split)
        return self._request(task, doc_id, load, wanted)

    def _load_visuals(self, text: str, visuals: Any, doc_id: int, task: str, split: str) -> tuple[list[Image], str]:
        shown = (visuals(self.task_dict[task][split][doc_id]) if visuals else None) or []
        images = [_image(visual) for visual in (shown if isinstance(shown, list | tuple) else [shown])]
        return images, text


def _image(visual: Any) -> Image:
    """Return a task's visual as an image.

    Raises:
        UnsupportedError: if it is a video or sound.
        ImageError: if it is a file that cannot be read.
    """
    if isinstance(visual, PILImage.Image):
        return from_pillow(visual)
    if isinstance(visual, str) and Path(visual).suffix.lower() in {*SAVE_OPTIONS, ".gif"}:
        return load_image(visual)
    what = visual if isinstance(visual, str) else f"a {type(visual).__name__}"
    raise UnsupportedError(f"{what} is not an image; vqttt answers questions about images, not videos or sound")
