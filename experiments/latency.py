"""Write the latency table of docs/production.md: `python -m experiments.latency`.

The measurements are made against a running `vqttt serve` by the commands that stand below the table.
"""

import json
from pathlib import Path
from typing import Any

from experiments.markers import put, table

PAGE = Path("docs/production.md")
FILES = Path("docs/production/load.json"), Path("docs/production/one.json")
"""What `vqttt bench --server` wrote: with 32 requests at a time at most, and with one."""

_COLUMNS = ("method", "requests arriving", "answered/s", "of plain", "p50 ms", "p95 ms", "p99 ms", "looks", "certain")


def rows(file: Path) -> list[tuple[str, ...]]:
    """Return the rows of one file of measurements."""
    return [_row(one) for one in json.loads(file.read_text())]


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    clients = "one after another" if one["clients"] == 1 else f"{one['clients']} at a time, at once"
    arriving = clients if one["rate"] is None else f"{one['rate']:g} a second"
    times = tuple(f"{one[name]:.0f}" for name in ("p50", "p95", "p99"))
    certain = f"{one['certain']:.0%}" if one["looks"] > 1 else ""
    shares = f"{one['throughput']:.1f}", f"{one['of_plain']:.2f}×"
    return one["method"], arriving, *shares, *times, f"{one['looks']:.2f}", certain


def main() -> None:
    """Fill the table in."""
    body = [row for file in FILES for row in rows(file)]
    put(PAGE, "latency", table(_COLUMNS, body, left=2))


if __name__ == "__main__":
    main()
