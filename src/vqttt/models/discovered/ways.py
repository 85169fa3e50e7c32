"""How a model's processor is called, and what it takes: found by trying."""

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from vqttt.errors import ModelError, in_a_line
from vqttt.models.base import Inputs
from vqttt.models.discovered.stencil import Sizes
from vqttt.types import Image

if TYPE_CHECKING:
    from vqttt.models.discovered.family import Discovered

SEVERAL: Sizes = (((96, 64), (64, 96)), ((64, 64),))
SINGLE: Sizes = (((96, 64),), ((64, 64),))
MIXED: Sizes = (((96, 64),), ())
BARE: Sizes = ((), ())
"""Sizes of images that a model is tried with: several in a sample, one in each, with and without, and none."""

LARGE: Sizes = (((840, 560), (560, 840)), ((700, 700),))
"""Sizes of images that are cut into several tiles, and not all into as many, where a processor cuts images."""

QUESTIONS = ("How many objects are there in the image that you see?", "What is this?")
"""Their prompts differ in length, so that a batch has padding."""


@dataclass(frozen=True, kw_only=True)
class Ways:
    """How a processor is called, and what it and the network take.

    Attributes:
        chats: whether transformers' chat path makes the whole batch; else only the text of the prompts.
        nested: whether it takes a list of images for each sample, not one list for all.
        several: whether a sample may have several images.
        mixes: whether a batch may have samples with and without images.
        bare: whether a sample may have no image.
        counts: whether one pass needs to be told the tokens' positions, since it would count padding.
    """

    chats: bool
    nested: bool
    several: bool
    mixes: bool = False
    bare: bool = False
    counts: bool = False

    @property
    def sizes(self) -> Sizes:
        """Sizes of images to try the model with."""
        return SEVERAL if self.several else SINGLE

    @property
    def large(self) -> Sizes:
        """Sizes of large images to try the model with."""
        return LARGE if self.several else tuple(own[:1] for own in LARGE)


def find_ways(model: "Discovered") -> Ways:
    """Find how a model's processor is called.

    Raises:
        ModelError: if it takes no image and question in any way.
    """
    reasons = []
    for several, (chats, nested) in product((True, False), ((True, False), (False, True), (False, False))):
        model.ways = Ways(chats=chats, nested=nested, several=several)
        try:
            inputs = _batch(model, model.ways.sizes)
            if several:
                _check_several(model, inputs)
            break
        except Exception as error:  # a processor or network may raise anything over what it does not take
            reasons.append(in_a_line(error))
    else:
        raise ModelError(f"its processor takes no image and question: {reasons[0]}")
    ways = model.ways
    model.ways = replace(ways, mixes=True, bare=True)
    takes = {"mixes": _mixes(model), "bare": _takes(model, BARE)}
    return replace(ways, **takes, counts=_counts(model))


def noise(sizes: Sizes) -> list[list[Image]]:
    """Return random images of some sizes."""
    rng = np.random.default_rng(0)
    return [[rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in own] for own in sizes]


def _batch(model: "Discovered", sizes: Sizes) -> Inputs:
    return model.encode(noise(sizes), QUESTIONS[: len(sizes)])


def _takes(model: "Discovered", sizes: Sizes) -> bool:
    """Tell whether the model takes samples with so many images."""
    try:
        _logits(model, _batch(model, sizes))
    except Exception:  # see `find_ways`
        return False
    return True


def _mixes(model: "Discovered") -> bool:
    """Tell whether samples with and without an image in a batch have the answers that they have alone."""
    try:
        together = _logits(model, _batch(model, MIXED))
        shown, bare = noise(MIXED)
        apart = [
            _logits(model, model.encode([own], [question]))[0] - logits
            for own, question, logits in zip((shown, bare), QUESTIONS, together, strict=True)
        ]
    except Exception:  # see `find_ways`
        return False
    return float(torch.stack(apart).abs().max()) < float(together.std()) / 10


def _check_several(model: "Discovered", inputs: Inputs) -> None:
    """Check that the second image of a sample has an effect on it, and on no other sample.

    Raises:
        ModelError: if it has not.
    """
    images = noise(SEVERAL)
    images[0][1] = 255 - images[0][1]
    first, other = (_logits(model, inputs) - _logits(model, model.encode(images, QUESTIONS))).abs().amax(1).tolist()
    if not first or other > first / 10:
        raise ModelError("a sample's second image has no effect of its own")


def _counts(model: "Discovered") -> bool:
    """Tell whether a short prompt beside a longer one has the logits that it has alone only if positions are given."""
    inputs = _batch(model, SINGLE)
    alone = _logits(model, model.encode(noise(SINGLE)[1:], QUESTIONS[1:]))[0]
    apart = [float((_logits(model, inputs)[1] - alone).abs().max())]
    model.ways = replace(model.ways, counts=True)
    try:
        apart.append(float((_logits(model, inputs)[1] - alone).abs().max()))
    except Exception:  # most networks take positions, some do not
        return False
    return apart[1] < apart[0] / 10 and apart[0] > float(alone.std()) / 10  # more than rounding, in any format


@torch.no_grad()
def _logits(model: "Discovered", inputs: Inputs) -> Tensor:
    return model.answer_logits(inputs)[:, 0]
