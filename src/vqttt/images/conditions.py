"""What happens to an image before a model sees it: it is degraded, then restored."""

from vqttt.images.degradations import degrade
from vqttt.images.restorers import restore
from vqttt.types import Condition, Image


def degraded(image: Image, condition: Condition, seed: int) -> Image:
    """Return an image as a condition degrades it; `seed` is the image's own."""
    return degrade(image, condition.degradation, condition.severity, seed, condition.scale)


def degrade_and_restore(image: Image, condition: Condition, seed: int) -> Image:
    """Return an image as a model sees it under a condition: degraded, then restored; `seed` is the image's own."""
    return restore(degraded(image, condition, seed), condition.restorer, condition.degradation)
