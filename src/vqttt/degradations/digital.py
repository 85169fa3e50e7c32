"""What happens to a picture after the camera: compression."""

import io

import numpy as np
from PIL import Image as PILImage

from vqttt.errors import ImageError
from vqttt.types import Image

_JPEG_QUALITY = (25, 18, 15, 10, 7)
_JPEG_MAX_SIDE = 65_500


def jpeg_compression(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Save and load as JPEG, with chroma at half resolution.

    Quality by severity (1 to 95): 25, 18, 15, 10, 7. The codec's blocks are 8 x 8 pixels whatever the size of the
    picture, so `unit` is not used. Nothing is drawn from `rng`. Source: ImageNet-C.

    Raises:
        ImageError: if a side exceeds the 65,500 pixels that a JPEG file can have.
    """
    if max(image.shape) > _JPEG_MAX_SIDE:
        raise ImageError(f"an image of shape {image.shape} is too long for JPEG; scale it to {_JPEG_MAX_SIDE:,} pixels")
    buffer = io.BytesIO()
    PILImage.fromarray(image).save(buffer, format="JPEG", quality=_JPEG_QUALITY[severity - 1])
    with PILImage.open(buffer) as picture:
        return np.array(picture)
