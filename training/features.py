"""Store feature statistics of training images for an embedded model: `python -m training.features`. Uses no labels."""

from pathlib import Path

import numpy as np

from training.qualities import Quality, plain
from vqttt.models import CLEAN_FEATURES, EMBEDDED, load_model
from vqttt.tasks import digits, easy_vqa, vq_mini
from vqttt.tuning.feature_statistics import measure_clean, save_clean


def measure_features(folder: Path, quality: Quality) -> Path:
    """Measure 96 training images of each of three tasks, in a quality; write the file into a checkpoint's folder."""
    samples = [*vq_mini.samples("train", 96), *digits.samples("train")[:96], *easy_vqa.samples("train")[:3000:32][:96]]
    rng = np.random.default_rng(0)
    images = [quality(sample.load(), rng) for sample in samples]
    file = folder / CLEAN_FEATURES
    save_clean(file, measure_clean(load_model(str(folder)), images, [sample.question for sample in samples]))
    return file


def main() -> None:
    """Measure for `embedded`."""
    print(measure_features(EMBEDDED, plain))


if __name__ == "__main__":
    main()
