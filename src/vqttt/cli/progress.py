"""How far long work is: a bar on a terminal, a line now and then in a log."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import typer

__all__ = ["study_progress", "tracked"]

SECONDS = 10.0  # between two lines of a log

T = TypeVar("T")


@contextmanager
def study_progress(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show progress on standard error; yields a function of how many answers are done, of how many, and of what.

    Args:
        what: what is said until the first answers are done.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield LogLines()
        return
    columns = (
        TextColumn("{task.description:<32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("elapsed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task(what, total=None)
        yield lambda done, total, label: bars.update(bar, completed=done, total=total, description=label)


class LogLines:
    """Progress for a log: a line every `SECONDS`, with the time that is left."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the clock, in seconds."""
        self.clock = clock
        self.start: tuple[float, int] | None = None
        self.last = -SECONDS

    def __call__(self, done: int, total: int, label: str) -> None:
        """Print a line if the last one is `SECONDS` old."""
        now = self.clock()
        began, before = self.start = self.start or (now, done)
        if now - max(self.last, began) < SECONDS:
            return
        self.last = now
        # Jobs that are lost with their worker are taken back, so fewer may be done than at the start.
        seconds = (now - began) * (total - done) / (done - before) if done > before else None
        left = "" if seconds is None else f", {timedelta(seconds=round(seconds))} left"
        typer.echo(f"{label}: {done:,} of {total:,} answers{left}", err=True)


def tracked(items: Sequence[T], what: str, *, transient: bool = False) -> Iterable[T]:
    """Iterate over items, with a progress bar if standard error is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(items, what, console=console, transient=transient, disable=not console.is_terminal)
