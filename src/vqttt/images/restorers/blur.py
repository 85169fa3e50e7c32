"""Finding blur: `find_blur` fits signal, blur and noise to the image's spectrum together.

The power spectrum of a photograph falls as a power of frequency. Blur multiplies it by a fall and by zeros of its own.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft2
from scipy.special import dawsn, j1

from vqttt.images.ops import Floats

# The spectrum is averaged over these.
_RINGS, _SECTORS = 36, 18
# Slopes of the signal's spectrum, and powers of the noise relative to the signal's, that are tried.
_SLOPES = np.array([1.6, 2, 2.4, 2.8, 3.2, 3.6], np.float32)
_NOISES = np.geomspace(1e-7, 1, 13, dtype=np.float32)
# Smallest size; largest size, in pixels and as a share of the short side; ratio between the sizes that are tried.
_SIZES = {"gaussian": (0.7, 8, 1 / 24, 1.2), "disc": (1.8, 12, 1 / 18, 1.04), "motion": (2, 16, 1 / 14, 1.45)}
# Motion is refined, which lowers its cost by up to 0.2, where that could make it 0.15 likelier than an even blur.
_NEAR = 0.05
# What is kept for an image's shape, a few megabytes, pays only for images that models see.
_KEPT_AREA = 512 * 512


@dataclass(frozen=True)
class Blur:
    """A blur, with the signal that it blurred and the noise added to it.

    Attributes:
        kind: `gaussian`, `motion` (one half of a Gaussian, see `smear`), `disc`, or `none`.
        size: standard deviation in pixels; of a disc, the radius.
        degrees: direction of a motion, as for `smear`.
        signal, slope: the signal's power in luma is `signal` * frequency ** -`slope`, with frequency in radians per
            pixel.
        noise: power of the noise in luma.
    """

    kind: str = "none"
    size: float = 0.0
    degrees: float = 0.0
    signal: float = 0.0
    slope: float = 0.0
    noise: float = 0.0

    @property
    def reach(self) -> float:
        """The root mean square distance by which a point is spread, in pixels."""
        return self.size * {"gaussian": math.sqrt(2), "disc": math.sqrt(0.5), "motion": 0.6}.get(self.kind, 0)


@dataclass(frozen=True)
class Cells:
    """Sectors of rings of the spectrum of images of one shape, over which power is averaged.

    Attributes:
        terms: which terms of the spectrum count, as places in its flattened form.
        cell: the cell of each of these terms.
        count: of the terms in each cell.
        weight, frequency, direction: share of all terms, and means in radians per pixel and in radians.
    """

    terms: NDArray[np.int64]
    cell: NDArray[np.int16]
    count: NDArray[np.int64]
    weight: Floats
    frequency: Floats
    direction: Floats

    def means(self, power: NDArray[Any]) -> NDArray[np.float64]:
        """Average a flattened power spectrum over each cell."""
        return np.asarray(np.bincount(self.cell, power[self.terms], len(self.count)) / self.count)


@dataclass(frozen=True)
class Grid:
    """Blurs of one kind with each slope and noise: everything of their fit that the image itself does not change.

    Attributes:
        blurs, slopes, noises: what is combined, in this order; noise is relative to the signal.
        inverse: weight over expected power in each cell, where the signal is 1: shape (fits, cells).
        logarithm: weighted sum of the logarithms of the expected power, of each fit.
    """

    blurs: list[Blur]
    slopes: Floats
    noises: Floats
    inverse: Floats
    logarithm: Floats

    def likeliest(self, power: Floats) -> tuple[float, Blur]:
        """Return the lowest mean negative log likelihood of all fits (Whittle 1953), and that fit for this power."""
        signals = self.inverse @ power
        costs = np.log(signals) + self.logarithm
        best = int(costs.argmin())
        blur, slope, noise = np.unravel_index(best, (len(self.blurs), len(self.slopes), len(self.noises)))
        signal, level = float(signals[best]), float(self.noises[noise])
        fit = replace(self.blurs[blur], signal=signal, slope=float(self.slopes[slope]), noise=level * signal)
        return float(costs[best]), fit


def likeliest(luma: Floats) -> dict[str, tuple[float, Blur]]:
    """Return the likeliest blur of the kinds `none`, `even` (a Gaussian or a disc) and `motion`, each with its cost.

    Costs are mean negative log likelihoods. Motion is compared in all directions, first coarsely, then more finely
    around the best fit; even blurs only along rings. `motion` is left out if it cannot be much likelier than `even`.
    """
    power = spectrum(luma)
    sectors, rings, grids = tables(luma.shape)
    in_sectors = sectors.means(power).astype(np.float32)
    in_rings = rings.means(power).astype(np.float32)
    found = {kind: grids[kind].likeliest(in_rings) for kind in ("none", "even")}
    cost, best = found["even"]
    for part in (1 / 2, 1 / 4, 1 / 8):
        ratio = _SIZES[best.kind][-1] ** part
        near = [replace(best, size=best.size * ratio**i) for i in (-1, 0, 1)]
        cost, best = _tabulated(rings, near, _SLOPES, _NOISES).likeliest(in_rings)
    found["even"] = cost, best
    moving, best = grids["motion"].likeliest(in_sectors)
    if moving < cost + _NEAR:
        found["motion"] = _refined(sectors, in_sectors, best)
    return found


def _refined(sectors: Cells, power: Floats, best: Blur) -> tuple[float, Blur]:
    """Return cost and fit of the likeliest motion between `best` and its neighbours."""
    cost, best = _tabulated(sectors, [best], _SLOPES, _NOISES).likeliest(power)
    for part in (1 / 2, 1 / 4, 1 / 8):
        ratio, turn = _SIZES["motion"][-1] ** part, 15 * part
        steps = [(ratio**i, turn * j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        near = [replace(best, size=best.size * i, degrees=best.degrees + j) for i, j in steps]
        slope = int(np.abs(_SLOPES - best.slope).argmin())
        noise = int(np.abs(np.log(_NOISES * best.signal / best.noise)).argmin())
        around = (values[max(i - 1, 0) : i + 2] for values, i in ((_SLOPES, slope), (_NOISES, noise)))
        cost, best = _tabulated(sectors, near, *around).likeliest(power)
    return cost, best


def spectrum(luma: Floats) -> Floats:
    """Return the power spectrum of an image whose borders are faded out, flattened; 1e-6 is added to each term."""
    across, down = (np.hanning(length + 2)[1:-1].astype(np.float32) for length in luma.shape)
    total = float(across.sum(dtype=np.float64)) * float(down.sum(dtype=np.float64))
    mean = float(across @ luma @ down) / total
    window = np.outer(across, down) * np.float32(8 / 3)
    terms = np.asarray(rfft2((luma - np.float32(mean)) * window, overwrite_x=True)).ravel()
    power = terms.real * terms.real + terms.imag * terms.imag
    return np.asarray(power / np.float32(luma.size) + np.float32(1e-6), np.float32)


def tables(shape: tuple[int, ...]) -> tuple[Cells, Cells, dict[str, Grid]]:
    """Return sectors and rings of the spectrum of images of this shape, and the grid of each kind of blur."""
    return _kept_tables(shape) if shape[0] * shape[1] <= _KEPT_AREA else _tables(shape)


def _tables(shape: tuple[int, ...]) -> tuple[Cells, Cells, dict[str, Grid]]:
    sectors, rings = _cells(shape)
    side = min(shape)
    even = _family("gaussian", side) + _family("disc", side)
    grids = {
        "none": _tabulated(rings, [Blur()], _SLOPES, _NOISES),
        "even": _tabulated(rings, even, _SLOPES, _NOISES),
        # Every second slope and noise, for time and memory.
        "motion": _tabulated(sectors, _family("motion", side), _SLOPES[::2], _NOISES[::2]),
    }
    return sectors, rings, grids


_kept_tables = lru_cache(maxsize=4)(_tables)


def _cells(shape: tuple[int, ...]) -> tuple[Cells, Cells]:
    frequency, direction = frequencies(shape)
    lowest = 6 * math.pi / min(shape)
    # Along the axes, walls, horizons and the image's border dominate the spectrum.
    aside = frequency * np.minimum(np.abs(np.sin(direction)), np.abs(np.cos(direction)))
    kept = (aside > max(0.7 * lowest, 0.01 * math.pi)) & (frequency > lowest) & (frequency < math.pi)
    del aside
    terms = np.flatnonzero(kept)
    frequency, direction = frequency[kept], direction[kept] % math.pi
    ring = (_RINGS * np.sqrt((frequency - lowest) / (math.pi - lowest))).astype(np.int16)
    sector = ring * np.int16(_SECTORS) + (_SECTORS * direction / math.pi).astype(np.int16)
    return _averaged(terms, sector, frequency, direction), _averaged(terms, ring, frequency, direction)


def _averaged(terms: NDArray[np.int64], cell: NDArray[np.int16], *parts: NDArray[np.float64]) -> Cells:
    """Number the cells that are not empty, and average frequency and direction over each."""
    count = np.bincount(cell)
    filled = count > 0
    number = (np.cumsum(filled) - 1).astype(np.int16)
    means = [(np.bincount(cell, part)[filled] / count[filled]).astype(np.float32) for part in parts]
    count = count[filled]
    return Cells(terms, number[cell], count, (count / count.sum()).astype(np.float32), *means)


def _family(kind: str, side: int) -> list[Blur]:
    """Return the blurs of a kind that are tried on an image whose short side is `side` pixels."""
    least, most, share, ratio = _SIZES[kind]
    count = math.ceil(math.log(max(most, share * side) / least, ratio)) + 1
    turns = np.arange(0, 180, 15) if kind == "motion" else [0.0]
    return [Blur(kind, least * ratio**i, float(turn)) for i in range(count) for turn in turns]


def _tabulated(over: Cells, blurs: list[Blur], slopes: Floats, noises: Floats) -> Grid:
    """Combine each of some blurs with each slope and noise."""
    left = _responses(blurs, over.frequency, over.direction)
    falls = over.frequency ** -slopes[:, None]
    expected = (left[:, None, None] * falls[:, None] + noises[:, None]).reshape(-1, len(over.frequency))
    logarithm = np.log(expected) @ over.weight
    return Grid(blurs, slopes, noises, np.divide(over.weight, expected, out=expected), logarithm)


def _responses(blurs: list[Blur], frequency: Floats, direction: Floats) -> Floats:
    """Return the share of the power that each blur leaves at given frequencies (radians per pixel): (blurs, cells)."""
    out = np.empty((len(blurs), len(frequency)), np.float32)
    for kind in {blur.kind for blur in blurs}:
        rows = [i for i, blur in enumerate(blurs) if blur.kind == kind]
        sizes = np.array([[blurs[i].size] for i in rows], np.float32)
        phase = np.maximum(sizes * frequency, np.float32(1e-4))
        if kind == "gaussian":
            out[rows] = np.exp(-phase * phase)
        elif kind == "disc":
            out[rows] = (2 * j1(phase) / phase) ** 2
        elif kind == "motion":  # the transform of one half of a Gaussian
            turns = np.array([[math.radians(blurs[i].degrees)] for i in rows], np.float32)
            along = phase * np.cos(direction - turns) * np.float32(math.sqrt(0.5))
            out[rows] = np.exp(-2 * along * along) + np.float32(4 / math.pi) * dawsn(along) ** 2
        else:
            out[rows] = 1
    return out


def frequencies(shape: tuple[int, ...], rows: slice = slice(None)) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the frequency in radians per pixel, and the direction, of terms of a real Fourier transform."""
    down, across = 2 * math.pi * np.fft.fftfreq(shape[0])[rows, None], 2 * math.pi * np.fft.rfftfreq(shape[1])
    return np.hypot(down, across), np.arctan2(down, across)


def luma_of(image: NDArray[Any]) -> Floats:
    """Return luma (ITU-R BT.601, 0 to 255), not rounded, of RGB of shape (H, W, 3)."""
    return np.asarray(cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY), np.float32)
