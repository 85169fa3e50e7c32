"""What the experiment measured, as frames: the records of its studies, kernels, spectra, descriptors and looks inside.

Records get three more columns: `quality`, that of the model's training images; `image`, the image that a question is
about, the same in all studies; and `condition`, such as `gaussian_blur 4`, `clean`, or `sharpened` for clean images
after an unsharp mask.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from experiments.paradox.plan import OWN_QUALITY, Study, quality_of, studies
from vqttt.errors import RunFolderError
from vqttt.results.figures import frequency_response
from vqttt.results.statistics import Floats
from vqttt.results.summary import untuned
from vqttt.runs.loading import load_description, load_examples, load_records
from vqttt.runs.records import CELL, CLEAN, NONE
from vqttt.study.plan import conditions
from vqttt.tuning.spectrum import SPECTRUM_BANDS

SHARPENED = "sharpened"
RECIPES = ("recipe", "recipe-clean", "recipe-others")
"""The studies that tune along streams."""

BAND_CENTRES: Floats = (1.5 / 112) * (0.5 * 112 / 1.5) ** ((np.arange(SPECTRUM_BANDS) + 0.5) / SPECTRUM_BANDS)
"""The middle of each band of `vqttt.tuning.spectrum`, in cycles per pixel of the model's input."""

LEAST_GAIN = 0.05
"""Lower gains count as this one: a kernel's response may pass through zero, whose logarithm would outweigh all else."""


class NotMeasuredError(Exception):
    """What a part of the page needs has not been measured."""


class Runs(dict[str, pl.DataFrame]):
    """Frames by the name of what was measured."""

    def __missing__(self, name: str) -> pl.DataFrame:
        """Raise NotMeasuredError."""
        raise NotMeasuredError(name)


def load(folder: Path) -> Runs:
    """Load all studies that are complete, the kernels that they learned, and what else was measured."""
    runs = Runs()
    for study in studies():
        records = _finished(study, folder / study.name)
        if records is not None:
            runs[study.name] = prepared(records)
    learned = [kernels(load_examples(folder / name)) for name in RECIPES if name in runs]
    if learned:
        runs["kernels"] = pl.concat(learned)
    for file in folder.glob("*.parquet"):
        runs[file.stem] = pl.read_parquet(file)
    return runs


def _finished(study: Study, folder: Path) -> pl.DataFrame | None:
    """Return a study's records, or None if not all of its cells are there."""
    config = study.config
    try:
        records = load_records(folder)
    except RunFolderError:
        return None
    if load_description(folder).get("config") != json.loads(json.dumps(config.described())):
        return None  # of another plan
    cells = len(config.models) * len(config.tasks) * len(conditions(config)) * len(config.methods) * len(config.seeds)
    return records if records.select(CELL).n_unique() == cells else None


def prepared(records: pl.DataFrame) -> pl.DataFrame:
    """Add the columns `quality`, `image` and `condition`."""
    qualities = {name: quality_of(name) for name in records["model"].unique()}
    own = pl.concat_str("task", "sample_id", separator="\n")
    source = pl.col("source_sha256").fill_null("")
    clean = pl.col("degradation") == CLEAN
    sharpened = clean & (pl.col("restorer") == "unsharp-mask")
    degraded = pl.format("{} {}", "degradation", "severity")
    return records.with_columns(
        quality=pl.col("model").replace_strict(qualities),
        image=pl.when(source == "").then(own).otherwise(source),
        condition=pl.when(sharpened).then(pl.lit(SHARPENED)).when(clean).then(pl.lit(CLEAN)).otherwise(degraded),
    )


def kernels(examples: Iterable[dict[str, object]]) -> pl.DataFrame:
    """Return the gain of each kernel that `vq-ttt` learned along a stream, one row per cell.

    `gain` is the logarithm of the gain in each of the 9 bands of `vqttt.tuning.spectrum`.
    """
    names = ("model", "degradation", "severity", "seed")
    rows = [
        {name: cell[name] for name in names}
        | {"quality": quality_of(str(cell["model"])), "gain": log_gain(np.array(cell["kernel"], np.float64)).tolist()}
        for cell in examples
        if cell.get("method") == "vq-ttt" and cell.get("kernel") is not None
    ]
    types = {"model": pl.String, "degradation": pl.String, "severity": pl.Int64, "seed": pl.Int64}
    return pl.DataFrame(rows, schema=types | {"quality": pl.String, "gain": pl.List(pl.Float64)})


def log_gain(kernel: Floats) -> Floats:
    """Return the logarithm of a kernel's gain in each band, `LEAST_GAIN` or more."""
    frequency, gain = frequency_response(kernel, 128)
    return np.log(np.maximum(np.interp(BAND_CENTRES, frequency, gain), LEAST_GAIN))


def answers(runs: Runs, *names: str) -> pl.DataFrame:
    """Return the untuned answers of some studies, each answer once.

    Raises:
        NotMeasuredError: if one of them was not measured.
    """
    found = pl.concat([untuned(runs[name]) for name in names])
    return found.unique([*(c for c in CELL if c != "method"), "sample_id"], keep="first", maintain_order=True)


def changes(degraded: pl.DataFrame, clean: pl.DataFrame) -> pl.DataFrame:
    """Add to untuned answers what they gain over the same model's on the clean images: `clean_score` and `change`."""
    same = ["model", "task", "sample_id"]
    reference = clean.filter(pl.col("condition") == CLEAN).unique(same, keep="first", maintain_order=True)
    joined = degraded.join(reference.select(*same, clean_score="base_score"), on=same, maintain_order="left")
    return joined.with_columns(change=pl.col("base_score") - pl.col("clean_score"))


def of_quality(records: pl.DataFrame, quality: str) -> pl.DataFrame:
    """Select the conditions that are the quality of some training images, as far as they were measured."""
    names = [f"{kind} {severity}" for kind, severity in OWN_QUALITY[quality]]
    return records.filter(pl.col("condition").is_in(names), pl.col("restorer") == NONE)


def restored(records: pl.DataFrame, plain: pl.DataFrame) -> pl.DataFrame:
    """Return answers to restored images with what they gain over the same images unrestored, as `change`."""
    same = [name for name in CELL if name not in ("restorer", "method")] + ["sample_id"]
    reference = plain.filter(pl.col("restorer") == NONE).unique(same, keep="first", maintain_order=True)
    some = records.filter(pl.col("restorer") != NONE)
    joined = some.join(reference.select(*same, plain_score="base_score"), on=same, maintain_order="left")
    return joined.with_columns(change=pl.col("base_score") - pl.col("plain_score"))
