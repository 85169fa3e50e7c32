"""What happens to an image after the camera: tones, colours, resampling, compression."""

import io

import cv2
import numpy as np
from PIL import Image as PILImage

from vqttt.errors import ImageError
from vqttt.images.ops import to_uint8
from vqttt.types import Image

_BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)
_CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
_SATURATION_FACTOR_OFFSET = ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))
_ELASTIC_SHIFT = (12.5, 16.25, 21.25, 25, 30)
_PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)
_JPEG_QUALITY = (25, 18, 15, 10, 7)
_JPEG_MAX_SIDE = 65_500


def jpeg_compression(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Save and load as JPEG, with chroma at half resolution.

    Quality (1 to 95) by severity: 25, 18, 15, 10, 7. The codec's blocks have 8 x 8 pixels at any image size, so `unit`
    is not used. Nothing is drawn from `rng`. Source: ImageNet-C.

    Raises:
        ImageError: if a side exceeds the 65,500 pixels that a JPEG file can have.
    """
    if max(image.shape) > _JPEG_MAX_SIDE:
        raise ImageError(f"an image of shape {image.shape} is too long for JPEG; scale it to {_JPEG_MAX_SIDE:,} pixels")
    buffer = io.BytesIO()
    PILImage.fromarray(image).save(buffer, format="JPEG", quality=_JPEG_QUALITY[severity - 1])
    with PILImage.open(buffer) as coded:
        return np.array(coded)


def brightness(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Brighten, as a longer exposure does: add to the largest of the three colours, and scale the others with it.

    Amount added to the value of HSV (white is 1), by severity: 0.1, 0.2, 0.3, 0.4, 0.5. It has no length, so `unit` is
    not used. Nothing is drawn from `rng`. Source: ImageNet-C.
    """
    pixels = image.astype(np.float32)
    value = image.max(axis=2, keepdims=True).astype(np.float32)
    brighter = np.minimum(value + 255 * _BRIGHTNESS[severity - 1], 255)
    return to_uint8(np.where(value > 0, pixels * (brighter / np.maximum(value, 1)), brighter))


def contrast(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Move all tones toward the image's mean colour, as mist, glare or a poor display do.

    Share of the distance that is left, by severity: 0.4, 0.3, 0.2, 0.1, 0.05. It has no length, so `unit` is not used.
    Nothing is drawn from `rng`. Source: ImageNet-C.
    """
    left = _CONTRAST[severity - 1]
    mean = image.mean(axis=(0, 1))
    tables = to_uint8(mean + left * (np.arange(256)[:, None] - mean))
    return np.asarray(cv2.LUT(image, tables[None]), np.uint8)


def saturate(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Weaken colours (severity 1 and 2) or exaggerate them (3 to 5), as a careless photo filter does.

    The saturation of HSV is multiplied by 0.3, 0.1, 2, 5, 20 and increased by 0, 0, 0, 0.1, 0.2. Gray has the hue of
    red, so it turns reddish at severity 4 and 5. It has no length, so `unit` is not used. Nothing is drawn from `rng`.
    Source: ImageNet-C.
    """
    factor, offset = _SATURATION_FACTOR_OFFSET[severity - 1]
    pixels = image.astype(np.float32)
    value = image.max(axis=2, keepdims=True).astype(np.float32)
    depth = value - image.min(axis=2, keepdims=True)
    saturation = np.minimum(factor * depth / np.maximum(value, 1) + offset, 1)
    # How far each colour lies below the largest, relative to the depth; gray is treated as red.
    below = np.where(depth > 0, (value - pixels) / np.maximum(depth, 1), np.array([0, 1, 1], np.float32))
    return to_uint8(value * (1 - saturation * below))


def pixelate(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Show a smaller image with large square pixels.

    Sides of the smaller image, relative to the image's, by severity: 0.6, 0.5, 0.4, 0.3, 0.25. They are already
    relative, so `unit` is not used. Nothing is drawn from `rng`. Source: ImageNet-C.
    """
    height, width = image.shape[:2]
    size = int(width * _PIXELATE[severity - 1]), int(height * _PIXELATE[severity - 1])
    small = PILImage.fromarray(image).resize(size, PILImage.Resampling.BOX)
    return np.array(small.resize((width, height), PILImage.Resampling.NEAREST))


def elastic_transform(image: Image, severity: int, rng: np.random.Generator, unit: float) -> Image:
    """Stretch and squeeze parts of the image, as if it were printed on rubber.

    Each pixel is displaced by uniform noise within 0.5% of the image's height, times 12.5, 16.25, 21.25, 25, 30 by
    severity, blurred by a Gaussian of 1% of the sides. These are already relative to the image, so `unit` is not used.
    Source: ImageNet-C.
    """
    height, width = image.shape[:2]
    noise = rng.random((2, height, width), dtype=np.float32)
    noise = (noise * 2 - 1) * (0.005 * height * _ELASTIC_SHIFT[severity - 1])
    sigma_y, sigma_x = 0.01 * height, 0.01 * width
    size = 2 * int(3 * sigma_x + 0.5) + 1, 2 * int(3 * sigma_y + 0.5) + 1
    across, down = (cv2.GaussianBlur(part, size, sigma_x, None, sigma_y, cv2.BORDER_REFLECT) for part in noise)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(image, x + across, y + down, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT), np.uint8)
