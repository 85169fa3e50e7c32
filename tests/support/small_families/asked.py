"""The images and questions that small models are tried with."""

import numpy as np

from tests.support.small_models import QUESTIONS, sample_images
from vqttt.types import Image

ASKED = QUESTIONS[:3]


def unequal() -> list[Image]:
    """Three images of different shapes."""
    tall, wide, square = sample_images(3)
    return [np.ascontiguousarray(tall[:, :36]), np.ascontiguousarray(wide[:40]), square]
