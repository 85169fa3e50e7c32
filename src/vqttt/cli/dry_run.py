"""`vqttt study --dry-run`: what a study would show, and how long it would take."""

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from vqttt.study.config import StudyConfig


def print_estimate(config: "StudyConfig", workers: int, began: float) -> None:
    """Print the size of a study, the differences it shows, and how long it takes.

    Args:
        config: of the study.
        workers: number of worker processes.
        began: when the command began, by `time.perf_counter`.
    """
    from vqttt.study.estimate import estimate
    from vqttt.study.models import check_names, load_from

    check_names(config)
    found = estimate(config, partial(load_from, config), workers=workers, began=began)
    for task, questions in found.questions.items():
        images = found.images.get(task, questions)
        about = f" about {images:,} image{'s' if images > 1 else ''}" if images < questions else ""
        typer.echo(f"{task}: {questions:,} questions{about}; {_power(questions, images)}")
    several = found.models > 1
    counts = {"models": found.models} if several else {}
    counts |= {"conditions": found.conditions, "methods": found.methods, "seeds": found.seeds}
    counts |= {"cells": found.cells, "answers": found.records}
    each = f" ({found.records // found.models:,} of each model)" if several else ""
    typer.echo(", ".join(f"{name}: {count:,}" for name, count in counts.items()) + each)
    for model, most in found.requests.items():
        count = "a number of requests that is not known" if most is None else f"up to {most:,} requests"
        typer.echo(f"{model}: {count}, each with the images of its question; its server decides how long they take")
    if found.seconds is None:
        return
    shared = f", with {workers} workers that share its threads" if workers > 1 else ""
    typer.echo(f"estimated time on this machine{shared}: {_time(found.seconds)}")
    if len(found.by_model) > 1:
        parts = ", ".join(f"{name} {_time(seconds)}" for name, seconds in found.by_model.items())
        typer.echo(f"of that for the answers, measured on each model: {parts}")


def _time(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _power(questions: int, images: int) -> str:
    """Say which differences a cell of so many questions shows, for several shares of answers that change."""
    from vqttt.results.statistics import smallest_difference

    shares = (0.05, 0.1, 0.2, 0.4)
    least = {share: smallest_difference(questions, discordant=share, images=images) for share in shares}
    seen = [f"{100 * found:.1f} if {share:.0%} do" for share, found in least.items() if found is not None]
    if not seen:
        return "a cell shows no difference, unless more than 40% of the answers change"
    seen[0] = seen[0].removesuffix(" do") + " of the answers change"
    return f"a cell shows a difference in points (power 80%) from {', '.join(seen)}"
