"""Is a model most accurate at the quality of its training images?"""

from collections.abc import Iterator

import polars as pl

from experiments.paradox.findings import Answer, Finding, judged, measured, spread, together
from experiments.paradox.frames import SHARPENED, Runs, answers, changes, of_quality
from experiments.paradox.plan import AXIS, MAIN, OWN_QUALITY, SCENES, quality_of
from vqttt.results.paradox import headroom
from vqttt.results.statistics import Estimate
from vqttt.results.summary import accuracy_of_cells
from vqttt.runs.records import CLEAN

QUALITIES = tuple(quality_of(model) for model in MAIN)
ON_AXIS = (SHARPENED, CLEAN, *(f"{AXIS} {severity}" for severity in range(1, 6)))


def answer(runs: Runs) -> Answer:
    """Test every quality of training images; the main finding is the one about blurred images."""
    scored = degraded(runs)
    family = [finding for quality in QUALITIES for finding in _contrasts(scored, quality)]
    findings = judged(family)
    of_quality = {name: [one for one in findings if one.about.startswith(f"{name}:")] for name in QUALITIES}
    cases = {name: together(some) for name, some in of_quality.items() if some}
    return Answer(verdict=together(findings), main=_main(findings), findings=findings, cases=cases)


def degraded(runs: Runs) -> pl.DataFrame:
    """Return all untuned answers to VQ-Mini along the axes, with what they gain over clean images."""
    scored = answers(runs, "blur", "sides")
    scored = scored.filter(pl.col("task") == SCENES)
    return changes(scored, scored)


def _main(findings: list[Finding]) -> Finding:
    return next((one for one in findings if one.about.startswith("soft:")), findings[0])


def _contrasts(scored: pl.DataFrame, quality: str) -> Iterator[Finding]:
    """Yield own quality minus clean; for models trained on clean images, clean minus each of the other qualities."""
    rows = scored.filter(pl.col("quality") == quality)
    if quality in OWN_QUALITY:
        own = of_quality(rows, quality)
        if not own.is_empty():
            yield measured(f"{quality}: own quality ({conditions(own)}) minus clean", own)
        return
    if quality == "web":  # a mixture, which no condition stands for
        return
    for other in OWN_QUALITY:
        theirs = of_quality(rows, other)
        if not theirs.is_empty():
            less = theirs.with_columns(change=-pl.col("change"))
            yield measured(f"{quality}: clean minus {conditions(theirs)}", less)


def conditions(rows: pl.DataFrame) -> str:
    """Name the conditions of some rows: `gaussian blur 4 and 5`."""
    kinds = dict.fromkeys(rows["degradation"])
    severities = sorted(set(rows["severity"]))
    return " and ".join([*(kind.replace("_", " ") for kind in kinds)]) + " " + " and ".join(map(str, severities))


def by_seed(runs: Runs, quality: str) -> tuple[dict[str, Finding], float]:
    """Return own quality minus clean of each twin of a quality, and the standard deviation over them."""
    own = of_quality(degraded(runs), quality)
    found = {
        str(model): measured(str(model), rows)
        for (model,), rows in own.filter(pl.col("quality") == quality).group_by("model", maintain_order=True)
    }
    return found, spread([one.value.value for one in found.values()])


def along_the_axis(runs: Runs) -> dict[str, dict[str, Estimate]]:
    """Return the accuracy of each quality's models at each place of the axis, from sharpened to blurred."""
    scored = answers(runs, "blur", "sharpened")
    return {
        quality: {place: accuracy(rows.filter(pl.col("condition") == place)) for place in ON_AXIS}
        for quality, rows in _by_quality(scored)
    }


def along_a_side(runs: Runs, kind: str) -> dict[str, dict[int, Estimate]]:
    """Return the accuracy of each quality's models on clean images (0) and at each severity of a degradation."""
    scored = answers(runs, "blur", "sides")
    some = scored.filter((pl.col("condition") == CLEAN) | (pl.col("degradation") == kind))
    return {
        quality: {
            int(severity): accuracy(cell)
            for (severity,), cell in sorted(rows.group_by("severity"), key=lambda item: item[0])
        }
        for quality, rows in _by_quality(some)
    }


def _by_quality(scored: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    for quality in QUALITIES:
        rows = scored.filter(pl.col("quality") == quality)
        if not rows.is_empty():
            yield quality, rows


def accuracy(rows: pl.DataFrame) -> Estimate:
    """Return the untuned accuracy over cells."""
    return accuracy_of_cells(rows.with_columns(method=pl.lit("none")), "base_score")


def best_of_all(runs: Runs, quality: str) -> tuple[str, Finding, int]:
    """Return the condition that gains most over clean images, what it gains after Holm, and how many there are."""
    rows = degraded(runs).filter(pl.col("quality") == quality, pl.col("condition") != CLEAN)
    cells = {str(name): cell for (name,), cell in rows.group_by("condition", maintain_order=True)}
    family = judged([measured(name, cell) for name, cell in cells.items()])
    best = max(family, key=lambda one: one.value.value)
    return best.about, best, len(family)


def chosen_on_half(runs: Runs, quality: str) -> Estimate:
    """Return what the best condition gains if it is chosen on half of the images and measured on the others.

    The mean over the models of a quality, of the number and of both ends of its interval.
    """
    scored = answers(runs, "blur", "sides").filter(pl.col("quality") == quality, pl.col("task") == SCENES)
    found = headroom(scored)
    return Estimate(*(float(found[name].to_numpy().mean()) for name in ("delta", "ci_low", "ci_high")))


def other_tasks(runs: Runs) -> dict[tuple[str, str], Finding]:
    """Return own quality minus clean by task and quality, for models that were trained on degraded images."""
    scored = answers(runs, "tasks")
    scored = changes(scored, scored)
    found = {}
    for (task,), of_task in scored.group_by("task", maintain_order=True):
        for quality in OWN_QUALITY:
            own = of_quality(of_task.filter(pl.col("quality") == quality), quality)
            if not own.is_empty():
                found[str(task), quality] = measured(f"{task}, {quality}", own)
    return dict(zip(found, judged(list(found.values())), strict=True)) if found else {}
