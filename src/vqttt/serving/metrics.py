"""What a server counts, for Prometheus."""

from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """Counters of one server; each has a registry of its own."""

    def __init__(self, waiting: Callable[[], int], streams: Callable[[], int]) -> None:
        """Start at zero.

        Args:
            waiting: returns the requests that wait or are being answered.
            streams: returns the streams in memory.
        """
        self.registry = own = CollectorRegistry()
        self.requests = Counter("vqttt_requests", "Requests, by status", ["status"], registry=own)
        self.seconds = Histogram(
            "vqttt_request_seconds", "Time of a request", ["method"], buckets=_SECONDS, registry=own
        )
        self.own = Histogram(
            "vqttt_own_seconds",
            "Processor time of a request outside the method and the model",
            buckets=_SECONDS,
            registry=own,
        )
        self.batch = Histogram(
            "vqttt_pass_size", "Samples in a pass", buckets=(1, 2, 4, 8, 16, 32, 64, 128), registry=own
        )
        self.looks = Counter("vqttt_looks", "How often the model was asked", ["method"], registry=own)
        self.changed = Counter("vqttt_changed", "Answers that a method replaced", ["method"], registry=own)
        self.rolled_back = Counter("vqttt_rolled_back", "Answers that a guard kept untuned", ["method"], registry=own)
        self.failed = Counter("vqttt_failed", "Methods that failed; untuned answers served", ["method"], registry=own)
        self.late = Counter("vqttt_deadlines", "Requests whose looks a deadline cut short", ["method"], registry=own)
        Gauge("vqttt_waiting", "Requests that wait or are being answered", registry=own).set_function(waiting)
        Gauge("vqttt_streams", "Streams in memory", registry=own).set_function(streams)

    def count(self, account: Mapping[str, Any]) -> None:
        """Count what was done for one request."""
        method = str(account["method"])
        self.looks.labels(method).inc(account.get("looks") or 0)
        for counter, happened in (
            (self.changed, account.get("before") != account.get("after")),
            (self.rolled_back, account.get("rolled_back")),
            (self.failed, account.get("failed")),
            (self.late, account.get("deadline_reached")),
        ):
            if happened:
                counter.labels(method).inc()

    def text(self) -> bytes:
        """Return all in Prometheus's text format."""
        return generate_latest(self.registry)
