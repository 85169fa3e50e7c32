"""ImageContent that a run keeps for its report: of every condition the first answers that flipped, and what was seen.

They illustrate and prove nothing. `corrective` and `destructive`: tuning made a wrong answer right, or a right one
wrong. `helped` and `hurt`: degradation did so to the untuned model; this is the paradox, image by image. Only what
records and seeds decide goes in, so that a run that was killed and resumed keeps the same.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import polars as pl

from vqttt.images.files import to_data_uri
from vqttt.methods import Method
from vqttt.models.base import Model
from vqttt.runs.records import Record
from vqttt.study.batch import ImageCache
from vqttt.tasks import question_text
from vqttt.types import Condition, Image, Sample

PER_KIND = 2
"""So many examples of each kind of flip and condition."""

SIDE = 160
"""Longest side of an image, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Illustrator:
    """What is needed to show a task's samples as a model saw them."""

    model: Model
    samples: Sequence[Sample]
    images: ImageCache
    seed: int
    max_new_tokens: int

    def of_method(
        self, condition: Condition, method: Method, rows: Callable[[], Iterable[Record]]
    ) -> dict[str, Any] | None:
        """Show what a method's kernel does to the first answers that it changed; None for one without a kernel.

        The `rows` of a cell are asked for once for each kind of example, for they may not fit into memory.

        `kernel` is that for the last image shown, at the end of the stream; each example has its own.
        """
        if not method.has_kernel:
            return None
        chosen = [
            *_first("corrective", (row for row in rows() if row.score > row.base_score)),
            *_first("destructive", (row for row in rows() if row.score < row.base_score)),
        ] or _first("same", (row for row in rows() if row.steps > 0))[:1]
        examples = [self._tuned(condition, method, row, flip) for row, flip in chosen]
        return {"kernel": examples[-1]["kernel"] if examples else None, "examples": examples}

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
            | self._seen(row["sample_id"], condition)
            for row, flip in chosen
        ]

    def _tuned(self, condition: Condition, method: Method, row: Record, flip: str) -> dict[str, Any]:
        sample = self._sample(row.sample_id)
        image = self.images.seen(sample, condition, self.seed)
        inputs = self.model.encode([image], [question_text(sample)])
        filtered = method.filtered(inputs, self.model.generate(inputs, self.max_new_tokens))
        words = ("sample_id", "question", "reference", "base_answer", "answer")
        shown = {name: getattr(row, name) for name in words} | {"flip": flip, "kernel": method.kernel(inputs)}
        shown |= {"filtered": _uri(filtered.image), "through": filtered.through}
        return shown | self._seen(row.sample_id, condition)

    def _seen(self, sample_id: str, condition: Condition) -> dict[str, str]:
        sample = self._sample(sample_id)
        clean, degraded = self.images.load(sample), self.images.seen(sample, condition, self.seed)
        return {"clean": _uri(clean), "degraded": _uri(degraded)}

    def _sample(self, sample_id: str) -> Sample:
        return next(sample for sample in self.samples if sample.id == sample_id)


def _first(flip: str, flipped: Iterable[Any]) -> list[tuple[Any, str]]:
    return [(row, flip) for row in islice(flipped, PER_KIND)]


def _uri(image: Image) -> str:
    return to_data_uri(image, SIDE)
