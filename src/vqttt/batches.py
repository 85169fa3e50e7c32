"""From samples to records: a batch is degraded, encoded and answered untuned once, then answered by each method."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from vqttt.degradations import degrade, image_seed
from vqttt.errors import VQTTTError, in_a_line
from vqttt.images import sha256
from vqttt.methods import Method
from vqttt.models.base import Generation, Inputs, Model, Shown
from vqttt.quality import UNMEASURED, Quality, measure
from vqttt.restorers import restore
from vqttt.scoring import format_score, score
from vqttt.tasks import question_text
from vqttt.types import Answer, Condition, Image, Record, Sample


def degraded(image: Image, condition: Condition, seed: int) -> Image:
    """Return a picture as the degradation of a condition leaves it; `seed` is the picture's own."""
    return degrade(image, condition.degradation, condition.severity, seed, condition.scale)


def as_seen(image: Image, condition: Condition, seed: int) -> Image:
    """Return a picture as a model sees it under a condition: degraded, then restored; `seed` is the picture's own."""
    return restore(degraded(image, condition, seed), condition.restorer, condition.degradation)


class PictureCache:
    """A task's undegraded pictures, loaded once while they fit into memory; a failure is kept like a picture."""

    budget = 512 * 2**20

    def __init__(self) -> None:
        self._kept: dict[str, Image | VQTTTError] = {}
        self._bytes = 0

    def load(self, sample: Sample) -> Image:
        """Return the undegraded picture, or raise what went wrong the first time."""
        kept = self._kept.get(sample.id)
        if kept is None:
            try:
                kept = sample.load()
                kept.flags.writeable = False  # what works in place would change the picture for all that come after
            except VQTTTError as error:
                kept = error
            size = kept.nbytes if not isinstance(kept, VQTTTError) else 0
            if self._bytes + size <= self.budget:
                self._kept[sample.id] = kept
                self._bytes += size
        if isinstance(kept, VQTTTError):
            raise kept
        return kept

    def degraded(self, sample: Sample, condition: Condition, seed: int) -> Image:
        """Return the picture as the degradation of a condition leaves it."""
        return degraded(self.load(sample), condition, image_seed(seed, sample.id))

    def seen(self, sample: Sample, condition: Condition, seed: int) -> Image:
        """Return the picture as a model sees it: degraded, then restored."""
        return as_seen(self.load(sample), condition, image_seed(seed, sample.id))


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some samples under one condition: pictures and their quality, then inputs and untuned answers of the good ones.

    `seconds` is the time that restoring and answering took, a sample.
    """

    samples: Sequence[Sample]
    images: dict[str, Image]
    qualities: dict[str, Quality]
    errors: dict[str, str]
    answered: tuple[Inputs, Generation] | None
    seconds: float

    @classmethod
    def prepare(
        cls,
        samples: Sequence[Sample],
        pictures: PictureCache,
        condition: Condition,
        model: Model,
        *,
        seed: int,
        max_new_tokens: int,
    ) -> "Batch":
        """Degrade, restore, encode and answer untuned; a sample that fails is set aside with the reason."""
        images, qualities, errors = dict[str, Image](), dict[str, Quality](), dict[str, str]()
        spent = 0.0
        for sample in samples:
            try:
                before = pictures.degraded(sample, condition, seed)
                began = time.perf_counter()
                image = restore(before, condition.restorer, condition.degradation)
                spent += time.perf_counter() - began
                qualities[sample.id] = measure(image, pictures.load(sample))
                images[sample.id] = image
            except VQTTTError as error:
                errors[sample.id] = str(error)
            except Exception as error:  # a network on a large picture, say, may raise anything
                errors[sample.id] = f"degrading or restoring failed: {in_a_line(error)}"
        began = time.perf_counter()
        asked = {
            sample.id: Asked(
                shown=images[sample.id],
                text=question_text(sample),
                group=sample.question_type,
                options=sample.choices,
            )
            for sample in samples
            if sample.id in images
        }
        answered, choked = answer_untuned(asked, model, max_new_tokens)
        errors |= choked
        images = {name: image for name, image in images.items() if name not in choked}
        seconds = (spent + time.perf_counter() - began) / max(len(images), 1)
        return cls(
            samples=samples, images=images, qualities=qualities, errors=errors, answered=answered, seconds=seconds
        )

    def answered_by(self, method: Method) -> list[Record]:
        """Answer by a method; one record for every sample, in order. A method that fails marks them all and forgets."""
        try:
            answers = method.answer(*self.answered) if self.answered else []
        except RuntimeError as error:
            method.reset()
            reason = f"tuning failed: {in_a_line(error)}"
            return [failed(sample, self.errors.get(sample.id, reason)) for sample in self.samples]
        good = dict(zip((sample.id for sample in self.samples if sample.id in self.images), answers, strict=True))
        return [
            self._record(sample, good[sample.id]) if sample.id in good else failed(sample, self.errors[sample.id])
            for sample in self.samples
        ]

    def _record(self, sample: Sample, answer: Answer) -> Record:
        return Record(
            **describe(sample),
            **asdict(replace(answer, seconds=round(answer.seconds + self.seconds, 6))),
            **asdict(self.qualities[sample.id]),
            image_sha256=sha256(self.images[sample.id]),
            base_score=score(answer.base_answer, sample),
            score=score(answer.answer, sample),
            base_format_score=format_score(answer.base_answer, sample),
            format_score=format_score(answer.answer, sample),
        )


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a model is asked.

    Attributes:
        shown: a picture, several or none.
        text: the question, to the letter.
        group, options: see `Inputs`.
    """

    shown: Shown
    text: str
    group: str = ""
    options: tuple[str, ...] = ()


def answer_untuned(
    asked: Mapping[str, Asked], model: Model, max_new_tokens: int
) -> tuple[tuple[Inputs, Generation] | None, dict[str, str]]:
    """Encode a batch and answer it untuned; a sample that the model chokes on is set aside.

    Returns:
        The others, in order, encoded and answered (None if there are none); and by name why the rest is not.

    Raises:
        VQTTTError: if the model answers each of them alone but not all together.
    """
    answered, errors = _answer_together(list(asked.values()), model, max_new_tokens), dict[str, str]()
    if isinstance(answered, Exception):  # one of them is to blame: find out which
        for name, one in asked.items():
            alone = _answer_together([one], model, max_new_tokens)
            if isinstance(alone, Exception):
                errors[name] = f"the model cannot answer this: {in_a_line(alone)}"
        good = [one for name, one in asked.items() if name not in errors]
        answered = _answer_together(good, model, max_new_tokens)
    if isinstance(answered, Exception):
        reason = in_a_line(answered)
        raise VQTTTError(f"the model answers these samples alone but not together; a smaller batch may do: {reason}")
    return answered, errors


def _answer_together(
    asked: Sequence[Asked], model: Model, max_new_tokens: int
) -> tuple[Inputs, Generation] | Exception | None:
    """Encode and answer untuned; returns what a model that chokes on them raised."""
    if not asked:
        return None
    try:
        inputs = model.encode([one.shown for one in asked], [one.text for one in asked])
        inputs = replace(inputs, groups=tuple(a.group for a in asked), options=tuple(a.options for a in asked))
        return inputs, model.generate(inputs, max_new_tokens)
    except Exception as error:  # whatever a processor or a network may raise over a sample
        return error


def describe(sample: Sample) -> dict[str, Any]:
    """Return the columns of a record that a sample decides."""
    return {
        "sample_id": sample.id,
        "category": sample.category,
        "question_type": sample.question_type,
        "question": sample.question,
        "reference": sample.answers[0],
    }


def failed(sample: Sample, error: str) -> Record:
    """Return the record of a sample that could not be answered."""
    return Record(
        **describe(sample),
        **asdict(UNMEASURED),
        image_sha256="",
        base_score=0.0,
        score=0.0,
        base_format_score=0.0,
        format_score=0.0,
        base_confidence=0.0,
        confidence=0.0,
        base_answer="",
        answer="",
        entropy_before=0.0,
        entropy_after=0.0,
        steps=0,
        rolled_back=False,
        seconds=0.0,
        error=error,
    )
