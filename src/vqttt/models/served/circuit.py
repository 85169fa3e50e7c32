"""When a server is no longer asked: too many failures in a row, or as many requests as were allowed."""

import threading
import time
from collections.abc import Callable

from vqttt.errors import RequestsSpentError, ServerError

LIMIT = 8
"""Requests that fail for good, one after another, until the server counts as down."""

PAUSE = 5.0
"""Seconds until a server that counts as down is tried again."""


class Circuit:
    """Counts failures in a row; open, it lets no request through but one every few seconds. Safe between threads."""

    def __init__(self, limit: int = LIMIT, pause: float = PAUSE, clock: Callable[[], float] = time.monotonic) -> None:
        """Start closed.

        Args:
            limit: failures in a row that open it.
            pause: seconds between tries while it is open.
            clock: returns seconds.
        """
        self.limit, self.pause, self.clock = limit, pause, clock
        self._lock, self._failures, self._reason, self._next = threading.Lock(), 0, "", 0.0

    def check(self) -> None:
        """See that a request may be sent.

        Raises:
            ServerError: if the circuit is open.
        """
        with self._lock:
            if self._failures < self.limit:
                return
            if self.clock() < self._next:
                raise ServerError(self._reason)
            self._next = self.clock() + self.pause  # this one tries whether the server is back

    def succeeded(self) -> None:
        """Take note of a request that worked, which closes the circuit."""
        with self._lock:
            self._failures = 0

    def failed(self, reason: str) -> None:
        """Take note of a request that failed for good.

        Raises:
            ServerError: if this one, or one before it, opened the circuit.
        """
        with self._lock:
            self._failures += 1
            if self._failures < self.limit:
                return
            self._reason, self._next = reason, self.clock() + self.pause
        raise ServerError(reason)


class Allowance:
    """The requests that may still be sent. Safe between threads."""

    def __init__(self, most: int) -> None:
        """Store the most requests that may be sent; 0 for no limit."""
        self.most, self._left, self._lock = most, most, threading.Lock()

    def check(self, count: int) -> None:
        """See that so many requests are left, so that a batch that could not be finished is not begun.

        Raises:
            RequestsSpentError: if they are not.
        """
        with self._lock:
            self._check(count)

    def take(self, count: int) -> None:
        """Take so many requests, or none; raises as `check` does."""
        with self._lock:
            self._check(count)
            self._left -= count

    def _check(self, count: int) -> None:
        if self.most and self._left < count:
            raise RequestsSpentError(
                f"--max-requests {self.most} is reached: {self._left} are left, and the next batch may need {count}"
            )
