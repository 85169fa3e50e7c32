"""The schema of a run's records: the only place that lists their columns; and the names with a special meaning."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

CLEAN = "clean"
"""The condition in which images are not degraded."""

NONE = "none"
"""The method, and also the restorer, that changes nothing: the baseline."""

ALL = "all"
"""In a `task` column: the mean over all tasks."""

CELL = ("model", "task", "degradation", "severity", "scale", "restorer", "method", "seed")
"""The columns that identify a cell. In a file they come before the fields of `Record`."""

_NUMBERS = ("severity", "seed")
"""The integer columns of `CELL`; the others are text."""

_OPTIONAL = ("base_format_score", "format_score", "source_sha256", "chance")
"""Columns that runs of older versions lack."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One row of a cell: a sample, its answer and its score.

    Attributes:
        sample_id: unique within the task.
        image_sha256: hash of the pixels given to the model; tells whether two runs used the same image.
        category, question_type, question, reference: as in `Sample`.
        base_answer, answer: the untuned model's, and the method's.
        base_score, score: 0 to 1; 0.5 or more counts as right.
        base_confidence, confidence: probability of the answer's tokens (geometric mean), 0 to 1.
        entropy_before, entropy_after: mean entropy of the answer's token distributions, in nats.
        steps: tuning steps that this sample took part in.
        rolled_back: whether the guard discarded the tuning for this sample.
        seconds: wall-clock seconds for this sample (its share of the batch).
        psnr, ssim, ms_ssim, gradient_similarity, sharpness, noise_level: quality of the image given to
            the model (see `vqttt.images.quality`); NaN for a sample that failed.
        error: why the sample failed; empty if it did not. A failed sample keeps its row, with a score of 0. If only
            the method failed, the untuned answer and its scores are kept.
        base_format_score, format_score: scores with format credit; NaN in records of older versions.
        source_sha256: hash of the pixels before any degradation: questions about one image share it. Empty if the
            image could not be loaded, and in records of older versions.
        chance: probability of guessing the answer, 0 to 1; NaN where it is not known.
    """

    sample_id: str
    image_sha256: str
    category: str
    question_type: str
    question: str
    reference: str
    base_answer: str
    answer: str
    base_score: float
    score: float
    base_confidence: float
    confidence: float
    entropy_before: float
    entropy_after: float
    steps: int
    rolled_back: bool
    seconds: float
    psnr: float
    ssim: float
    ms_ssim: float
    gradient_similarity: float
    sharpness: float
    noise_level: float
    error: str
    base_format_score: float = float("nan")
    format_score: float = float("nan")
    source_sha256: str = ""
    chance: float = float("nan")

    @classmethod
    def parse(cls, line: str) -> "Record":
        """Read a line written by `line`.

        Raises:
            ValueError, TypeError: if it is not a whole record.
        """
        return cls(**json.loads(line))

    @classmethod
    def blank(cls, **known: Any) -> "Record":
        """Return a record with the `known` values; all others are 0, false or empty."""
        kinds: dict[str, Any] = {field.name: field.type for field in fields(cls)}
        return cls(**{name: kind() for name, kind in kinds.items()} | known)

    def line(self) -> str:
        """Return the record as a line of JSON, in ASCII, so that a line cut anywhere still decodes."""
        return json.dumps(asdict(self)) + "\n"


def schema() -> dict[str, "type[pl.DataType]"]:
    """Return every column of a run's records, in order, with its type."""
    import polars as pl

    types: dict[Any, type[pl.DataType]] = {str: pl.String, float: pl.Float64, int: pl.Int64, bool: pl.Boolean}
    cell = {name: types[int if name in _NUMBERS else str] for name in CELL}
    return cell | {field.name: types[field.type] for field in fields(Record)}


def to_frame(rows: Sequence[Record], cell: dict[str, Any]) -> "pl.DataFrame":
    """Return records of one cell as a frame; the columns `cell`, by name and value, come first."""
    import polars as pl

    columns = {name: kind for name, kind in schema().items() if name not in CELL}
    frame = pl.DataFrame([asdict(row) for row in rows], schema=columns, orient="row")
    return frame.select(*(pl.lit(value).alias(name) for name, value in cell.items()), pl.all())


def conform(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Return a frame read from a file with exactly the columns of `schema`; optional ones may be missing.

    Raises:
        polars.exceptions.PolarsError: if a column is missing or of another type.
    """
    import polars as pl

    frame = frame.with_columns(pl.lit(None).alias(name) for name in _OPTIONAL if name not in frame.columns)
    return frame.select(pl.col(name).cast(kind) for name, kind in schema().items())


def in_order(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Sort rows by cell: clean before degraded, the baseline before other methods, otherwise by name."""
    import polars as pl

    first = {"degradation": pl.col("degradation") != CLEAN, "method": pl.col("method") != NONE}
    keys = [name for name in CELL if name in frame.columns]
    return frame.sort([key for name in keys for key in (first.get(name), name) if key is not None], maintain_order=True)
