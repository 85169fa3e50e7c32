"""Plain data that all rooms of vqttt share; every class is frozen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""An image: uint8 RGB of shape (H, W, 3), values 0 to 255."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Letters of the options of a multiple-choice question; a question has no more options than letters."""


def letters_of(choices: Sequence[str]) -> str:
    """Return the letters of the options that can be chosen.

    An empty option is a gap: it keeps its letter from the others but cannot be chosen. If all are empty, only their
    letters are known, and all can be chosen.
    """
    offered = "".join(letter for letter, choice in zip(LETTERS, choices, strict=False) if choice.strip())
    return offered or LETTERS[: len(choices)]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One question about one image.

    Attributes:
        id: unique within its task, and the same in every run.
        load: returns the image. Images are loaded on demand, so a task may be larger than memory.
        question: the question as a person would ask it, without any chat template.
        answers: the accepted answers. Reports show the first.
        choices: the options of a multiple-choice question, in order; empty for an open question. An empty option is a
            gap (see `letters_of`).
        category: the skill that the question tests (`counting`, `reading`, ...); reports give accuracy by category.
        question_type: a finer type, or the template the question was made from; empty if the task has none.
        prompt: the exact text to ask, if the benchmark prescribes one; empty for the default prompt.
        rule: how answers are scored, a name in `vqttt.scoring.RULES`.
        file: path of the file that holds the image, if it is the user's own: the image, or a table of images. Its
            content is part of the run's identity, because the user may change it.
    """

    id: str
    load: Callable[[], Image] = field(repr=False, compare=False)
    question: str
    answers: tuple[str, ...]
    choices: tuple[str, ...] = ()
    category: str = ""
    question_type: str = ""
    prompt: str = ""
    rule: str = ""
    file: Path | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What is done to an image before the model gets it: a degradation, then a restorer.

    Attributes:
        degradation: a registered degradation or style, several joined by `+`, or `clean`.
        severity: 1 to 5; 0 for `clean`.
        scale: `relative` scales lengths in pixels by the image's short side / 224; `absolute` uses them as published.
        restorer: a registered name, `matched`, `spandrel:PATH`, or `none`.
    """

    degradation: str = "clean"
    severity: int = 0
    scale: str = "relative"
    restorer: str = "none"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A method's answer to one sample, next to the untuned model's.

    Attributes:
        answer: the method's answer; the same as `base_answer` if the method left the sample alone.
        base_answer: the untuned model's answer.
        confidence, base_confidence: probability of the answer's tokens (geometric mean), 0 to 1.
        entropy_before, entropy_after: mean entropy of the distributions of the answer's tokens, in nats, of the untuned
            model and of the method.
        steps: the number of tuning steps that used this sample, or of corrections that were tried for it.
        rolled_back: whether the method's changes were discarded, so that the untuned answer was kept.
        seconds: wall-clock time for this sample, an equal share of its batch's.
        error: why there is no answer; empty if there is one.
        how: what was done to get an answer that replaced the untuned one, in words; empty if none did.
    """

    answer: str
    base_answer: str
    confidence: float
    base_confidence: float
    entropy_before: float
    entropy_after: float
    steps: int
    rolled_back: bool
    seconds: float
    error: str = ""
    how: str = ""
