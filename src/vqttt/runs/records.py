"""The schema of a run's records: the only place that lists their columns; and the names with a special meaning."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from math import nan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

CLEAN = "clean"
"""The condition in which images are not degraded."""

NONE = "none"
"""The method, and also the restorer, that changes nothing: the baseline."""

ALL = "all"
"""In a `task` column: the mean over all tasks."""

_CELL = {
    "model": "name of the model",
    "task": "name of the task",
    "degradation": "degradation or style of the images, several joined by `+`, or `clean`",
    "severity": "severity of the degradation, 1 to 5; 0 for `clean`",
    "scale": "whether lengths of degradations are `relative` to the image's size or `absolute` in pixels",
    "restorer": "restorer that was applied after the degradation, or `none`",
    "method": "method that gave `answer`; `none` for the untuned model",
    "seed": "seed of everything random in the cell",
}

CELL = tuple(_CELL)
"""The columns that identify a cell. In a file they come before the fields of `Record`."""

_NUMBERS = ("severity", "seed")
"""The integer columns of `CELL`; the others are text."""

_OPTIONAL = ("base_format_score", "format_score", "source_sha256", "chance", "how", "peak_mib")
"""Columns that runs of older versions lack."""


def _column(meaning: str, **default: Any) -> Any:
    """Make a field whose meaning `meanings` returns."""
    return field(metadata={"meaning": meaning}, **default)


@dataclass(frozen=True, kw_only=True)
class Record:
    """One row of a cell: a sample, its answer and its score. What each column means stands beside it.

    A sample that failed keeps its row, with a score of 0 and the reason in `error`. If only the method failed, the
    untuned answer and its scores are kept.
    """

    sample_id: str = _column("name of the sample, unique within its task")
    image_sha256: str = _column("hash of the pixels given to the model; tells whether two runs used the same image")
    category: str = _column("skill that the question tests; empty if the task has none")
    question_type: str = _column("finer type of the question; empty if the task has none")
    question: str = _column("the question, without its options and any chat template")
    reference: str = _column("the first accepted answer")
    base_answer: str = _column("the untuned model's answer")
    answer: str = _column("the method's answer")
    base_score: float = _column("score of `base_answer`, 0 to 1; 0.5 or more counts as right")
    score: float = _column("score of `answer`, 0 to 1; 0.5 or more counts as right")
    base_confidence: float = _column("probability of the tokens of `base_answer` (geometric mean), 0 to 1")
    confidence: float = _column("probability of the tokens of `answer` (geometric mean), 0 to 1")
    entropy_before: float = _column("mean entropy of the token distributions of `base_answer`, in nats")
    entropy_after: float = _column("mean entropy of the token distributions of `answer`, in nats")
    steps: int = _column("tuning steps that this sample took part in, or corrections tried for it")
    rolled_back: bool = _column("whether the guard discarded the method's changes and kept the untuned answer")
    seconds: float = _column("wall-clock time for this sample: its share of the time of its batch")
    psnr: float = _column("peak signal-to-noise ratio to the undegraded image, in dB, at most 100")
    ssim: float = _column("structural similarity to the undegraded image, -1 to 1")
    ms_ssim: float = _column("multi-scale structural similarity to the undegraded image, 0 to 1")
    gradient_similarity: float = _column("gradient magnitude similarity to the undegraded image, 0 to 1")
    sharpness: float = _column("log10 of the variance of the Laplacian divided by the variance of the image")
    noise_level: float = _column("estimated standard deviation of noise in luma, on a scale of 0 to 255")
    error: str = _column("why the sample failed; empty if it did not")
    base_format_score: float = _column(
        "score of `base_answer` where the right content in another format counts as well, 0 to 1", default=nan
    )
    format_score: float = _column(
        "score of `answer` where the right content in another format counts as well, 0 to 1", default=nan
    )
    source_sha256: str = _column(
        "hash of the pixels before any degradation, the same for all questions about one image; empty if the image "
        "could not be loaded",
        default="",
    )
    chance: float = _column("probability that a guess is right, 0 to 1; NaN where it is not known", default=nan)
    how: str = _column(
        "what the method did to get `answer`, in words; empty if the untuned answer was kept", default=""
    )
    peak_mib: float = _column(
        "most memory in use while the batch was answered, in MiB: of the GPU if the model is on one, or else of the "
        "process; NaN where the system does not report it",
        default=nan,
    )

    @classmethod
    def parse(cls, line: bytes) -> "Record":
        """Read a line written by `line`.

        Raises:
            ValueError, TypeError, RecursionError: if it is not a whole record.
        """
        record = cls(**json.loads(line.decode("ascii")))
        for one in fields(record):
            _check_value(one.name, getattr(record, one.name), one.type)
        return record

    @classmethod
    def blank(cls, **known: Any) -> "Record":
        """Return a record with the `known` values; all others are 0, false or empty."""
        kinds: dict[str, Any] = {one.name: one.type for one in fields(cls)}
        return cls(**{name: kind() for name, kind in kinds.items()} | known)

    def line(self) -> str:
        """Return the record as a line of JSON, in ASCII, so that a line cut anywhere still decodes.

        Half a surrogate pair, as in the name of a file that is not UTF-8, becomes a question mark.
        """
        return json.dumps({name: _writable(value) for name, value in asdict(self).items()}) + "\n"


def _writable(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _check_value(name: str, value: Any, kind: Any) -> None:
    """Raise ValueError unless a value read from JSON is of its column's type, and fits into it."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not ((isinstance(value, kind) and (whole or kind is not int)) or (kind is float and whole)):
        raise ValueError(f"{name} is {value!r}")
    if isinstance(value, str):
        value.encode()  # raises for half a surrogate pair
    if whole and not -(2**63) <= value < 2**63:
        raise ValueError(f"{name} is {value!r}")


def schema() -> dict[str, "type[pl.DataType]"]:
    """Return every column of a run's records, in order, with its type."""
    import polars as pl

    types: dict[Any, type[pl.DataType]] = {str: pl.String, float: pl.Float64, int: pl.Int64, bool: pl.Boolean}
    cell = {name: types[int if name in _NUMBERS else str] for name in CELL}
    return cell | {one.name: types[one.type] for one in fields(Record)}


def meanings() -> dict[str, str]:
    """Return what each column of a run's records means, in their order."""
    return _CELL | {one.name: str(one.metadata["meaning"]) for one in fields(Record)}


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
