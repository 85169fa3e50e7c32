"""The rows of the study, and what a mean over them is worth."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vqttt.results.clusters import cluster_mean
from vqttt.results.statistics import Estimate
from vqttt.runs.records import CLEAN, NONE

RESULTS = Path(__file__).parent / "results"

GROUPS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"),
    "blur": ("motion_blur", "gaussian_blur", "defocus_blur", "glass_blur", "zoom_blur", "elastic_transform"),
    "weather": ("snow", "fog", "frost", "haze", "rain", "spatter", "raindrops"),
    "light and colour": (
        "brightness", "contrast", "saturate", "low_light", "overexposure", "color_cast", "vignette", "bit_depth",
        "banding",
    ),
    "codec and resolution": ("jpeg_compression", "webp", "pixelate", "low_resolution", "video_blocks"),
    "lens, screen, paper": ("chromatic_aberration", "lens_dirt", "moire", "scan", "occlusion"),
    "pipelines": (
        "phone_at_night", "security_camera", "dashcam_in_rain", "photographed_screen", "messenger_forward", "old_scan",
    ),
}  # fmt: skip
Row = dict[str, Any]


def load(phase: str) -> list[Row]:
    """Return the committed rows of a phase."""
    return read(RESULTS / f"{phase}.jsonl")


def read(file: Path) -> list[Row]:
    """Read a file of rows; return none if there is no such file."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def bits(text: str) -> np.ndarray:
    """Turn a row's scores into an array."""
    return np.frombuffer(text.encode(), np.uint8) - 48.0


class Gain:
    """Mean gain of rows in points, each cell with the same weight, with its interval clustered by image."""

    def __init__(self, rows: Sequence[Row]) -> None:
        before, after = [bits(row["before"]) for row in rows], [bits(row["after"]) for row in rows]
        sizes = [len(b) for b in before]
        # An image is the same scene under every condition; another seed or task has other scenes.
        scenes = np.concatenate([np.arange(n) + 10_000 * row["seed"] for n, row in zip(sizes, rows, strict=True)])
        tasks = np.concatenate([np.full(n, row["task"]) for n, row in zip(sizes, rows, strict=True)])
        cells = np.repeat(np.arange(len(rows)), sizes)
        change = np.concatenate(after) - np.concatenate(before)
        images = np.unique(np.stack([np.unique(tasks, return_inverse=True)[1], scenes]), axis=1, return_inverse=True)[1]
        # The baseline's gain is 0 by construction.
        still = all(row["method"] == NONE for row in rows) and not change.any()
        estimate = Estimate(0, 0, 0) if still else cluster_mean(change, cells, images)
        self.value, self.low, self.high = (100 * v for v in estimate)
        self.base = 100 * float(np.mean([b.mean() for b in before]))
        self.corrected = int(sum(((a > b).sum()) for a, b in zip(after, before, strict=True)))
        self.broken = int(sum(((a < b).sum()) for a, b in zip(after, before, strict=True)))
        self.count = int(sum(sizes))
        self.cost = _mean(rows, "cost")
        pairs = [row["calibration"] for row in rows if row.get("calibration") and None not in row["calibration"]]
        self.calibration = tuple(np.mean(pairs, 0)) if pairs else None

    def text(self) -> str:
        """Write the gain with its interval."""
        if self.low == self.high:
            return points(self.value)
        return f"{points(self.value)} [{points(self.low)}, {points(self.high)}]"


def _mean(rows: Sequence[Row], name: str) -> float | None:
    values = [row[name] for row in rows if row.get(name) is not None]
    return float(np.mean(values)) if values else None


def select(rows: Sequence[Row], keep: Callable[[Row], bool]) -> dict[str, list[Row]]:
    """Group the rows to keep by method."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if "after" in row and keep(row):
            found.setdefault(row["method"], []).append(row)
    return found


def split_stream(row: Row) -> tuple[np.ndarray, np.ndarray]:
    """Return which samples of a stream were clean, and the change of each one's score in points."""
    clean = np.array([name.startswith(CLEAN) for name in row["conditions"]])
    return clean, 100 * (bits(row["after"]) - bits(row["before"]))


def points(value: float) -> str:
    """Write a number of points with its sign; zero has none."""
    return f"{value:+.1f}".replace("-", "−").replace("+0.0", "0.0").replace("−0.0", "0.0")
