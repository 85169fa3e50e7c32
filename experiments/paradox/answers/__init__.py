"""What came out for each hypothesis."""

from collections.abc import Callable

from experiments.paradox.answers import demand, flips, peak, restoring, spectrum
from experiments.paradox.findings import Answer
from experiments.paradox.frames import Runs

ANSWERS: dict[str, Callable[[Runs], Answer]] = {
    "peak": peak.answer,
    "restoring": restoring.answer,
    "spectrum": spectrum.answer,
    "demand": demand.answer,
    "flips": flips.answer,
}
"""By hypothesis; each raises `NotMeasuredError` if what it needs was not measured."""
