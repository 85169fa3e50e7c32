"""Servers in processes of their own."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHAT_SERVER = Path(__file__).with_name("chat_server.py")


@contextmanager
def chat_server(*options: str) -> Iterator[str]:
    """Within the block, `chat_server.py` runs; yields its URL."""
    process = subprocess.Popen([sys.executable, str(CHAT_SERVER), *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def counts(url: str) -> dict[str, Any]:
    """How often the server has seen each question, and the most requests that it had at a time."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/counts") as reply:
        return dict(json.load(reply))


def bodies(url: str) -> list[dict[str, Any]]:
    """The latest requests that the server was sent."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/bodies") as reply:
        return list(json.load(reply)["bodies"])


@dataclass(frozen=True, kw_only=True)
class Running:
    """A `vqttt serve` that runs.

    Attributes:
        url: of its chat interface.
        process: it.
        log: the file that has its standard error.
    """

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        """All that it wrote to standard error."""
        return self.log.read_text()

    def stop(self) -> int:
        """Tell it to stop, and wait until it has; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def vqttt_server(
    *options: str, model: str = "fake-plain", port: int = 0, env: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Within the block, `vqttt serve` runs; afterwards it is told to stop. It must not have written a traceback.

    Args:
        options: of the command, besides the model and the port.
        model: see the command.
        port: 0 for any that is free.
        env: further environment variables.
    """
    own = {name: value for name, value in os.environ.items() if name not in ("VQTTT_API_KEYS", "OPENAI_API_KEY")}
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "vqttt.cli", "serve", "--model", model, "--port", str(port), *options],
            stderr=log,
            env={**own, "OMP_NUM_THREADS": "1", **(env or {})},
        )
        file = Path(folder) / "log"
        try:
            running = Running(url=_address(process, file), process=process, log=file)
            yield running
            running.stop()
            assert "Traceback" not in running.said, running.said
        finally:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait for the address that a server prints."""
    ends = time.monotonic() + 120
    while not (found := re.search(r" at (http\S+),", log.read_text())):
        assert process.poll() is None and time.monotonic() < ends, log.read_text()
        time.sleep(0.05)
    return found[1]
