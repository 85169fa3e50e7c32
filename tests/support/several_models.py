"""An invented run of several models: one is best on clean images, one on blurred ones.

Each sample has a difficulty that all models and conditions share, so answers are right or wrong together, as in a run.
"""

import json
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFilter

from tests.support.runs import quality

DEGRADATIONS = ("gaussian_blur", "gaussian_noise", "jpeg_compression")
SEVERITIES = (1, 2, 3, 4, 5)
FROM_CLEAN = {
    "gaussian_blur": (0.97, 0.97, 0.96, 0.94, 0.87, 0.78),
    "gaussian_noise": (0.97, 0.96, 0.94, 0.9, 0.8, 0.66),
    "jpeg_compression": (0.97, 0.97, 0.96, 0.95, 0.93, 0.9),
}
"""Accuracy of a model trained on clean images, from clean to severity 5."""
FROM_BLURRED = {
    "gaussian_blur": (0.84, 0.86, 0.89, 0.92, 0.93, 0.9),
    "gaussian_noise": (0.84, 0.83, 0.82, 0.78, 0.7, 0.58),
    "jpeg_compression": (0.84, 0.84, 0.85, 0.85, 0.84, 0.82),
}
"""The same of a model trained on blurred ones."""
MODELS = {"embedded": FROM_CLEAN, "embedded-soft": FROM_BLURRED}
GAINS = {"embedded": {"vq-ttt": 0.02, "auto": 0.03}, "embedded-soft": {"vq-ttt": 0.06, "auto": -0.02}}
"""What the method and the restorer add to the accuracy of each model."""
_TIMES = {"none": 0.1, "vq-ttt": 0.23, "auto": 0.13}


def write_models(
    run: Path,
    models: dict[str, dict[str, tuple[float, ...]]] = MODELS,
    tried: tuple[str, ...] = ("none", "vq-ttt", "auto"),
    tasks: tuple[str, ...] = ("shapes",),
    degradations: tuple[str, ...] = DEGRADATIONS,
    n: int = 400,
    examples: bool = True,
) -> Path:
    """Write a run of these models under clean images and all severities of these degradations.

    Args:
        run: the run folder.
        models: the untuned accuracy of each model, by degradation, from clean to severity 5.
        tried: `none`, methods, and the restorer `auto`.
        tasks: names of the tasks.
        degradations: names of the degradations.
        n: samples of each task.
        examples: whether to write examples with images.
    """
    for model, accuracy in models.items():
        for task in tasks:
            for degradation, severity in (("clean", 0), *((name, s) for name in degradations for s in SEVERITIES)):
                base = accuracy[degradations[0] if degradation == "clean" else degradation][severity]
                cell = {"model": model, "task": task, "degradation": degradation, "severity": severity}
                right = {name: _right(n, cell, base + GAINS.get(model, {}).get(name, 0.0)) for name in tried}
                for name in tried:
                    _write_cell(run, cell, name, right["none"], right[name])
                if examples and severity in (3, 4):
                    _write_examples(
                        run, cell, _right(n, cell | {"degradation": "clean"}, accuracy[degradation][0]), right
                    )
    (run / "run.json").write_text(json.dumps({"config": {"command": ["vqttt", "study"]}, "commit": "abc"}))
    return run


def _right(n: int, cell: dict[str, Any], accuracy: float) -> np.ndarray:
    """Draw whether each sample is answered rightly; the share of right answers is close to `accuracy`."""
    difficulty = np.random.default_rng(len(str(cell["task"]))).permutation((np.arange(n) + 0.5) / n)
    own = np.random.default_rng([len(str(cell["degradation"])), int(cell["severity"]), n]).uniform(-0.02, 0.02, n)
    return difficulty + own < accuracy


def _identity(cell: dict[str, Any], tried: str) -> dict[str, Any]:
    restored = tried == "auto"
    return cell | {
        "scale": "relative",
        "restorer": tried if restored else "none",
        "method": "none" if restored else tried,
        "seed": 0,
    }


def _write_cell(run: Path, cell: dict[str, Any], tried: str, before: np.ndarray, after: np.ndarray) -> None:
    n, identity = len(before), _identity(cell, tried)
    base = after if tried == "auto" else before  # the untuned model's answer to this image, restored or not
    answers = {
        name: np.where(right, "circle", "square").tolist() for name, right in (("base_answer", base), ("answer", after))
    }
    frame = pl.DataFrame({"base_score": base.astype(float), "score": after.astype(float)} | answers)
    rest = {"image_sha256": "", "category": "", "question_type": "", "question": "What is it?", "reference": "circle"}
    rest |= {"base_confidence": 0.8, "confidence": 0.9, "entropy_before": 0.7, "entropy_after": 0.5, "error": ""}
    rest |= {"steps": int(tried == "vq-ttt"), "rolled_back": False, "seconds": _TIMES.get(tried, 0.2)}
    frame = frame.with_columns(pl.Series("sample_id", [f"{cell['task']}-{i:03d}" for i in range(n)]))
    frame = frame.with_columns(**quality(cell["degradation"], cell["severity"], before, np.zeros(n, bool)))
    frame = frame.with_columns(pl.lit(value).alias(name) for name, value in (identity | rest).items())
    (run / "cells").mkdir(parents=True, exist_ok=True)
    frame.write_parquet(run / "cells" / f"{'~'.join(map(str, identity.values()))}.parquet")


def _write_examples(run: Path, cell: dict[str, Any], clean: np.ndarray, right: dict[str, np.ndarray]) -> None:
    """Write the first answers of each kind: by the untuned model, and by the method if it was tried."""
    base = right["none"]
    kinds = [("none", "helped", ~clean & base), ("none", "hurt", clean & ~base)]
    if "vq-ttt" in right:
        tuned = right["vq-ttt"]
        kinds += [("vq-ttt", "corrective", ~base & tuned), ("vq-ttt", "destructive", base & ~tuned)]
    for method in dict.fromkeys(method for method, _, _ in kinds):
        shown = [
            _example(cell, int(i), flip, method)
            for of, flip, which in kinds
            if of == method
            for i in np.flatnonzero(which)[:2]
        ]
        if shown:
            (run / "examples").mkdir(parents=True, exist_ok=True)
            identity = _identity(cell, method)
            file = run / "examples" / f"{'~'.join(map(str, identity.values()))}.json"
            file.write_text(json.dumps(identity | {"kernel": None, "examples": shown}))


def _example(cell: dict[str, Any], number: int, flip: str, method: str) -> dict[str, Any]:
    versions = {"clean": 0.0, "degraded": 0.6 * cell["severity"]} | ({"filtered": 1.0} if method != "none" else {})
    texts = {"question": "What shape is to the left of the red thing?", "reference": "circle", "answer": "circle"}
    texts |= {"base_answer": "square"} | ({"clean_answer": "square"} if method == "none" else {})
    images = {name: _scene(number, blur) for name, blur in versions.items()}
    return {"sample_id": f"{cell['task']}-{number:03d}", "flip": flip, "kernel": None} | texts | images


def _scene(seed: int, blur: float) -> str:
    """Draw a few shapes, blurred, as a data URI."""
    rng, image = np.random.default_rng(seed), PILImage.new("RGB", (64, 64), (236, 232, 224))
    draw = ImageDraw.Draw(image)
    for shape in (draw.ellipse, draw.rectangle, draw.ellipse):
        x, y, size = rng.integers(4, 40), rng.integers(4, 40), rng.integers(10, 22)
        shape((int(x), int(y), int(x + size), int(y + size)), fill=tuple(map(int, rng.integers(30, 220, 3))))
    file = BytesIO()
    image.filter(ImageFilter.GaussianBlur(blur)).save(file, "WEBP")
    return f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}"
