"""Measure spectra: of training images by quality, of test images by condition, and of each clean test image.

All as the model gets them: resized and normalised by the processor, which is the same for all twins.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
import torch

from experiments.paradox.plan import MAIN, SCENES, quality_of, studies
from training.qualities import QUALITIES, Quality, mixed
from vqttt.images.degradations import DEGRADATIONS, SEVERITIES, degrade, image_seed
from vqttt.models import load_model
from vqttt.models.tunable import TunableModel, tunable
from vqttt.results.statistics import Floats
from vqttt.runs.records import CLEAN
from vqttt.tasks import limited, load_task, vq_mini
from vqttt.tuning.spectrum import DIRECTIONS, SPECTRUM_BANDS, describe
from vqttt.types import Image

TRAINING, SHOWN = 96, 24
"""Number of scenes for the spectrum of a quality, and of a condition."""

_LEVEL = SPECTRUM_BANDS + DIRECTIONS + 6
"""The place of the mean log power among the descriptors."""


def spectra() -> pl.DataFrame:
    """Measure mean spectra: `kind` is `training` or `condition`, `power` the log power in 9 bands relative to 1/f^2."""
    model = _model()
    rows = []
    train = [sample.load() for sample in vq_mini.samples("train", TRAINING)]
    for quality in map(quality_of, MAIN):
        make = making(quality)
        images = [make(image, np.random.default_rng([0, n])) for n, image in enumerate(train)]
        rows.append({"kind": "training", "name": quality, "power": mean_power(descriptors_of(model, images))})
    samples = vq_mini.samples("test", SHOWN)
    test = [(sample.load(), image_seed(0, sample.id)) for sample in samples]
    for kind, severity in [(CLEAN, 0), *((kind, severity) for kind in DEGRADATIONS for severity in SEVERITIES)]:
        described = descriptors_of(model, [degrade(image, kind, severity, seed) for image, seed in test])
        shown = {"kind": "condition", "name": f"{kind} {severity}", "degradation": kind, "severity": severity}
        rows.append(shown | {"power": mean_power(described)})
    return pl.DataFrame(rows, infer_schema_length=None)


def making(quality: str) -> Quality:
    """Return what makes the training images of a quality; those of `embedded` are `mixed`."""
    return mixed if quality == "embedded" else QUALITIES[quality]


def descriptors() -> pl.DataFrame:
    """Measure what `vqttt.tuning.spectrum.describe` says of each clean image of the study along the blur axis."""
    limit = next(study for study in studies() if study.name == "blur").config.limit
    samples = limited(load_task(SCENES), limit)  # the questions that the study asked
    described = descriptors_of(_model(), [sample.load() for sample in samples])
    columns = {f"d{n}": described[:, n] for n in range(described.shape[1])}
    return pl.DataFrame({"sample_id": [sample.id for sample in samples], **columns})


def descriptors_of(model: TunableModel, images: Sequence[Image], batch: int = 32) -> Floats:
    """Describe images by the 26 values of `describe`, (images, 26)."""
    parts = []
    for start in range(0, len(images), batch):
        some = images[start : start + batch]
        with torch.no_grad():
            parts.append(describe(model.pixels(model.encode(some, ["what?"] * len(some))).pixels).double().numpy())
    return np.concatenate(parts)


def mean_power(described: Floats) -> list[float]:
    """Return the logarithm of the mean power in each band, relative to 1/f^2, of images with these descriptors."""
    bands = 2 * described[:, :SPECTRUM_BANDS] + (3 * described[:, _LEVEL] - 2)[:, None]
    return np.log(np.exp(bands).mean(axis=0)).tolist()


def _model() -> TunableModel:
    return tunable(load_model("embedded"), "the experiment")
