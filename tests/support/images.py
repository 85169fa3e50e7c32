"""Images to test with, and PSNR to compare them."""

import cv2
import numpy as np


def scene(height: int, width: int) -> np.ndarray:
    """Draw an image with smooth, flat and sharp parts: a colour gradient, a disc, stripes and a dark corner."""
    y, x = np.mgrid[:height, :width] / min(height, width)
    pixels = np.stack([90 + 80 * np.sin(5 * x), 110 + 70 * np.cos(4 * y), 100 + 60 * np.sin(3 * (x + y))], axis=2)
    pixels[(x - 0.3) ** 2 + (y - 0.4) ** 2 < 0.04] = (230, 40, 50)
    pixels[(x > 0.6) & (y < 0.5) & (np.sin(80 * x) > 0)] = 245
    pixels[(x > 0.5) & (y > 0.7)] = 12
    return pixels.astype(np.uint8)


def natural(height: int, width: int) -> np.ndarray:
    """Draw clouds of colour whose spectrum falls with frequency as that of photographs does."""
    rng = np.random.default_rng(4)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    spectrum = np.fft.rfft2(rng.standard_normal((4, height, width))) / np.maximum(frequency, 1 / max(height, width))
    fields = np.fft.irfft2(spectrum, s=(height, width))
    fields /= fields.std(axis=(1, 2), keepdims=True)
    # Most of the variation is common to the three colours.
    pixels = 120 + 45 * fields[0][..., None] + 22 * fields[1:].transpose(1, 2, 0)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def psnr(image: np.ndarray, reference: np.ndarray) -> float:
    """Return the PSNR in dB."""
    if image.dtype == reference.dtype == np.uint8:
        # The sum of whole numbers takes OpenCV a fraction of the time.
        assert image.shape == reference.shape
        squares = cv2.norm(np.ascontiguousarray(image), np.ascontiguousarray(reference), cv2.NORM_L2SQR)
        return float(10 * np.log10(255**2 / max(squares / image.size, 1e-9)))
    return float(10 * np.log10(255**2 / max(np.mean((image.astype(float) - reference) ** 2), 1e-9)))
