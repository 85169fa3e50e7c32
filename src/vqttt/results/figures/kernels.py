"""Kernels: how far they are from doing nothing, what they do to frequencies, and a figure of both."""

import numpy as np
from numpy.typing import NDArray

from vqttt.results.figures.drawing import BAD, COLOURS, GOOD, INK, Axes, Panel


def kernel_panel(kernel: NDArray[np.float64], title: str) -> Panel:
    """Draw a kernel (k, k) as a heat map beside its gain by spatial frequency."""

    def paint(heat: Axes, response: Axes) -> None:
        heat.imshow(_shaded(support(kernel)), interpolation="none")
        heat.set(xticks=[], yticks=[], xlabel=f"centre {kernel[len(kernel) // 2, len(kernel) // 2]:.2f}")
        heat.grid(visible=False)
        heat.spines[:].set_visible(False)
        response.axhline(1, color=INK, linewidth=1, linestyle=":")
        frequency, gain = frequency_response(kernel)
        response.plot(frequency, gain, color=COLOURS[0])
        response.set(xlabel="cycles/pixel", ylabel="gain", xlim=(0, 0.5))
        response.set_ylim(min(0.0, float(gain.min())), max(1.25, 1.08 * float(gain.max())))

    return Panel(title=title, paint=paint, width=4.6, height=2.2, columns=2, left=0.2)


def _shaded(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colour weights (k, k), as RGBA: blue above zero and orange below, transparent at zero, as on any background."""
    from matplotlib.colors import to_rgb

    signs = np.where(kernel[..., None] < 0, to_rgb(BAD), to_rgb(GOOD))
    # The root brings out the small weights around a large centre.
    strength = np.sqrt(np.abs(kernel) / (np.abs(kernel).max() or 1.0))
    return np.concatenate([signs, strength[..., None]], axis=-1)


def frequency_response(kernel: NDArray[np.float64], size: int = 64) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies in cycles a pixel, 0 to 0.5, and a kernel's gain at each, averaged over directions."""
    gain = np.abs(np.fft.fft2(kernel, s=(size, size)))
    axis = np.fft.fftfreq(size)
    ring = np.rint(np.hypot(axis[:, None], axis[None, :]) * size).astype(np.int64).ravel()
    profile = np.bincount(ring, weights=gain.ravel()) / np.bincount(ring)
    return np.arange(size // 2 + 1) / size, profile[: size // 2 + 1]


def identity_distance(kernel: NDArray[np.float64]) -> float:
    """Return how far a kernel (k, k) is from the one that changes nothing (root of the summed squares)."""
    identity = np.zeros_like(kernel)
    identity[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
    return float(np.linalg.norm(kernel - identity))


def support(kernel: NDArray[np.float64], least: float = 1e-3) -> NDArray[np.float64]:
    """Cut away the border of a square kernel where it is next to nothing, the same on all sides."""
    far = np.abs(np.argwhere(np.abs(kernel) >= least) - len(kernel) // 2)
    cut = len(kernel) // 2 - max(1, int(far.max(initial=0)))
    return kernel[cut:-cut, cut:-cut] if cut > 0 else kernel
