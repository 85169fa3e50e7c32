"""Pictures to test with, and the measure of how much is left of them."""

import numpy as np


def scene(height: int, width: int) -> np.ndarray:
    """A picture with flat, smooth and sharp parts: a colour gradient, a disc, stripes and a dark corner."""
    y, x = np.mgrid[:height, :width] / min(height, width)
    pixels = np.stack([90 + 80 * np.sin(5 * x), 110 + 70 * np.cos(4 * y), 100 + 60 * np.sin(3 * (x + y))], axis=2)
    pixels[(x - 0.3) ** 2 + (y - 0.4) ** 2 < 0.04] = (230, 40, 50)
    pixels[(x > 0.6) & (y < 0.5) & (np.sin(80 * x) > 0)] = 245
    pixels[(x > 0.5) & (y > 0.7)] = 12
    return pixels.astype(np.uint8)


def psnr(image: np.ndarray, reference: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((image.astype(float) - reference) ** 2), 1e-9)))
