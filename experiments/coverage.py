"""Write the tables of docs/statistics.md: `python -m experiments.coverage` (about a minute on one core).

Samples of changed answers are drawn from known rates, with questions that share images. The tables count how often an
interval covers the true change, and how often a test claims what is not so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from experiments.markers import put, table
from vqttt.results.clusters import (
    accuracy,
    difference_of_changes,
    equivalence,
    mcnemar,
    net_test,
    paired_difference,
)
from vqttt.results.statistics import ALPHA, MARGIN, Floats, holm

PAGE = Path(__file__).resolve().parent.parent / "docs" / "statistics.md"
REPEATS = 2000


@dataclass(frozen=True, kw_only=True)
class Design:
    """How samples are drawn.

    Attributes:
        n: number of questions, but for what does not fill an image.
        shared: number of questions per image.
        gained, lost: rates of answers that become right and wrong.
        alike: correlation of changes of the same kind within an image, 0 to 1.
        uneven: whether images have 1 to 2 * `shared` - 1 questions, all equally likely, in place of `shared`.
        soft: whether changes are of 0.3, 0.6 and 1, all equally likely, in place of 1.
    """

    n: int
    shared: int = 1
    gained: float = 0.0
    lost: float = 0.0
    alike: float = 0.0
    uneven: bool = False
    soft: bool = False

    @property
    def truth(self) -> float:
        """The expected change of the score."""
        return (self.gained - self.lost) * (np.mean(_SOFT) if self.soft else 1.0)

    def draw(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return the changes of the score, and the image of each question."""
        images = self.n // self.shared
        sizes = rng.integers(1, 2 * self.shared, images) if self.uneven else np.full(images, self.shared)
        rates = np.array([self.gained, self.lost, 1 - self.gained - self.lost])
        image = np.repeat(np.arange(images), sizes)
        each = np.broadcast_to(rates, (images, 3))
        if self.alike:
            # Dirichlet's distribution correlates two answers of an image by 1 / (1 + the sum of its parameters).
            each = rng.dirichlet(np.maximum((1 / self.alike - 1) * rates, 1e-9), images)
        bar, where = rng.random(len(image)), each[image]
        change = (bar < where[:, 0]).astype(np.float64) - ((bar >= where[:, 0]) & (bar < where[:, :2].sum(axis=1)))
        return change * rng.choice(_SOFT, len(image)) if self.soft else change, image

    def row(self) -> tuple[str, ...]:
        """Return the first columns of the tables."""
        shared = f"1 to {2 * self.shared - 1}" if self.uneven else str(self.shared)
        kind = " (soft)" if self.soft else ""
        return f"{self.n}{kind}", shared, f"{100 * self.gained:g}", f"{100 * self.lost:g}", f"{self.alike:g}"


_SOFT = (0.3, 0.6, 1.0)
_DESIGN = ("questions", "per image", "gained %", "lost %", "alike")

RARE = [Design(n=n, lost=lost) for n in (50, 200, 1000) for lost in (0.005, 0.02, 0.1)]
BOTH = [Design(n=n, gained=gained, lost=lost) for n in (50, 200) for gained, lost in ((0.02, 0.02), (0.05, 0.15))]
SHARED = [
    Design(n=n, shared=shared, gained=gained, lost=lost, alike=0.17)
    for n in (400, 1800)
    for shared in (2, 6, 18)
    for gained, lost in ((0.0, 0.02), (0.05, 0.15))
]
HARD = [
    Design(n=900, shared=6, lost=0.02, alike=0.5),
    Design(n=900, shared=18, gained=0.05, lost=0.15, alike=0.5),
    Design(n=900, shared=6, gained=0.05, lost=0.15, alike=0.17, uneven=True),
    Design(n=200, lost=0.05, soft=True),
    Design(n=200, gained=0.2, lost=0.2, soft=True),
    Design(n=900, shared=6, gained=0.05, lost=0.15, alike=0.17, soft=True),
]
COVERED = [*RARE, *BOTH, *SHARED, *HARD]

EDGE = [
    *(Design(n=n, lost=MARGIN) for n in (150, 200, 400, 1000)),
    *(Design(n=n, gained=0.01, lost=0.03) for n in (200, 400, 1000)),
    Design(n=400, gained=0.03, lost=0.05),
    *(Design(n=1800, shared=shared, lost=MARGIN, alike=alike) for shared in (2, 6) for alike in (0.17, 0.5)),
    Design(n=3600, shared=18, lost=MARGIN, alike=0.17),
    Design(n=1800, shared=6, gained=0.01, lost=0.03, alike=0.17),
]
"""Changes of exactly the margin: to claim "no effect" is wrong here, and nowhere easier to get wrong."""

NULL = [
    Design(n=400, shared=shared, gained=rate, lost=rate, alike=alike)
    for shared, alike in ((1, 0.0), (2, 0.17), (6, 0.17), (18, 0.17), (18, 0.5))
    for rate in (0.02, 0.1)
]
"""No change on average."""

TWO = [
    (
        Design(n=n, shared=shared, lost=lost, alike=alike),
        Design(n=n, shared=shared, gained=gained, lost=fewer, alike=alike),
    )
    for n, shared, alike in ((50, 1, 0.0), (200, 1, 0.0), (1000, 1, 0.0), (900, 6, 0.17), (900, 18, 0.17))
    for lost, gained, fewer in ((0.005, 0.005, 0.01), (0.1, 0.06, 0.02), (0.1, 0.1, 0.2))
]
"""What degradation does to a first and to a second model on the same images."""

FAMILIES = [
    (Design(n=200, lost=MARGIN), 18),
    (Design(n=400, lost=MARGIN), 3),
    (Design(n=400, lost=MARGIN), 40),
    (Design(n=1000, lost=MARGIN), 18),
    (Design(n=1000, gained=0.01, lost=0.03), 18),
    (Design(n=1000, lost=MARGIN), 120),
]


def shares(design: Design, judge: Callable[[Floats, Floats], Sequence[float]], repeats: int) -> Floats:
    """Return the means of what `judge` says of samples: given changes and images, some numbers."""
    rng = np.random.default_rng(0)
    found: Floats = np.mean([judge(*design.draw(rng)) for _ in range(repeats)], axis=0)
    return found


def coverage(design: Design, repeats: int = REPEATS) -> Floats:
    """Return how often intervals cover the change: as they are, and without regard to images; and their width."""

    def judge(change: Floats, image: Floats) -> tuple[float, ...]:
        found, naive = paired_difference(0 * change, change, image), paired_difference(0 * change, change)
        inside = [each.low <= design.truth <= each.high for each in (found, naive)]
        return *inside, found.high - found.low

    return shares(design, judge, repeats)


def two_models(first: Design, second: Design, repeats: int = REPEATS) -> Floats:
    """Return how often the interval of a difference of two models' changes covers it, and how often the test finds one.

    Both models are asked the same questions, and their changes are drawn independently.
    """
    rng = np.random.default_rng(0)
    truth, inside, found = second.truth - first.truth, 0, 0
    for _ in range(repeats):
        (one, image), (other, _same) = first.draw(rng), second.draw(rng)
        estimate = difference_of_changes(one, other, clusters=image)
        inside += estimate.low <= truth <= estimate.high
        found += net_test(other - one, image) < ALPHA
    return np.array([inside, found]) / repeats


def accuracy_coverage(design: Design, repeats: int = REPEATS) -> Floats:
    """Return how often the interval of an accuracy, `gained`, covers it, with and without regard to images."""

    def judge(score: Floats, image: Floats) -> tuple[float, ...]:
        found = accuracy(score, clusters=image), accuracy(score)
        return tuple(each.low <= design.gained <= each.high for each in found)

    return shares(design, judge, repeats)


def claims(design: Design, repeats: int = REPEATS) -> Floats:
    """Return how often "no effect" is claimed."""
    return shares(design, lambda change, image: [equivalence(0 * change, change, image) < ALPHA], repeats)


def alarms(design: Design, repeats: int = REPEATS) -> Floats:
    """Return how often McNemar's test finds a difference, with and without regard to images."""

    def judge(change: Floats, image: Floats) -> tuple[float, ...]:
        before, after = (change < 0).astype(np.float64), (change > 0).astype(np.float64)
        return mcnemar(before, after, image) < ALPHA, mcnemar(before, after) < ALPHA

    return shares(design, judge, repeats)


def family_claims(design: Design, conditions: int, repeats: int = REPEATS) -> float:
    """Return how often "no effect" is claimed of any of several conditions, after Holm's correction."""
    rng = np.random.default_rng(0)
    known = dict[tuple[int, int], float]()

    def p_value() -> float:
        change = design.draw(rng)[0]
        counts = int((change > 0).sum()), int((change < 0).sum())
        if counts not in known:
            known[counts] = equivalence(0 * change, change)
        return known[counts]

    return float(np.mean([holm([p_value() for _ in range(conditions)]).min() < ALPHA for _ in range(repeats)]))


def two_models_table() -> str:
    """Return the table of differences between two models' changes."""
    body = []
    for first, second in TWO:
        n, shared, *_, alike = first.row()
        changes = (f"{100 * each.gained:g} / {100 * each.lost:g}" for each in (first, second))
        body.append((n, shared, *changes, alike, *(f"{100 * share:.1f}" for share in two_models(first, second))))
    rates = ("first: gained / lost %", "second: gained / lost %")
    return table(["questions", "per image", *rates, "alike", "covers %", "found %"], body)


def main() -> None:
    """Simulate, and write the tables."""
    percent = "{:.1f}".format
    measured = [(design, coverage(design)) for design in COVERED]
    body = [(*design.row(), *(percent(100 * share) for share in found)) for design, found in measured]
    put(PAGE, "coverage", table([*_DESIGN, "covers %", "images ignored %", "width"], body))
    right = [Design(n=n, shared=m, gained=rate, alike=0.17 * (m > 1)) for n, m in ((200, 1), (900, 6), (900, 18))
             for rate in (0.5, 0.9, 0.99)]  # fmt: skip
    body = [
        (str(design.n), str(design.shared), f"{100 * design.gained:g}", f"{design.alike:g}",
         *(percent(100 * share) for share in accuracy_coverage(design)))
        for design in right
    ]  # fmt: skip
    put(PAGE, "accuracy", table(["questions", "per image", "right %", "alike", "covers %", "images ignored %"], body))
    body = [(*design.row(), percent(100 * claims(design, REPEATS // (1 + (design.shared > 1)))[0])) for design in EDGE]
    put(PAGE, "size", table([*_DESIGN, "claimed %"], body))
    body = [
        (*(design.row()[n] for n in (0, 2, 3)), str(conditions), percent(100 * family_claims(design, conditions, 500)))
        for design, conditions in FAMILIES
    ]
    put(PAGE, "families", table([*(_DESIGN[n] for n in (0, 2, 3)), "conditions", "claimed %"], body))
    body = [(*design.row(), *(percent(100 * share) for share in alarms(design))) for design in NULL]
    put(PAGE, "alarms", table([*_DESIGN, "found %", "images ignored %"], body))
    put(PAGE, "two", two_models_table())
    power = [replace(design, lost=0.005) for design in EDGE if not design.gained]
    body = [(*design.row(), percent(100 * claims(design, REPEATS // 4)[0])) for design in power]
    put(PAGE, "power", table([*_DESIGN, "claimed %"], body))


if __name__ == "__main__":
    main()
