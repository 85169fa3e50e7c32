"""From samples to records: a batch is degraded, encoded and answered untuned once, then answered by each method."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from vqttt.errors import VQTTTError, in_a_line
from vqttt.images.conditions import degrade_and_restore, degraded
from vqttt.images.degradations import image_seed
from vqttt.images.files import sha256
from vqttt.images.quality import UNMEASURED, Quality, measure
from vqttt.images.restorers import restore
from vqttt.methods import Method
from vqttt.models.answering import Asked, answer_untuned
from vqttt.models.base import Generation, Inputs, Model
from vqttt.runs.records import Record
from vqttt.scoring import format_score, score
from vqttt.tasks import question_text
from vqttt.types import Answer, Condition, Image, Sample


class ImageCache:
    """A task's undegraded images, loaded once while they fit into memory; a failure is kept like an image."""

    budget = 512 * 2**20

    def __init__(self) -> None:
        self._kept: dict[str, Image | VQTTTError] = {}
        self._bytes = 0

    def load(self, sample: Sample) -> Image:
        """Return the undegraded image, or raise what went wrong the first time."""
        kept = self._kept.get(sample.id)
        if kept is None:
            try:
                kept = sample.load()
                kept.flags.writeable = False  # what works in place would change the image for all that come after
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
        """Return the image as the degradation of a condition leaves it."""
        return degraded(self.load(sample), condition, image_seed(seed, sample.id))

    def seen(self, sample: Sample, condition: Condition, seed: int) -> Image:
        """Return the image as a model sees it: degraded, then restored."""
        return degrade_and_restore(self.load(sample), condition, image_seed(seed, sample.id))


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some samples under one condition: images and their quality, then inputs and untuned answers of the good ones.

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
        cache: ImageCache,
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
                before = cache.degraded(sample, condition, seed)
                began = time.perf_counter()
                image = restore(before, condition.restorer, condition.degradation)
                spent += time.perf_counter() - began
                qualities[sample.id] = measure(image, cache.load(sample))
                images[sample.id] = image
            except VQTTTError as error:
                errors[sample.id] = str(error)
            except Exception as error:  # a network on a large image, say, may raise anything
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
