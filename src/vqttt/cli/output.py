"""How commands print: JSON that any parser reads, and paths and answers in any alphabet."""

import io
import json
import math
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import rich.table
    import rich.text

__all__ = ["as_json", "show", "tolerate_any_text"]


def as_json(value: Any, indent: int | None = None) -> str:
    """Return JSON; numbers that JSON does not have (NaN and the infinities) become null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def tolerate_any_text() -> None:
    """Let the terminal's encoding lack a character: its code is then printed instead."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def show(*parts: "rich.text.Text | rich.table.Table") -> None:
    """Print parts of a report. A table that needs more than the width of the terminal is not cut off."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    for part in parts:
        least = Measurement.get(console, console.options.update(max_width=10_000), part).minimum
        Console(width=max(console.width, least)).print(part)
