"""Targets, and whether they were reached: every figure comes from the committed rows. They were set beforehand."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.markers import table
from experiments.method.plan import HALF, OTHERS, SELECT, TTT, TUNED, TWO_STEPS
from experiments.method.rows import Gain, Row, degraded, points, select
from experiments.method.tables import AUTO, MATCHED
from experiments.paradox.frames import NotMeasuredError
from vqttt.images.degradations import DEGRADATIONS
from vqttt.runs.records import CLEAN

Rows = Mapping[str, Sequence[Row]]
"""The rows of each phase."""

LOST = 0.3
"""Points that a method may lose on clean images."""

HARM = -0.5
"""A degradation is clearly worse if the whole interval of its gain is below this."""

Measured = tuple[str, bool]
"""What was measured, in words, and whether the target was reached."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Several targets for one method on some rows.

    Attributes:
        what: method and images, in words.
        method: whose rows count.
        rows: those that count, clean ones among them.
        gain: the least gain on degraded images, in points.
        proven: whether its interval must be above zero as well.
        looks, time: the most looks, and the most time relative to plain inference; None for any.
        harmless: whether no degradation may be clearly worse.
    """

    what: str
    method: str
    rows: Callable[[Rows], Sequence[Row]]
    gain: float
    proven: bool = False
    looks: float | None = None
    time: float | None = None
    harmless: bool = False

    def targets(self) -> Iterator[tuple[str, Callable[[Rows], Measured]]]:
        """Yield each target with the function that looks at the rows."""
        above = ", interval above zero" * self.proven
        yield f"gain ≥ {points(self.gain)}{above}", self._gained
        yield f"clean ≥ {points(-LOST)}", self._kept
        if self.looks is not None:
            yield f"looks ≤ {self.looks}", self._looks
        if self.time is not None:
            yield f"time ≤ {self.time}×", self._time
        if self.harmless:
            yield f"no degradation clearly below {points(HARM)}", self._harm

    def _of(self, rows: Rows, *, clean: bool = False) -> list[Row]:
        return select(self.rows(rows), lambda row: degraded(row) != clean, method=self.method)

    def _gained(self, rows: Rows) -> Measured:
        gain = Gain(self._of(rows))
        return gain.text(), gain.value >= self.gain and (gain.low > 0 or not self.proven)

    def _kept(self, rows: Rows) -> Measured:
        gain = Gain(self._of(rows, clean=True))
        return gain.text(), gain.value >= -LOST

    def _looks(self, rows: Rows) -> Measured:
        found = self._mean(rows, "looks")
        return f"{found:.2f}", self.looks is not None and found <= self.looks

    def _time(self, rows: Rows) -> Measured:
        found = self._mean(rows, "time")
        return f"{found:.1f}×", self.time is not None and found <= self.time

    def _mean(self, rows: Rows, name: str) -> float:
        """Return the mean over all images, clean ones among them."""
        mine = select(self.rows(rows), method=self.method)
        if not mine:
            raise NotMeasuredError(self.what)
        return float(np.average([row[name] for row in mine], weights=[row["count"] for row in mine]))

    def _harm(self, rows: Rows) -> Measured:
        mine = self._of(rows)
        gains = {kind: Gain(some) for kind in DEGRADATIONS if (some := select(mine, degradation=kind))}
        if not gains:
            raise NotMeasuredError(self.what)
        worse = sum(gain.high < HARM for gain in gains.values())
        worst = min(gains, key=lambda kind: gains[kind].value)
        return f"{worse}; the worst is {worst.replace('_', ' ')}: {gains[worst].text()}", worse == 0


def _main(rows: Rows) -> Sequence[Row]:
    return rows["main"]


def _unseen(rows: Rows) -> Sequence[Row]:
    return select(rows["main"], lambda row: row["degradation"] in (CLEAN, *OTHERS))


def _mixed(rows: Rows) -> Sequence[Row]:
    return select(rows["streams"], task="mixed")


def _soft(rows: Rows) -> Sequence[Row]:
    return select(rows["models"], model="embedded-soft")


CLAIMS = (
    Claim(what=f"`{SELECT}` from nothing", method=SELECT, rows=_main, gain=7, looks=2.2, time=4, harmless=True),
    Claim(what=f"`{SELECT}`, mixed stream of 2,000", method=SELECT, rows=_mixed, gain=4.5, looks=2.0),
    Claim(
        what=f"`{SELECT} --tuned` on the half, degradations never seen in tuning",
        method=HALF, rows=_unseen, gain=6, looks=2.0, harmless=True,
    ),
    Claim(
        what=f"`{SELECT} --tuned`, all degradations seen in tuning",
        method=TUNED, rows=_main, gain=8.5, looks=2.0, harmless=True,
    ),
    Claim(what=f"`{TTT}`", method=TTT, rows=_main, gain=3, proven=True, harmless=True),
    Claim(what=f"`{TTT}` on embedded-soft", method=TTT, rows=_soft, gain=6, proven=True, harmless=True),
    Claim(what=f"`{TWO_STEPS}` on embedded-soft", method=TWO_STEPS, rows=_soft, gain=6, proven=True, harmless=True),
)  # fmt: skip


def _ahead(rows: Rows) -> Measured:
    """Compare `vq-select` with restorers on embedded-soft."""
    soft = _soft(rows)
    ours, *restored = (Gain(select(soft, degraded, method=method)) for method in (SELECT, AUTO, MATCHED))
    return f"{points(ours.value)} against {' and '.join(points(gain.value) for gain in restored)}", all(
        ours.value > gain.value for gain in restored
    )


def _won_back(rows: Rows) -> Measured:
    mine = select(rows["main"], method=SELECT)
    gain, clean = Gain(select(mine, degraded)), Gain(select(mine, degradation=CLEAN))
    share = gain.value / (clean.base - gain.base)
    return f"{share:.0%}", share >= 0.4


def every() -> Iterator[tuple[str, str, Callable[[Rows], Measured]]]:
    """Yield what each target is about, the target, and the function that looks at the rows."""
    for claim in CLAIMS:
        for target, look in claim.targets():
            yield claim.what, target, look
    yield f"`{SELECT}` on embedded-soft", "ahead of `auto` and `matched`", _ahead
    yield f"`{SELECT}` from nothing", "40% of the loss won back, if possible", _won_back


def reached(rows: Rows) -> str:
    """Tabulate the targets with what was measured."""
    body = []
    for what, target, look in every():
        try:
            words, yes = look(rows)
            body.append((what, target, words, "yes" if yes else "no"))
        except NotMeasuredError:
            body.append((what, target, "not measured", ""))
    return table(("", "target", "measured", "reached"), body, left=2)
