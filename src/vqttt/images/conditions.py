"""What a condition does to an image before a model sees it: it is degraded, then restored."""

from vqttt.images.degradations import degrade
from vqttt.images.restorers import restore
from vqttt.types import Condition, Image

__all__ = ["degrade_and_restore", "degraded"]


def degraded(image: Image, condition: Condition, seed: int) -> Image:
    """Apply a condition's degradation, but not its restorer.

    Args:
        image: uint8 RGB of shape (H, W, 3), any size; never modified.
        condition: what to do to it.
        seed: the image's own (see `image_seed`), so that every condition and every worker draws the same for it.

    Raises:
        InputError, PluginError: as `degrade` does.
    """
    return degrade(image, condition.degradation, condition.severity, seed, condition.scale)


def degrade_and_restore(image: Image, condition: Condition, seed: int) -> Image:
    """Return the image that a model sees under a condition; arguments as for `degraded`.

    Raises:
        InputError, MissingExtraError, PluginError: as `degrade` and `restore` do.
    """
    return restore(degraded(image, condition, seed), condition.restorer, condition.degradation)
