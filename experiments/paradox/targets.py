"""What tuning and restoring gain on the twins, in one table: each training seed, and all seeds together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import polars as pl

from experiments.paradox.answers.peak import best_of_all
from experiments.paradox.findings import Finding, measured
from experiments.paradox.frames import NotMeasuredError, Runs, answers, restored
from experiments.paradox.plan import SOFT
from vqttt.results.statistics import ALPHA
from vqttt.runs.records import CLEAN, NONE

T = TypeVar("T")

HARM = -0.005
"""A degradation is clearly worse if its whole interval is below half a point of loss."""


@dataclass(frozen=True, kw_only=True)
class Gains:
    """What one method gains one model, or several together.

    Attributes:
        method, model: their names; `all` for several models.
        degraded: over all degradations and the severities measured.
        clean: on clean images.
        worst: the degradation with the least gain.
        harmed: the number of degradations that are clearly worse.
        time: relative to the untuned model's; restoring counts.
    """

    method: str
    model: str
    degraded: Finding | None = None
    clean: Finding | None = None
    worst: Finding | None = None
    harmed: int = 0
    time: float | None = None


def gains(runs: Runs, models: Sequence[str] = SOFT, study: str = "recipe") -> list[Gains]:
    """Return the gains of the recipe, of the recipe image by image, and of `auto` alone, by model and over all."""
    parts = [study, "recipe-clean"] + ["recipe-episodic"] * (study == "recipe" and "recipe-episodic" in runs)
    tuned = pl.concat([runs[part] for part in parts]).with_columns(change=pl.col("score") - pl.col("base_score"))
    methods = {name: tuned.filter(pl.col("method") == name) for name in ("vq-ttt", "vq-ttt-episodic")}
    if "auto" in runs and study == "recipe":
        methods["auto alone"] = _auto(runs)
    plain = _plain(runs, study)
    found = []
    for method, rows in methods.items():
        for name, chosen in [
            *((model, [model]) for model in models),
            *([("all", [*models])] if len(models) > 1 else []),
        ]:
            some = rows.filter(pl.col("model").is_in(chosen))
            if not some.is_empty():
                found.append(_gains(method, name, some, plain.get(method, plain[""])))
    return found


def along_the_stream(runs: Runs, first: int = 20) -> tuple[Finding, Finding]:
    """Return what `vq-ttt` gains on the first images of a stream, and on those after them, over all degradations."""
    tuned = runs["recipe"].filter(pl.col("method") == "vq-ttt")
    place = pl.int_range(pl.len()).over("model", "degradation", "severity")
    tuned = tuned.with_columns(change=pl.col("score") - pl.col("base_score"), place=place)
    early = pl.col("place") < first
    if not len(tuned.filter(~early)):
        raise NotMeasuredError(f"streams longer than {first}")
    return measured("first", tuned.filter(early)), measured("later", tuned.filter(~early))


def _plain(runs: Runs, study: str) -> dict[str, float]:
    """Return the untuned model's seconds an answer by method, from the study that measured it; "" for others."""
    found = {"": _seconds(runs[study].filter(pl.col("method") == NONE))}
    if study == "recipe" and "recipe-episodic" in runs:
        found["vq-ttt-episodic"] = _seconds(runs["recipe-episodic"].filter(pl.col("method") == NONE))
    return found


def _auto(runs: Runs) -> pl.DataFrame:
    """Return the answers to images that `auto` restored, with what they gain over unrestored ones."""
    found = [restored(answers(runs, "auto"), answers(runs, "recipe"))]
    if "restoring" in runs:
        scored = answers(runs, "restoring").filter(pl.col("degradation") == CLEAN)
        found.append(restored(scored, scored).filter(pl.col("restorer") == "auto"))
    return pl.concat(found).filter(pl.col("model").is_in(SOFT))


def _gains(method: str, model: str, rows: pl.DataFrame, plain: float) -> Gains:
    degraded, clean = rows.filter(pl.col("degradation") != CLEAN), rows.filter(pl.col("degradation") == CLEAN)
    by_kind = [measured(str(kind), some) for (kind,), some in degraded.group_by("degradation", maintain_order=True)]
    return Gains(
        method=method,
        model=model,
        degraded=measured("degraded", degraded) if len(degraded) else None,
        clean=measured("clean", clean) if len(clean) else None,
        worst=min(by_kind, key=lambda one: one.value.value, default=None),
        harmed=sum(one.value.high < HARM for one in by_kind),
        time=_seconds(degraded) / plain if len(degraded) else None,
    )


def _seconds(rows: pl.DataFrame) -> float:
    return float(rows.filter(pl.col("error") == "")["seconds"].drop_nans().to_numpy().mean())


def of(found: Sequence[Gains], method: str, model: str = "all") -> Gains:
    """Return the gains of a method.

    Raises:
        NotMeasuredError: if they were not measured.
    """
    for one in found:
        if (one.method, one.model) == (method, model):
            return one
    raise NotMeasuredError(f"{method} on {model}")


@dataclass(frozen=True, kw_only=True)
class Target:
    """What was set out to reach: at least `least`, with `proven` an interval above zero; `found` is None if missing."""

    aim: str
    least: float
    proven: bool = True
    found: Finding | None = None
    also: bool = True

    @property
    def reached(self) -> bool | None:
        """Whether it was; None where it was not measured."""
        if self.found is None:
            return None
        return self.also and self.found.value.value >= self.least and (self.found.value.low > 0 or not self.proven)


def reached(runs: Runs) -> list[Target]:
    """Compare with what was set out to reach."""
    best = _or_none(lambda: best_of_all(runs, "soft")[1])
    found = _or_none(lambda: gains(runs)) or []
    recipe, alone = (_or_none(lambda name=name: of(found, name)) for name in ("vq-ttt", "vq-ttt-episodic"))  # type: ignore[misc]
    parts = {name: getattr(recipe, name, None) for name in ("degraded", "clean", "worst")}
    harmless = recipe is not None and recipe.harmed == 0
    return [
        Target(
            aim="soft twins: the best degraded condition beats clean by 4 points, significantly after Holm",
            least=0.04,
            found=best,
            also=best is not None and best.p < ALPHA,
        ),
        Target(aim="soft twins: vq-ttt gains 5.5 points on degraded images", least=0.055, found=parts["degraded"]),
        Target(aim="soft twins: vq-ttt gains 4 points on clean images", least=0.04, found=parts["clean"]),
        Target(
            aim="soft twins: under vq-ttt no degradation is clearly worse; this is the worst",
            least=-1.0,
            proven=False,
            found=parts["worst"],
            also=harmless,
        ),
        Target(
            aim="soft twins: vq-ttt-episodic gains 2 points on degraded images",
            least=0.02,
            found=alone.degraded if alone else None,
        ),
        Target(
            aim="embedded: vq-ttt loses at most 0.3 points on clean images",
            least=-0.003,
            proven=False,
            found=_or_none(lambda: _clean(runs, "embedded")),
        ),
    ]


def _or_none(value: Callable[[], T]) -> T | None:
    try:
        return value()
    except NotMeasuredError:
        return None


def _clean(runs: Runs, model: str) -> Finding | None:
    some = runs["recipe-clean"].filter(pl.col("model") == model, pl.col("method") == "vq-ttt")
    change = some.with_columns(change=pl.col("score") - pl.col("base_score"))
    return measured("clean", change) if len(change) else None
