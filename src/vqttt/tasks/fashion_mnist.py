"""Questions about Fashion-MNIST: photographs of clothing at 28 px (Xiao et al. 2017, MIT; Debian package).

Shown at 112 px, enlarged by cubic interpolation.
"""

import gzip
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vqttt.errors import InputError
from vqttt.types import Image, Sample

FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASSES = ("top", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
QUESTIONS = ("what clothing is this?", "what article is shown?", "which piece of clothing is in the picture?")
SIDE = 112


def samples(split: str = "test") -> list[Sample]:
    """Return one question for each photograph of a split: 10,000 of `test`, 60,000 of `train`.

    Raises:
        InputError: if the Debian package `dataset-fashion-mnist` is not installed.
    """
    labels = _read(split, "labels-idx1-ubyte.gz", offset=8)
    return [
        Sample(
            id=f"fashion-mnist-{split}-{index:05d}",
            load=partial(_image, split, index),
            question=QUESTIONS[index % len(QUESTIONS)],
            answers=(CLASSES[label],),
            category=CLASSES[label],
            question_type="clothing",
        )
        for index, label in enumerate(labels.tolist())
    ]


@lru_cache
def _read(split: str, name: str, offset: int) -> NDArray[np.uint8]:
    path = FOLDER / f"{'t10k' if split == 'test' else 'train'}-{name}"
    if not path.is_file():
        raise InputError(f"the task fashion-mnist needs {path}: apt-get install dataset-fashion-mnist")
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=offset)


def _image(split: str, index: int) -> Image:
    photo = _read(split, "images-idx3-ubyte.gz", offset=16).reshape(-1, 28, 28)[index]
    large = cv2.resize(photo, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.repeat(large[..., None], 3, axis=2)
