"""Does restoring help a model that was trained on clean images, and harm one that was trained on blurred ones?"""

import polars as pl

from experiments.paradox.findings import Answer, Finding, difference, judged, measured, together
from experiments.paradox.frames import Runs, answers, restored
from experiments.paradox.plan import RESTORERS
from vqttt.runs.records import CLEAN

PLACES = {"clean": (0,), "blur 4": (4,)}
_SAME = ("degradation", "severity", "restorer", "seed", "sample_id")


def gains(runs: Runs) -> pl.DataFrame:
    """Return the answers to restored images with what they gain over the same images unrestored."""
    scored = answers(runs, "restoring")
    return restored(scored, scored)


def answer(runs: Runs) -> Answer:
    """Test both halves on blurred images, over all restorers; the main finding is the difference between the models."""
    blurred = gains(runs).filter(pl.col("degradation") != CLEAN)
    halves = judged(
        [
            measured("restoring blurred images, embedded", blurred.filter(pl.col("quality") == "embedded")),
            measured("restoring blurred images, soft twins", blurred.filter(pl.col("quality") == "soft"), expected=-1),
        ]
    )
    (between,) = judged([between_models(blurred)])
    cases = dict(zip(("helps `embedded`", "harms the soft twins"), (one.verdict for one in halves), strict=True))
    return Answer(verdict=together(halves), main=between, findings=[*halves, between], cases=cases)


def between_models(rows: pl.DataFrame) -> Finding:
    """Return how much more the soft twins gain from restoring than `embedded`; a negative number is expected."""
    soft = (
        rows.filter(pl.col("quality") == "soft").group_by(_SAME, maintain_order=True).agg(soft=pl.col("change").mean())
    )
    one = rows.filter(pl.col("quality") == "embedded").select(*_SAME, "image", embedded="change")
    both = one.join(soft, on=_SAME, how="inner", maintain_order="left")
    return difference("gain from restoring, soft twins minus embedded", both, "embedded", "soft", expected=-1)


def by_restorer(runs: Runs) -> dict[tuple[str, str, str], Finding]:
    """Return the gain of each restorer by model, or all soft twins together, and place on the axis.

    Holm's correction is over all of them.
    """
    rows = gains(runs)
    groups = {"embedded": pl.col("quality") == "embedded", "soft, all": pl.col("quality") == "soft"}
    groups |= {str(model): pl.col("model") == model for model in rows["model"].unique(maintain_order=True)}
    found = {}
    for group, chosen in groups.items():
        for place, severities in PLACES.items():
            cells = rows.filter(chosen, pl.col("severity").is_in(severities))
            for restorer in RESTORERS:
                some = cells.filter(pl.col("restorer") == restorer)
                if not some.is_empty():
                    found[group, place, restorer] = measured(f"{group}, {place}, {restorer}", some)
    return dict(zip(found, judged(list(found.values())), strict=True))
