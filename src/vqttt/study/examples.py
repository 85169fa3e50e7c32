"""Example images that a run keeps for its report: for each condition, the first answers that flipped.

They illustrate and prove nothing. `corrective` and `destructive`: tuning set a wrong answer right, or a right one
wrong. `helped` and `hurt`: degradation did so to the untuned model, which is the paradox, image by image. Examples
depend only on records and seeds, so a run that was killed and resumed keeps the same ones.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import polars as pl

from vqttt.images.files import to_data_uri
from vqttt.methods import Method
from vqttt.methods.attempts import Attempt
from vqttt.models.base import Model
from vqttt.models.batch import listed
from vqttt.models.tunable import TunableModel
from vqttt.runs.records import Record
from vqttt.study.batch import ImageCache
from vqttt.tasks import question_text
from vqttt.types import Condition, Image, Sample

PER_KIND = 2
"""Examples of each kind of flip and condition, at most."""

_LOOKED_AT = 3 * PER_KIND  # records of each kind, at most, for examples of which the method would still answer so

SIDE = 160
"""Longest side of an image, in pixels."""


@dataclass(frozen=True, kw_only=True)
class ExampleMaker:
    """Shows a task's samples as models saw them."""

    samples: Sequence[Sample]
    images: ImageCache
    seed: int
    max_new_tokens: int

    def of_method(
        self, condition: Condition, method: Method, rows: Callable[[], Iterable[Record]]
    ) -> dict[str, Any] | None:
        """Show what a method does to the images of the first answers that it flipped.

        Args:
            condition: of the cell.
            method: as it stands at the end of the stream.
            rows: returns the cell's records; called once for each kind of example, as they may not fit into memory.

        Returns:
            The examples, each with its `kernel`, and the last kernel shown; None for a method that changes no images.
        """
        if not method.changes_images:
            return None

        def answered() -> Iterable[Record]:
            return (row for row in rows() if not row.error)

        def shown(flip: str, rows: Iterable[Record]) -> list[dict[str, Any]]:
            tried = (self._tuned(condition, method, row, flip) for row in islice(rows, _LOOKED_AT))
            return list(islice((example for example in tried if example), PER_KIND))

        examples = [
            *shown("corrective", (row for row in answered() if row.score > row.base_score)),
            *shown("destructive", (row for row in answered() if row.score < row.base_score)),
        ] or shown("same", (row for row in answered() if row.steps > 0))[:1]
        kernels = [example["kernel"] for example in examples if example["kernel"] is not None]
        return {"kernel": kernels[-1] if kernels else None, "examples": examples}

    def of_quality(self, condition: Condition, clean: pl.DataFrame, degraded: pl.DataFrame) -> list[dict[str, Any]]:
        """Show the first untuned answers that a condition set right or wrong.

        Args:
            condition: a degraded one.
            clean: records of undegraded images.
            degraded: records of the same samples under the condition.
        """
        before = clean.filter(pl.col("error") == "").select(
            "sample_id", clean_answer="base_answer", clean_score="base_score"
        )
        answered = degraded.filter(pl.col("error") == "")
        rows = answered.join(before, on="sample_id", maintain_order="left")
        chosen = [
            *_first("helped", rows.filter(pl.col("base_score") > pl.col("clean_score")).iter_rows(named=True)),
            *_first("hurt", rows.filter(pl.col("base_score") < pl.col("clean_score")).iter_rows(named=True)),
        ]
        words = ("sample_id", "question", "reference", "clean_answer")
        return [
            {name: row[name] for name in words}
            | {"base_answer": row["base_answer"], "answer": row["base_answer"], "flip": flip, "kernel": None}
            | self._shown(row["sample_id"], condition)
            for row, flip in chosen
        ]

    def _tuned(self, condition: Condition, method: Method, row: Record, flip: str) -> dict[str, Any] | None:
        """Show one sample as the method changes it; None if the method, which has learned since, answers otherwise."""
        sample = self._sample(row.sample_id)
        inputs, base = method.model.ask(
            [self.images.degrade_and_restore(sample, condition, self.seed)],
            [question_text(sample)],
            self.max_new_tokens,
        )
        attempt = method.explain(inputs, base)
        if attempt.outcome.texts[0] != row.answer:
            return None
        words = ("sample_id", "question", "reference", "base_answer", "answer")
        shown = {name: getattr(row, name) for name in words} | {"flip": flip, "kernel": attempt.kernel()}
        shown |= {"filtered": _uri(_as_shown(method.model, attempt)), "how": attempt.how[0]}
        return shown | self._shown(row.sample_id, condition)

    def _shown(self, sample_id: str, condition: Condition) -> dict[str, str]:
        sample = self._sample(sample_id)
        clean = self.images.load(sample)
        degraded = self.images.degrade_and_restore(sample, condition, self.seed)
        return {"clean": _uri(clean), "degraded": _uri(degraded)}

    def _sample(self, sample_id: str) -> Sample:
        return next(sample for sample in self.samples if sample.id == sample_id)


def _first(flip: str, flipped: Iterable[Any]) -> list[tuple[Any, str]]:
    return [(row, flip) for row in islice(flipped, PER_KIND)]


def _as_shown(model: Model, attempt: Attempt) -> Image:
    """Return the first image that the network was given."""
    with attempt.adapted() as adapted:
        if isinstance(model, TunableModel):
            return model.to_image(model.pixels(adapted).pixels[0])
    return listed(adapted.images[0])[0]


def _uri(image: Image) -> str:
    return to_data_uri(image, SIDE)
