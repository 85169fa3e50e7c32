"""Servers in processes of their own."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
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
