"""Invented records and run folders, for tests of what is made from them."""

import json
from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from PIL import Image as PILImage

from vqttt.images.quality import METRICS

TASKS = ("shapes", "digits")
CONDITIONS = (("clean", 0), ("gaussian_noise", 1), ("gaussian_noise", 3), ("fog", 1), ("fog", 3))
METHODS = ("none", "vq-ttt", "vq-ttt-episodic")
HOSTILE = "<script>alert('x')</script> & \"|$_%"
SAMPLES = 40
RATED_SEVERITIES, RATED_SAMPLES = 5, 120


Condition: TypeAlias = tuple[str, int]
"""A degradation and its severity."""


def scored_records(scores: dict[tuple[str, int, str], list[float]], base: dict[Condition, list[float]]) -> pl.DataFrame:
    """Make records of one task from the scores by condition and method, and the untuned scores by condition."""
    identity = {"model": "m", "task": "t", "scale": "relative", "restorer": "none", "seed": 0}
    identity |= {"error": "", "image_sha256": ""}
    cells = []
    for (degradation, severity, method), score in scores.items():
        ids, categories = [f"{i:03d}" for i in range(len(score))], [("even", "odd")[i % 2] for i in range(len(score))]
        cell = pl.DataFrame({"sample_id": ids, "category": categories, "score": score})
        cell = cell.with_columns(base_score=pl.Series(base[degradation, severity]))
        constants = identity | {"degradation": degradation, "severity": severity, "method": method}
        cells.append(cell.with_columns(pl.lit(value).alias(name) for name, value in constants.items()))
    return pl.concat(cells)


def rated_records(matters: float, seed: int = 0) -> pl.DataFrame:
    """Make untuned records with quality: questions differ in difficulty, and quality affects answers by `matters`."""
    rng = np.random.default_rng(seed)
    skill = rng.normal(0, 1, RATED_SAMPLES)
    frames = []
    for severity in range(1, RATED_SEVERITIES + 1):
        psnr = 40 - 4 * severity + rng.normal(0, 1, RATED_SAMPLES)
        right = (skill + matters * (psnr - 28) / 6 + rng.normal(0, 0.5, RATED_SAMPLES) > 0).astype(float)
        quality = dict.fromkeys(METRICS, psnr) | {"noise_level": -psnr, "sharpness": np.full(RATED_SAMPLES, 2.0)}
        constants = {"model": "m", "task": "t", "degradation": "noise", "severity": severity, "scale": "relative"}
        constants |= {"restorer": "none", "method": "none", "seed": 0, "error": "", "seconds": 0.1, "reference": "yes"}
        frame = pl.DataFrame(
            {"sample_id": [f"{i:03d}" for i in range(RATED_SAMPLES)], "base_score": right, "score": right}
        )
        frame = frame.with_columns(**{name: pl.Series(values) for name, values in quality.items()})
        frames.append(frame.with_columns(pl.lit(value).alias(name) for name, value in constants.items()))
    return pl.concat(frames)


def image(seed: int) -> str:
    """Draw noise as a data URI."""
    file = BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    PILImage.fromarray(pixels).resize((128, 96)).save(file, "WEBP")
    return f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}"


def quality(degradation: str, severity: int, right: np.ndarray, failed: np.ndarray) -> dict[str, pl.Series]:
    """Invent quality measures: noise rises with severity, all others fall; each image adds a random draw."""
    draws = np.random.default_rng([severity, len(degradation)]).normal(0, 1, (len(METRICS), len(right)))
    fall = {name: 30 - 4 * severity + draw for name, draw in zip(METRICS, draws, strict=True)}
    fall["noise_level"] = -fall["noise_level"]
    return {name: pl.Series(np.where(failed, np.nan, values)) for name, values in fall.items()}


def write_cell(
    run: Path, task: str, degradation: str, severity: int, method: str, n: int = SAMPLES, **identity: Any
) -> None:
    """Write one cell: samples differ in difficulty, degradation lowers accuracy, tuning flips answers both ways."""
    seed = identity.get("seed", 0)
    # The untuned answers depend on the condition only, not on the method.
    rng = np.random.default_rng([ord(task[0]), severity, len(degradation), seed])
    skill = np.random.default_rng(ord(task[0])).random(n)
    before = (skill + rng.normal(0, 0.1, n) > 0.3 + 0.08 * severity).astype(float)
    flip = np.random.default_rng([ord(task[0]), severity, len(method)]).random(n) < (0.12 if method != "none" else 0)
    after = np.where(flip, 1 - before, before)
    after = np.where(flip & (before == 1) & (rng.random(n) < 0.5), 1.0, after)
    failed = np.arange(n) == (3 if severity == 3 else -1)
    frame = pl.DataFrame(
        {
            "base_score": np.where(failed, 0.0, before),
            "score": np.where(failed, 0.0, after),
            "base_confidence": np.where(failed, np.nan, 0.5 + 0.4 * rng.random(n)),
            "confidence": np.where(failed, np.nan, 0.6 + 0.4 * rng.random(n)),
            "sample_id": [f"{task}-{i:03d}" for i in range(n)],
            "category": [("colour", "counting", "reading")[i % 3] for i in range(n)],
            "error": np.where(failed, f"the image cannot be read {HOSTILE}", "").tolist(),
        }
    )
    tuned = method != "none"
    cell = {"model": "embedded", "task": task, "degradation": degradation, "severity": severity}
    cell |= {"scale": "relative", "restorer": "none", "method": method, "seed": 0} | identity
    rest = {
        "image_sha256": f"{degradation}{severity}{seed}",
        "question_type": "",
        "question": "",
        "reference": "",
        "base_answer": "",
        "answer": "",
    }
    rest |= {"entropy_before": 0.7, "entropy_after": 0.5, "steps": int(tuned), "rolled_back": False}
    rest |= {"seconds": 0.35 if tuned else 0.1}
    frame = frame.with_columns(**quality(degradation, severity, before, failed))
    frame = frame.with_columns(pl.lit(value).alias(name) for name, value in (cell | rest).items())
    (run / "cells").mkdir(parents=True, exist_ok=True)
    name = "-".join(map(str, (task, degradation, severity, method, *identity.values()))).replace("/", "-")
    frame.write_parquet(run / "cells" / f"{name}.parquet")


def write_examples(
    run: Path,
    task: str,
    degradation: str,
    severity: int,
    method: str,
    flips: Sequence[str] = ("corrective", "destructive"),
) -> None:
    """Write the examples of a cell, one per kind of flip, with hostile text."""
    kernel = np.zeros((5, 5))
    kernel[2, 2] = 1 - 0.1 * severity
    kernel[1:4, 1:4] += 0.1 * severity / 9
    images = {name: image(number) for number, name in enumerate(("clean", "degraded", "filtered"))}
    text = {"question": HOSTILE, "reference": "square", "base_answer": HOSTILE, "answer": "square"}
    tuned = {"kernel": kernel.tolist(), "how": "through its kernel"} | images
    plain = {"kernel": None, "clean_answer": "circle"} | {name: images[name] for name in ("clean", "degraded")}
    examples = [
        {"sample_id": f"{task}-{i:03d}", "flip": flip} | text | (plain if flip in ("helped", "hurt") else tuned)
        for i, flip in enumerate(flips)
    ]
    cell = {"model": "embedded", "task": task, "degradation": degradation, "severity": severity}
    cell |= {"scale": "relative", "restorer": "none", "method": method, "seed": 0}
    (run / "examples").mkdir(parents=True, exist_ok=True)
    file = run / "examples" / f"{task}-{degradation}-{severity}-{method}-{flips[0]}.json"
    file.write_text(json.dumps(cell | {"kernel": kernel.tolist(), "examples": examples}))


def write_run(run: Path) -> Path:
    """Write a run of two tasks, five conditions and three methods, with examples."""
    for task in TASKS:
        for degradation, severity in CONDITIONS:
            for method in METHODS:
                write_cell(run, task, degradation, severity, method)
            if severity:
                write_examples(run, task, degradation, severity, "vq-ttt")
                write_examples(run, task, degradation, severity, "none", ("helped", "hurt"))
    config = {"tasks": TASKS, "command": ["vqttt", "study", "--out", "a folder"]}
    (run / "run.json").write_text(json.dumps({"config": config, "commit": "abc", "note": HOSTILE}))
    return run
