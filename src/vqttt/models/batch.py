"""A batch: questions about images that are asked together, encoded if the model gives access to its internals."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor

from vqttt.errors import InputError
from vqttt.images.files import as_image
from vqttt.types import Image

Shown = Image | Sequence[Image]
"""The images of one sample: one image, or a list of several or none."""

Given = Shown | PILImage.Image | Sequence[PILImage.Image]
"""What callers may give as the images of one sample."""


def as_shown(images: Sequence[Given]) -> tuple[Shown, ...]:
    """Return the images of N samples as arrays, whether given so or as Pillow images.

    Raises:
        InputError: if one is neither.
    """
    single = np.ndarray | PILImage.Image
    return tuple(
        as_image(given) if isinstance(given, single) or not isinstance(given, Sequence) else [*map(as_image, given)]
        for given in images
    )


def listed(shown: Shown) -> list[Image]:
    """Return the images of one sample as a list, whether there is one, several or none."""
    return [shown] if isinstance(shown, np.ndarray) else list(shown)


def check_asked(images: Sequence[Given], questions: Sequence[str]) -> None:
    """Check that there is a question for each sample.

    Raises:
        InputError: if there is none, or not as many questions as samples, or one of both is no list.
    """
    if isinstance(questions, str) or isinstance(images, np.ndarray | PILImage.Image):
        raise InputError("give lists of images and of questions, such as [image] and ['what color is it?']")
    if not len(questions) or len(images) != len(questions):
        raise InputError(
            f"{len(images)} images for {len(questions)} questions; give one question for each image, or for each list "
            "of images that belong together"
        )


def check_counts(model: Any, counts: Sequence[int]) -> None:
    """Check that a model's samples may have so many images.

    Args:
        model: a `HuggingFaceModel`, which says what it takes.
        counts: images of each sample.

    Raises:
        InputError: if they may not.
    """
    model_type = model.network.config.model_type
    if not model.bare and not all(counts):
        raise InputError(f"{model_type} answers only questions about an image; give one")
    if not model.several and max(counts) > 1:
        raise InputError(f"{model_type} takes one image with a question, not {max(counts)}")
    if not model.mixes and any(counts) and not all(counts):
        raise InputError(f"{model_type}: samples with and without images cannot be in one batch; separate them")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """A batch, ready for the model.

    Attributes:
        tensors: keyword arguments of the model's forward pass; token tensors are (N, L), padded on the left. Empty for
            a model that takes only images and questions.
        count: number of samples, N.
        groups: each sample's question type, if known. It is not given to the model.
        shown: number of images of each sample; empty if each has one.
        sizes: height and width, in pixels, of each sample's images as they were given; empty if not known. Some
            families need them to tell an image from the margins around it.
        options: each sample's answer options, empty for an open question. They are not given to the model; a question
            that offers them repeats them in its text.
        images, questions: each sample's images and question as given to `Model.ask`, for methods that ask again with
            other images; empty if the batch was encoded without it.
        places: where the images lie in the tensors, if the model found that out by trying and the batch is a part of
            another (see `vqttt.models.discovered`).
    """

    tensors: dict[str, Tensor]
    count: int
    groups: tuple[str, ...] = ()
    shown: tuple[int, ...] = ()
    sizes: tuple[tuple[tuple[int, int], ...], ...] = ()
    options: tuple[tuple[str, ...], ...] = ()
    images: tuple[Shown, ...] = field(default=(), repr=False, compare=False)
    questions: tuple[str, ...] = ()
    places: Any = field(default=None, repr=False, compare=False)

    def select(self, rows: Sequence[int]) -> "Inputs":
        """Return the samples `rows`, in that order, without their tensors (see `TunableModel.select`)."""
        return Inputs(
            tensors={},
            count=len(rows),
            groups=tuple(self.groups[n] for n in rows) if self.groups else (),
            shown=tuple(self.shown[n] for n in rows) if self.shown else (),
            sizes=tuple(self.sizes[n] for n in rows) if self.sizes else (),
            options=tuple(self.options[n] for n in rows) if self.options else (),
            images=tuple(self.images[n] for n in rows) if self.images else (),
            questions=tuple(self.questions[n] for n in rows) if self.questions else (),
        )

    def with_tensors(self, **changed: Tensor) -> "Inputs":
        """Return the same batch with some tensors replaced."""
        return replace(self, tensors={**self.tensors, **changed})

    @property
    def owner(self) -> Tensor:
        """The sample that each image belongs to, (images,), on the tensors' device."""
        device = next(iter(self.tensors.values())).device
        samples = torch.arange(self.count, device=device)
        return samples.repeat_interleave(torch.tensor(self.shown, device=device)) if self.shown else samples

    @property
    def lengths(self) -> list[int]:
        """The number of tokens of each prompt, images included; empty if that is not known."""
        mask = self.tensors.get("attention_mask")
        return [] if mask is None else [int(count) for count in mask.sum(1).tolist()]
