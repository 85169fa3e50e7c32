"""The command line, run in this process."""

import sys

import pytest

from vqttt.cli import main


def vqttt(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run a command with its arguments; return its exit status."""
    monkeypatch.setattr(sys, "argv", ["vqttt", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)
