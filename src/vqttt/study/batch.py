"""From samples to records: a batch is degraded, encoded and answered untuned once, then answered by each method."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from vqttt.errors import ServerError, VQTTTError, in_a_line
from vqttt.images.conditions import degrade_and_restore, degraded
from vqttt.images.degradations import image_seed
from vqttt.images.files import as_image, sha256
from vqttt.images.quality import UNMEASURED, Quality, measure
from vqttt.images.restorers import restore
from vqttt.methods import Method
from vqttt.methods.attempts import Outcome
from vqttt.models.answering import Asked, answer_untuned
from vqttt.models.base import Generation, Inputs, Model
from vqttt.models.memory import peak_memory, release_pass, start_peak
from vqttt.runs.records import Record
from vqttt.scoring import format_score, score
from vqttt.tasks import chance, question_text
from vqttt.types import Answer, Condition, Image, Sample


class ImageCache:
    """A task's undegraded images, each loaded once as long as they fit into `budget` bytes.

    An image that cannot be loaded is remembered as well: its error is raised again without another try.
    """

    budget = 512 * 2**20

    def __init__(self) -> None:
        self._kept: dict[str, Image | VQTTTError] = {}
        self._hashes: dict[str, str] = {}
        self._bytes = 0

    def load(self, sample: Sample) -> Image:
        """Return the undegraded image, read-only.

        Raises:
            VQTTTError: if it cannot be loaded.
        """
        kept = self._kept.get(sample.id)
        if kept is None:
            try:
                kept = as_image(sample.load())
                kept.flags.writeable = False  # code that works in place would change the image for everyone after it
            except VQTTTError as error:
                kept = error
            size = kept.nbytes if not isinstance(kept, VQTTTError) else 0
            if self._bytes + size <= self.budget:
                self._kept[sample.id] = kept
                self._bytes += size
        if isinstance(kept, VQTTTError):
            raise kept
        return kept

    def hash_of(self, sample: Sample) -> str:
        """Return the hash of the undegraded image; raises as `load` does."""
        if sample.id not in self._hashes:
            self._hashes[sample.id] = sha256(self.load(sample))
        return self._hashes[sample.id]

    def degraded(self, sample: Sample, condition: Condition, seed: int) -> Image:
        """Return the image after the condition's degradation, before its restorer."""
        return degraded(self.load(sample), condition, image_seed(seed, sample.id))

    def degrade_and_restore(self, sample: Sample, condition: Condition, seed: int) -> Image:
        """Return the image that the model gets under a condition: degraded, then restored."""
        return degrade_and_restore(self.load(sample), condition, image_seed(seed, sample.id))


@dataclass(kw_only=True)
class _Images:
    """A batch's images by sample id, with their quality; for samples without one, the reason.

    `sources` are the hashes of the undegraded images. `seconds` is the time that the restorer took for all of them.
    """

    images: dict[str, Image] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    qualities: dict[str, Quality] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, sample: Sample, cache: ImageCache, condition: Condition, seed: int) -> None:
        """Degrade, restore and measure one sample's image."""
        try:
            self.sources[sample.id] = cache.hash_of(sample)
            before = cache.degraded(sample, condition, seed)
            began = time.perf_counter()
            image = restore(before, condition.restorer, condition.degradation)
            self.seconds += time.perf_counter() - began
            self.qualities[sample.id] = measure(image, cache.load(sample))
            self.images[sample.id] = image
        except VQTTTError as error:
            self.errors[sample.id] = str(error)
        except Exception as error:  # a restorer's network may raise anything, for example on a large image
            self.errors[sample.id] = f"degrading or restoring failed: {in_a_line(error)}"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Samples under one condition, ready for any number of methods.

    Attributes:
        samples: all of them, in order.
        images: by sample id, what the model was shown; only of samples that it could answer.
        sources: by sample id, the hash of the undegraded image; only of samples whose image could be loaded.
        qualities: by sample id, the measured quality of those images.
        errors: by sample id, why there is no answer.
        answered: the encoded batch and its untuned answers; None if no sample could be answered.
        seconds: time per answered sample for restoring and for the untuned answer.
        device: the type of the model's device.
        peak: the most memory in use while this was done, in MiB; None where the system does not report it.
    """

    samples: Sequence[Sample]
    images: dict[str, Image]
    sources: dict[str, str]
    qualities: dict[str, Quality]
    errors: dict[str, str]
    answered: tuple[Inputs, Generation] | None
    seconds: float
    device: str
    peak: float | None

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
        start_peak(model.device_type)
        shown = _Images()
        for sample in samples:
            shown.add(sample, cache, condition, seed)
        began = time.perf_counter()
        asked = {
            sample.id: Asked(
                shown=shown.images[sample.id],
                text=question_text(sample),
                group=sample.question_type,
                options=sample.choices,
            )
            for sample in samples
            if sample.id in shown.images
        }
        answered, errors = answer_untuned(asked, model, max_new_tokens)
        images = {name: image for name, image in shown.images.items() if name not in errors}
        return cls(
            samples=samples,
            images=images,
            sources=shown.sources,
            qualities=shown.qualities,
            errors=shown.errors | errors,
            answered=answered,
            seconds=(shown.seconds + time.perf_counter() - began) / max(len(images), 1),
            device=model.device_type,
            peak=peak_memory(model.device_type),
        )

    def answered_by(self, method: Method) -> list[Record]:
        """Answer with a method; return one record per sample, in order."""
        start_peak(self.device)
        answers, peak = self.answers(method), peak_memory(self.device)
        most = math.nan if peak is None else max(peak, self.peak or 0.0)
        return [
            self._record(sample, answers[sample.id], most) if sample.id in answers else self._failed(sample)
            for sample in self.samples
        ]

    def answers(self, method: Method) -> dict[str, Answer]:
        """Answer with a method; return the answers by sample id, but none of samples in `errors`.

        If the method fails, all its answers have an error, and keep the untuned ones. The method has forgotten the
        batch (see `Method.answer`) and goes on.
        """
        if not self.answered:
            return {}
        try:
            return dict(zip(self.images, method.answer(*self.answered), strict=True))
        except ServerError:
            raise
        except Exception as error:  # a method may be another package's, and its network may raise anything
            release_pass(error)
            return self._unanswered(f"the method failed: {in_a_line(error)}")

    def _unanswered(self, error: str) -> dict[str, Answer]:
        """Return the untuned answers as those of a method that failed, by sample id."""
        assert self.answered is not None
        before = Outcome.of(self.answered[1])
        return {
            name: Answer(
                answer="",
                base_answer=before.texts[n],
                confidence=0.0,
                base_confidence=before.confidences[n],
                entropy_before=before.entropies[n],
                entropy_after=math.nan,
                steps=0,
                rolled_back=False,
                seconds=0.0,
                error=error,
            )
            for n, name in enumerate(self.images)
        }

    def _record(self, sample: Sample, answer: Answer, peak: float) -> Record:
        """Return the record of an answer; one that failed counts as wrong."""
        return Record(
            **self._described(sample),
            **asdict(replace(answer, seconds=round(answer.seconds + self.seconds, 6))),
            **asdict(self.qualities[sample.id]),
            image_sha256=sha256(self.images[sample.id]),
            peak_mib=round(peak, 1),
            base_score=score(answer.base_answer, sample),
            score=0.0 if answer.error else score(answer.answer, sample),
            base_format_score=format_score(answer.base_answer, sample),
            format_score=0.0 if answer.error else format_score(answer.answer, sample),
        )

    def _failed(self, sample: Sample) -> Record:
        """Return the record of a sample that could not be answered at all."""
        return Record.blank(**self._described(sample), **asdict(UNMEASURED), error=self.errors[sample.id])

    def _described(self, sample: Sample) -> dict[str, Any]:
        """Return the part of a record that does not depend on the answer."""
        return {
            "sample_id": sample.id,
            "category": sample.category,
            "question_type": sample.question_type,
            "question": sample.question,
            "reference": sample.answers[0],
            "source_sha256": self.sources.get(sample.id, ""),
            "chance": chance(sample),
        }
