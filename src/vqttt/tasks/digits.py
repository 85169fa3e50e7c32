"""Questions about handwritten digits: the 1,797 scans of 8 x 8 px in scikit-learn (UCI, Alpaydin 1998).

Shown at 64 px, enlarged by cubic interpolation. The split is our own, drawn once from a fixed seed: 600 for testing,
the rest for training; the same writers appear in both.
"""

from functools import lru_cache, partial

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.errors import MissingExtraError
from vqttt.types import Image, Sample

QUESTIONS = ("what digit is written?", "which digit is this?", "what number is shown?")
SIDE = 64
_TEST = 600


def samples(split: str = "test") -> list[Sample]:
    """Return one question for each scan of a split: 600 of `test`, 1,197 of `train`.

    Raises:
        MissingExtraError: if scikit-learn is not installed.
    """
    scans, labels = _scans()
    order = np.random.default_rng(0).permutation(len(scans))
    chosen = order[:_TEST] if split == "test" else order[_TEST:]
    return [
        Sample(
            id=f"digits-{split}-{index:04d}",
            load=partial(_image, index),
            question=QUESTIONS[position % len(QUESTIONS)],
            answers=(str(labels[index]),),
            category=f"digit {labels[index]}",
            question_type="digit",
        )
        for position, index in enumerate(int(i) for i in chosen)
    ]


@lru_cache
def _scans() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError("the task digits needs scikit-learn: pip install 'vqttt[tasks]'") from None
    data = load_digits()
    return data.images, data.target


def _image(index: int) -> Image:
    scan = _scans()[0][index].astype(np.float32) * (255 / 16)
    large = cv2.resize(scan, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.repeat(np.clip(large + 0.5, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
