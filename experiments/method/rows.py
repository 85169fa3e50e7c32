"""The rows of the experiment, one for each condition and method, and what a mean over them is worth."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.paradox.frames import NotMeasuredError
from vqttt.results.clusters import cluster_mean
from vqttt.results.statistics import RIGHT
from vqttt.runs.records import CLEAN

RESULTS = Path(__file__).parent / "results"

Row = dict[str, Any]
IDENTITY = ("model", "task", "degradation", "severity", "seed", "batch", "method")
"""What tells one row from another. A stream has two rows for each method: its clean and its degraded images."""

ORACLE = "corrections"
"""The method of rows that have the untuned model's scores under every correction."""


def load(phase: str) -> list[Row]:
    """Return the committed rows of a phase; none if it was not measured."""
    return read(RESULTS / f"{phase}.jsonl")


def read(file: Path) -> list[Row]:
    """Read a file of rows; return none if there is no such file."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def merge(file: Path, rows: Iterable[Row]) -> None:
    """Put rows into a file of rows, a new one in the place of an old one."""
    merged = {tuple(row[name] for name in IDENTITY): row for row in (*read(file), *rows)}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in merged.values()))


def pack(scores: ArrayLike) -> str:
    """Write scores as hexadecimal digits, four answers in each: right is 1, wrong is 0."""
    return np.packbits(np.asarray(scores) >= RIGHT).tobytes().hex()


def unpack(text: str, count: int) -> NDArray[np.float64]:
    """Return the `count` scores that `pack` wrote, each 0 or 1."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=count).astype(np.float64)


class Gain:
    """What a method gains over some rows, in points; each row weighs the same.

    Attributes:
        value, low, high: the mean gain and its 95% interval, for which images, with all their conditions, are
            independent.
        base: the untuned model's accuracy in percent.
        corrected, broken: numbers of answers.
        questions: the numbers of questions in a row, from the least to the most.
        cells: the number of rows.
        time, looks: means over the rows; None where they were not recorded.
        calibration: expected calibration error before and after; None where it was not recorded.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        """Take the rows of one method.

        Raises:
            NotMeasuredError: if there are none.
        """
        if not rows:
            raise NotMeasuredError("rows")
        before, after = ([unpack(row[side], row["count"]) for row in rows] for side in ("before", "after"))
        change = [a - b for a, b in zip(after, before, strict=True)]
        cells = np.repeat(np.arange(len(rows)), [row["count"] for row in rows])
        images = [f"{row['task']} {image}" for row in rows for image in row.get("images", range(row["count"]))]
        self.value, self.low, self.high = (100 * v for v in cluster_mean(np.concatenate(change), cells, images))
        self.base = 100 * float(np.mean([scores.mean() for scores in before]))
        self.corrected, self.broken = (int(sum((sign * one > 0).sum() for one in change)) for sign in (1, -1))
        self.questions = min(row["count"] for row in rows), max(row["count"] for row in rows)
        self.cells = len(rows)
        self.time, self.looks = (_mean(rows, name) for name in ("time", "looks"))
        pairs = [row["calibration"] for row in rows if None not in row["calibration"]]
        self.calibration = tuple(np.mean(pairs, 0).tolist()) if pairs else None

    def text(self) -> str:
        """Write the gain with its interval."""
        return f"{points(self.value)} [{points(self.low)}, {points(self.high)}]"


def _mean(rows: Sequence[Row], name: str) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    return float(np.mean(values)) if values else None


def select(rows: Iterable[Row], keep: Callable[[Row], bool] = lambda row: True, **values: object) -> list[Row]:
    """Return the rows with some `values` that are to be kept."""
    return [row for row in rows if keep(row) and all(row[name] == value for name, value in values.items())]


def methods_of(rows: Iterable[Row]) -> list[str]:
    """Return the methods of rows, in order, without the oracle."""
    return [method for method in dict.fromkeys(row["method"] for row in rows) if method != ORACLE]


def degraded(row: Row) -> bool:
    """Tell whether a row is of degraded images."""
    return bool(row["degradation"] != CLEAN)


def points(value: float) -> str:
    """Write a number of points with its sign; zero has none."""
    return f"{value:+.1f}".replace("-", "−").replace("+0.0", "0.0").replace("−0.0", "0.0")
