"""How far a study is, in lines on the terminal."""

import time
from datetime import timedelta


class Progress:
    """Prints every ten seconds how far a study is, and an estimate of the time left."""

    def __init__(self, name: str) -> None:
        """Start the clock with the first answers."""
        self.name = name
        self.first: tuple[int, float] | None = None
        self.printed = 0.0

    def __call__(self, done: int, total: int, label: str) -> None:
        """Take the number of answers so far, the number in all, and what is running."""
        now = time.monotonic()
        self.first = self.first or (done, now)
        if now - self.printed < 10 and done < total:
            return
        self.printed = now
        new, seconds = done - self.first[0], now - self.first[1]
        left = timedelta(seconds=round(seconds / new * (total - done))) if new else "unknown"
        print(f"{self.name}: {done}/{total} answers, time left: {left} ({label})", flush=True)
