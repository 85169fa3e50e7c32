"""The records that pass between the rooms of vqttt; all frozen, all plain data."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""An image: uint8 RGB of shape (H, W, 3), values 0 to 255."""


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""By which the options of a multiple-choice question are named; it may have no more than these."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One question about one image.

    Attributes:
        id: unique within its task and stable between runs.
        load: returns the image; called when it is needed, so that a task may be larger than memory.
        question: the question as a person would ask it, without any chat template.
        answers: the reference answers, the first being the one that is shown; any of them counts as right.
        choices: the options of a multiple-choice question, in order; empty for an open one.
        category: what the question asks of a model (`counting`, `reading`, ...); accuracy is broken down by it.
        question_type: the finer template or type of the question, where the task has one.
        prompt: what a model is asked, to the letter, where a benchmark prescribes it; empty for the usual form.
        rule: how answers are scored, a name in `vqttt.scoring.RULES`.
        file: where the image lies, if it is a file that its owner may change; part of what a run is a study of.
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
    """What happens to an image before a model sees it.

    Attributes:
        degradation: a registered degradation or style, several joined by `+`, or `clean`.
        severity: 1 to 5; 0 for `clean`.
        scale: `relative` scales lengths by the short side / 224, `absolute` takes them in pixels as published.
        restorer: what is done about it: a registered name, `matched`, `spandrel:PATH`, or `none`.
    """

    degradation: str = "clean"
    severity: int = 0
    scale: str = "relative"
    restorer: str = "none"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a method answered, beside what the untuned model answered.

    Attributes:
        answer: text after tuning (equal to `base_answer` where nothing was tuned).
        base_answer: text of the model as it was loaded, under no adapters.
        confidence: probability of the answer's greedy tokens (geometric mean), 0 to 1; likewise `base_confidence`.
        entropy_before: mean entropy in nats of the answer's token distributions, before tuning; likewise
            `entropy_after`.
        steps: tuning steps that this sample took part in.
        rolled_back: whether the guard discarded the tuning for this sample.
        seconds: wall-clock seconds spent on this sample (its share of the batch).
        error: empty, or why there is no answer.
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
