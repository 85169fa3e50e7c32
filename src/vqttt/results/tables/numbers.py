"""How numbers and names are written as text in tables, figures and reports."""

import math
import re
from collections.abc import Callable
from typing import Any

from vqttt.results.statistics import MARGIN

MISSING = "–"
"""Stands for a number that is missing or not a number."""


_ABBREVIATIONS = {"jpeg": "JPEG", "webp": "WebP", "psnr": "PSNR", "ssim": "SSIM", "ms ssim": "MS-SSIM"}
"""Words of names that are written in another way."""

_ABBREVIATED = re.compile(rf"\b(?:{'|'.join(sorted(_ABBREVIATIONS, key=len, reverse=True))})\b")

VERDICTS = {
    "hurts": "lower accuracy",
    "helps": "higher accuracy",
    "no effect": f"proven unchanged (within {100 * MARGIN:g} points)",
    "undecided": "inconclusive",
    "uninformative": "nothing to lose",
}
"""The verdicts of `paradox.quality_effect` in plain words."""


def label(name: str) -> str:
    """Write the name of a degradation or measure in words."""
    return _ABBREVIATED.sub(lambda match: _ABBREVIATIONS[match[0]], name.replace("_", " "))


def verdict(name: str) -> str:
    """Write a verdict of `paradox.quality_effect` in plain words."""
    return VERDICTS.get(name, name)


def written(spec: str, factor: float = 1, unit: str = "") -> Callable[[Any], str]:
    """Return a function that writes `factor` times a number by a format specification, followed by `unit`."""
    # Rounding first makes equal numbers look equal, whatever the last bits of their sums.
    return lambda value: MISSING if value is None or value != value else f"{round(factor * value, 9):{spec}}{unit}"


count = written(",d")
"""Write a whole number with thousands separators."""

percent = written(".1f", 100)
"""Write a share, 0 to 1, in percent without the sign."""


def points(value: float) -> str:
    """Write a difference of accuracies in percentage points, signed."""
    return f"{round(round(100 * value, 9), 1) + 0.0:+.1f}".replace("+0.0", "0.0").replace("-", "−")


def gain(value: float | None, low: float, high: float) -> str:
    """Write a difference of accuracies and its interval, in points."""
    if value is None:
        return MISSING
    return points(value) + (f" [{points(low)}, {points(high)}]" if low < high else "")


def p_value(p: float) -> str:
    """Write a p-value; small ones as an upper bound."""
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def correlation(value: float, low: float, high: float) -> str:
    """Write a correlation and its interval."""
    return MISSING if math.isnan(value) else f"{value:+.2f} [{low:+.2f}, {high:+.2f}]".replace("-", "−")
