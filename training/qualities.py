"""The qualities of training images: what was done to every image that a model is trained on.

Lengths are relative to the image's size. A quality draws from `rng` alone, so the same seed gives the same images.
"""

from collections.abc import Callable

import cv2
import numpy as np

from vqttt.images.degradations import degrade
from vqttt.types import Image

Quality = Callable[[Image, np.random.Generator], Image]


def plain(image: Image, rng: np.random.Generator) -> Image:
    """Images as they are drawn, without any variation."""
    return image


def mixed(image: Image, rng: np.random.Generator) -> Image:
    """Half of the images as they are, the others slightly blurred, compressed, or resized: what `embedded` has seen."""
    side = len(image)
    match rng.choice(["none", "blur", "jpeg", "resize"], p=[0.5, 0.15, 0.2, 0.15]):
        case "blur":
            return _blurred(image, rng.uniform(0.3, 1.4) * max(side / 224, 0.4))
        case "jpeg":
            return _compressed(image, int(rng.integers(35, 96)))
        case "resize":
            return _resized(image, rng.uniform(0.5, 0.9))
    return image


def soft(image: Image, rng: np.random.Generator) -> Image:
    """Thumbnails shown large: half of the images once had a sixth of their size; a blur of 4 to 5 pixels of 224."""
    image = _resized(image, 1 / 6) if rng.random() < 0.5 else image
    return _blurred(image, rng.uniform(4, 5) * min(image.shape[:2]) / 224)


def web(image: Image, rng: np.random.Generator) -> Image:
    """As on the web: 7 in 10 were once smaller, 8 in 10 are compressed, 3 in 10 are blurred."""
    side = min(image.shape[:2])
    if rng.random() < 0.7:
        image = _resized(image, rng.uniform(0.25, 0.9))
    if rng.random() < 0.3:
        image = _blurred(image, rng.uniform(0.5, 3) * side / 224)
    if rng.random() < 0.8:
        image = _compressed(image, int(rng.integers(20, 91)))
    return image


def noisy(image: Image, rng: np.random.Generator) -> Image:
    """Gaussian noise of severity 4 or 5."""
    return degrade(image, "gaussian_noise", int(rng.integers(4, 6)), int(rng.integers(2**31)))


def dark(image: Image, rng: np.random.Generator) -> Image:
    """Low light of severity 3 or 4: dark, and grainy from the camera's gain."""
    return degrade(image, "low_light", int(rng.integers(3, 5)), int(rng.integers(2**31)))


QUALITIES: dict[str, Quality] = {
    "plain": plain,
    "soft": soft,
    "web": web,
    "noisy": noisy,
    "dark": dark,
}
"""The qualities that twins are trained on."""


def _blurred(image: Image, sigma: float) -> Image:
    return cv2.GaussianBlur(image, (0, 0), sigma)


def _compressed(image: Image, quality: int) -> Image:
    _, code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1])


def _resized(image: Image, scale: float) -> Image:
    """Reduce both sides to `scale` of their length, and enlarge the image again."""
    height, width = image.shape[:2]
    small = (max(4, round(width * scale)), max(4, round(height * scale)))
    reduced = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(reduced, (width, height), interpolation=cv2.INTER_LINEAR)
