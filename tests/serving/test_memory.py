"""Thousands of requests of every kind: the server's memory stays as it is after the first of them."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import vqttt_server
from tests.support.serving import GREEN, RED, ask, body, client, doubtful, post, url_of

WARM, MEASURED, CLIENTS = 2000, 4000, 8


def resident(process: int) -> float:
    """MiB of memory that a process holds."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def content(n: int) -> Any:
    """Request n: of every method, with and without a stream, in parts, broken, refused, and of many sizes."""
    image = url_of(doubtful(n, side=16 + n % 100))
    kinds: list[Any] = [
        body(image, vqttt={"method": ("none", "vq-select", "tta")[n % 3]}),
        body(image, vqttt={"stream": f"camera-{n % 400}"}),
        body(image, vqttt={"stream": f"one of many {n}"}),
        body(image, n=4, stream=True, logprobs=True, top_logprobs=5, max_tokens=1 + n % 200),
        body(image, image, vqttt={"method": "vq-ttt-episodic", "steps": 2}),
        body(image, vqttt={"method": "vq-ttt", "stream": f"tuned {n % 40}"}),
        body(image[: 100 + n % 500]),
        body(text="x" * (n % 120_000)),
        json.dumps(body(image))[: n % 1000].encode(),
        body(image, vqttt={"method": f"nothing {n}"}),
        body(image, model=f"no model {n}"),
        body(image, vqttt={"tries": 1 + n % 5, "gate": n / 10_000}),
    ]
    return random.Random(n).choice(kinds)


@pytest.mark.slow
def test_memory_stays_within_a_twentieth() -> None:
    limits = ("--most-streams", "50", "--batch", "8", "--queue", "64")
    with vqttt_server(*limits, model="fake") as running, ThreadPoolExecutor(CLIENTS) as pool:

        def send(n: int) -> int:
            given = content(n)
            if isinstance(given, dict) and given.get("stream"):
                chunks = list(ask(client(running.url), doubtful(n), stream=True, n=4, logprobs=True, top_logprobs=5))
                return 200 if chunks else 500
            return post(running.url, given)[0]

        statuses = set(pool.map(send, range(WARM)))
        warm = resident(running.process.pid)
        statuses |= set(pool.map(send, range(WARM, WARM + MEASURED)))
        after = resident(running.process.pid)
        assert statuses == {200, 400, 404}
        for image, color in ((RED, "red"), (GREEN, "green")):
            assert ask(client(running.url), image, vqttt={"method": "none"}).choices[0].message.content == color
    assert after < 1.05 * warm, f"{warm:.0f} MiB after {WARM} requests, {after:.0f} after {MEASURED} more"
