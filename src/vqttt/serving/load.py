"""Measuring a server under load: requests that arrive at a rate, or as fast as they are answered; plain and tuned."""

import http.client
import json
import os
import re
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle
from math import nan
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from vqttt.errors import InputError
from vqttt.models.served.messages import messages
from vqttt.models.served.options import check_url
from vqttt.types import Image

_TIMEOUT = 60.0
"""Seconds after which a request without a reply counts as failed."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """One measurement.

    Attributes:
        method: of the requests.
        rate: requests that arrive in a second, at random times; None for `clients` that each send the next request as
            soon as the last one is answered.
        clients: requests at a time at most.
        answered, failed: number of requests, by how they ended.
        seconds: of the whole measurement.
        p50, p95, p99: time from a request's arrival to its reply, in milliseconds; NaN if none was answered.
        looks: mean number of answers that the model gave for one request; NaN if the server does not say.
        certain: share of the requests that took one look.
    """

    method: str
    rate: float | None
    clients: int
    answered: int
    failed: int
    seconds: float
    p50: float
    p95: float
    p99: float
    looks: float
    certain: float

    @property
    def throughput(self) -> float:
        """Answers in a second."""
        return self.answered / self.seconds


@dataclass
class _Sent:
    """What came of the requests of one measurement; safe between threads, as appending to a list is."""

    times: list[float] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Generator:
    """Sends requests to one server, over connections that each thread keeps for one measurement."""

    def __init__(self, url: str, model: str, asked: Sequence[tuple[Image, str]], clients: int) -> None:
        """Prepare.

        Args:
            url: of the server, such as `http://localhost:8080/v1`; the key, if it wants one, is in OPENAI_API_KEY.
            model: what it calls the model.
            asked: images and questions that are sent in turn.
            clients: requests at a time at most.

        Raises:
            InputError: if the URL is none.
        """
        check_url(url)
        self._parts, self._model, self.clients = urlsplit(url), model, clients
        self._messages = [messages([image], question) for image, question in asked]
        self._local, self._connections = threading.local(), list[http.client.HTTPConnection]()
        self._headers = {"Content-Type": "application/json", **_authorization()}

    def measure(self, methods: Sequence[str], rates: Sequence[float | None], seconds: float) -> Iterator[Load]:
        """Measure every method at every rate, in turn, so that all meet the same machine.

        Args:
            methods: by name.
            rates: see `Load`.
            seconds: of each measurement.

        Raises:
            InputError: if the server does not answer, or has no such method.
        """
        bodies = {method: self._bodies(method) for method in methods}
        with closing(self):
            for method, of_method in bodies.items():
                sent = _Sent()
                for body in of_method[:4]:  # a first pass is slower, and what is wrong is said before any measurement
                    self._send(body, time.monotonic(), sent)
                if sent.failures:
                    raise InputError(f"the server does not answer by {method}: {sent.failures[0]}")
        for rate in rates:
            for method, of_method in bodies.items():
                with closing(self):
                    load = self._measured(method, of_method, rate, seconds)
                yield load

    def close(self) -> None:
        """Close all connections; the next request opens another."""
        for connection in self._connections:
            connection.close()
        self._local, self._connections = threading.local(), []

    def _bodies(self, method: str) -> list[bytes]:
        wishes: Mapping[str, Any] = {"model": self._model, "max_tokens": 16, "vqttt": {"method": method}}
        return [json.dumps({**wishes, "messages": one}).encode() for one in self._messages]

    def _measured(self, method: str, bodies: Sequence[bytes], rate: float | None, seconds: float) -> Load:
        sent, began = _Sent(), time.monotonic()
        with ThreadPoolExecutor(self.clients) as threads:
            if rate is None:
                turns = cycle(bodies)  # shared, or those that are answered soonest would be sent most
                for _ in range(self.clients):
                    threads.submit(self._keep_sending, turns, began + seconds, sent)
            else:
                gaps = np.random.default_rng(0).exponential(1 / rate, max(round(rate * seconds), 1))
                for number, due in enumerate(began + np.cumsum(gaps)):
                    time.sleep(max(due - time.monotonic(), 0))
                    threads.submit(self._send, bodies[number % len(bodies)], float(due), sent)
        shares = np.percentile(sent.times, (50, 95, 99)) * 1000 if sent.times else (nan,) * 3
        return Load(
            method=method,
            rate=rate,
            clients=self.clients,
            answered=len(sent.times),
            failed=len(sent.failures),
            seconds=time.monotonic() - began,
            p50=float(shares[0]),
            p95=float(shares[1]),
            p99=float(shares[2]),
            looks=float(np.mean(sent.looks)) if sent.looks else nan,
            certain=float(np.mean(np.array(sent.looks) <= 1)) if sent.looks else nan,
        )

    def _keep_sending(self, turns: Iterator[bytes], end: float, sent: _Sent) -> None:
        while (now := time.monotonic()) < end:
            self._send(next(turns), now, sent)

    def _send(self, body: bytes, due: float, sent: _Sent) -> None:
        """Send one request and take note of what came of it."""
        try:
            status, content = self._reply(body)
            reply = json.loads(content)
            if not isinstance(reply, dict):
                raise ValueError("the reply is no object")
        except (OSError, http.client.HTTPException, ValueError) as error:
            if (connection := getattr(self._local, "connection", None)) is not None:
                connection.close()  # the next request opens it again
            sent.failures.append(str(error) or type(error).__name__)
            return
        if status != 200:
            stated = reply.get("error")
            sent.failures.append(str(stated.get("message") if isinstance(stated, dict) else content[:200]))
            return
        sent.times.append(time.monotonic() - due)
        if looks := (reply.get("vqttt") or {}).get("looks"):
            sent.looks.append(int(looks))

    def _reply(self, body: bytes) -> tuple[int, bytes]:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            secure = self._parts.scheme == "https"
            kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            connection = kind(self._parts.hostname or "", self._parts.port, timeout=_TIMEOUT)
            self._local.connection = connection
            self._connections.append(connection)
        connection.request("POST", f"{self._parts.path.rstrip('/')}/chat/completions", body, self._headers)
        reply = connection.getresponse()
        return reply.status, reply.read()


def own_work(url: str) -> str:
    """Return in words the processor time of a `vqttt serve` outside method and model; empty for other servers."""
    try:
        where = url.rstrip("/").removesuffix("/v1") + "/metrics"
        asked = urllib.request.Request(where, headers=_authorization())
        with urllib.request.urlopen(asked, timeout=_TIMEOUT) as reply:
            text = reply.read().decode()
    except (OSError, ValueError):
        return ""
    found = re.findall(r'^vqttt_own_seconds_bucket\{le="([^"]+)"\} (\S+)$', text, re.MULTILINE)
    buckets = [(float(bound), float(count)) for bound, count in found]
    if not buckets or not buckets[-1][1]:
        return ""
    total = buckets[-1][1]
    bound = next(bound for bound, count in buckets if count >= 0.95 * total)
    within = dict(buckets).get(0.005, 0.0) / total
    return f"at most {1000 * bound:g} ms in 95% of the requests, and at most 5 ms in {within:.1%}"


def _authorization() -> dict[str, str]:
    """Return the header with the key, if there is one in OPENAI_API_KEY."""
    key = os.environ.get("OPENAI_API_KEY", "")
    return {"Authorization": f"Bearer {key}"} if key else {}
