"""Time the report of a large run: `python -m perf.report [ROWS]`; 100,000 rows should take less than 10 s.

The records are invented: the grid of the preset `paper`, with answers that degradation breaks and tuning flips at
random. Only time and size matter.
"""

import json
import sys
import tempfile
import time
from base64 import b64encode
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from vqttt.images.quality import METRICS
from vqttt.results.report import write_html

TASKS = ("digits", "easy-vqa", "vq-mini")
DEGRADATIONS = (
    "cartoon", "fog", "gaussian_blur", "gaussian_noise", "jpeg_compression", "motion_blur", "sketch", "snow",
)  # fmt: skip
CONDITIONS = (("clean", 0), *product(DEGRADATIONS, range(1, 6)))
METHODS = ("none", "vq-ttt", "vq-ttt-episodic")
FLIPS = ("corrective", "destructive")


def main() -> None:
    """Time the page of a run with the number of rows given as the first argument."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        written = invent(Path(folder), rows)
        seconds, busy, size = timed(Path(folder))
    print(f"{written:,} rows: {seconds:.1f} s, {busy:.1f} s of processor time, {size / 1e6:.2f} MB")


def timed(run: Path) -> tuple[float, float, int]:
    """Write a run's page and return the seconds it took, the seconds of processor time, and the size in bytes."""
    start, busy = time.perf_counter(), time.process_time()
    page = write_html(run)
    return time.perf_counter() - start, time.process_time() - busy, page.stat().st_size


def invent(run: Path, rows: int) -> int:
    """Write a run of at least `rows` rows; return the number of rows written."""
    cells = list(product(TASKS, CONDITIONS, METHODS))
    n = -(-rows // len(cells))
    for folder in ("cells", "examples"):
        (run / folder).mkdir(parents=True)
    for task, (degradation, severity), method in cells:
        identity = {"model": "invented", "task": task, "degradation": degradation, "severity": severity}
        identity |= {"scale": "relative", "restorer": "none", "method": method, "seed": 0}
        records = answers(TASKS.index(task), severity, METHODS.index(method), n)
        records = records.with_columns(pl.lit(value).alias(name) for name, value in identity.items())
        key = f"{task}~{degradation}-{severity}~{method}"
        records.write_parquet(run / "cells" / f"{key}.parquet")
        if method != "none":
            number = cells.index((task, (degradation, severity), method))
            (run / "examples" / f"{key}.json").write_text(json.dumps(identity | examples(severity, number)))
    return n * len(cells)


def answers(task: int, severity: int, method: int, n: int) -> pl.DataFrame:
    """Invent the rows of a cell, without the columns that identify the cell."""
    untuned, tuning = np.random.default_rng([task, severity]), np.random.default_rng([task, severity, method])
    before = (np.random.default_rng(task).random(n) + untuned.normal(0, 0.2, n) > 0.2 + 0.08 * severity).astype(float)
    after = np.where(tuning.random(n) < 0.08 * (method > 0), 1 - before, before)
    words = {"image_sha256": "", "question_type": "", "question": "what is it?", "reference": "a", "error": ""}
    columns = {"base_score": before, "score": after, "seconds": 0.05 + 0.1 * method + tuning.exponential(0.02, n)}
    columns |= {name: untuned.random(n) for name in ("base_confidence", "entropy_before", *METRICS)}
    columns |= {name: tuning.random(n) for name in ("confidence", "entropy_after")}
    frame = pl.DataFrame(columns | {"sample_id": [f"sample-{i:05d}" for i in range(n)]})
    frame = frame.with_columns(
        base_answer=pl.when(pl.col("base_score") > 0).then(pl.lit("a")).otherwise(pl.lit("b")),
        answer=pl.when(pl.col("score") > 0).then(pl.lit("a")).otherwise(pl.lit("b")),
        category=pl.Series([("colour", "counting", "reading")[i % 3] for i in range(n)]),
    )
    return frame.with_columns(**{name: pl.lit(value) for name, value in words.items()}).with_columns(
        steps=pl.lit(int(method > 0)), rolled_back=pl.lit(False)
    )


def examples(severity: int, seed: int) -> dict[str, object]:
    """Invent the kernel and four examples of a cell, with images 64 pixels wide."""
    kernel = np.zeros((33, 33))
    kernel[16, 16] = 1 + 0.1 * severity
    kernel[15:18, 15:18] -= 0.1 * severity / 9
    shown = {name: image(3 * seed + i) for i, name in enumerate(("clean", "degraded", "filtered"))}
    text = {"question": "what is it?", "reference": "a", "base_answer": "b", "answer": "a", "kernel": kernel.tolist()}
    named = [(f"sample-{i:05d}", FLIPS[i % 2]) for i in range(4)]
    return {"kernel": kernel.tolist(), "examples": [{"sample_id": s, "flip": f} | text | shown for s, f in named]}


def image(seed: int) -> str:
    """Draw noise as a data URI."""
    file = BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "WEBP")
    return f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}"


if __name__ == "__main__":
    main()
