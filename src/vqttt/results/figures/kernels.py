"""Kernels: their distance from the identity, their gain by spatial frequency, and a figure of both."""

import numpy as np
from numpy.typing import NDArray

from vqttt.results.figures.drawing import BAD, COLOURS, GOOD, INK, Axes, Panel


def kernel_panel(kernel: NDArray[np.float64], title: str) -> Panel:
    """Draw a kernel (k, k) as a heat map beside its gain by spatial frequency."""
    centre = kernel[len(kernel) // 2, len(kernel) // 2]

    def paint(heat: Axes, response: Axes) -> None:
        heat.imshow(_shaded(support(kernel)), interpolation="none")
        heat.set(xticks=[], yticks=[], xlabel=f"centre {centre:.2f}".replace("-", "−"))
        heat.grid(visible=False)
        heat.spines[:].set_visible(False)
        response.axhline(1, color=INK, linewidth=1, linestyle=":")
        frequency, gain = frequency_response(kernel)
        response.plot(frequency, gain, color=COLOURS[0])
        response.set(xlabel="cycles/pixel", ylabel="gain", xlim=(0, 0.5))
        response.set_ylim(min(0.0, float(gain.min())), max(1.25, 1.08 * float(gain.max())))

    return Panel(title=title, paint=paint, width=4.6, height=2.2, columns=2, left=0.2)


def _shaded(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colour weights (k, k) as RGBA: blue above zero, orange below, and transparent at zero, for any background."""
    from matplotlib.colors import to_rgb

    signs = np.where(kernel[..., None] < 0, to_rgb(BAD), to_rgb(GOOD))
    # The square root makes small weights around a large centre visible.
    strength = np.sqrt(np.abs(kernel) / (np.abs(kernel).max() or 1.0))
    return np.concatenate([signs, strength[..., None]], axis=-1)


def frequency_response(kernel: NDArray[np.float64], size: int = 64) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies in cycles per pixel, 0 to 0.5, and a kernel's gain at each, averaged over directions."""
    gain = np.abs(np.fft.fft2(kernel, s=(size, size)))
    axis = np.fft.fftfreq(size)
    ring = np.rint(np.hypot(axis[:, None], axis[None, :]) * size).astype(np.int64).ravel()
    profile = np.bincount(ring, weights=gain.ravel()) / np.bincount(ring)
    return np.arange(size // 2 + 1) / size, profile[: size // 2 + 1]


def identity_distance(kernel: NDArray[np.float64]) -> float:
    """Return the Frobenius distance of a kernel (k, k) from the identity kernel, which changes nothing."""
    identity = np.zeros_like(kernel)
    identity[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
    return float(np.linalg.norm(kernel - identity))


def support(kernel: NDArray[np.float64], least: float = 1e-3) -> NDArray[np.float64]:
    """Crop a square kernel to the weights of at least `least` in size, by the same width on all sides."""
    far = np.abs(np.argwhere(np.abs(kernel) >= least) - len(kernel) // 2)
    cut = len(kernel) // 2 - max(1, int(far.max(initial=0)))
    return kernel[cut:-cut, cut:-cut] if cut > 0 else kernel
