"""Generated parts of a page: the text between `<!-- name -->` and `<!-- /name -->`, and tables to put there."""

import re
from collections.abc import Sequence
from pathlib import Path

from vqttt.results.tables import Table


def put(page: Path, name: str, text: str) -> None:
    """Replace the text between the markers called `name`.

    Raises:
        SystemExit: if the page does not have these markers.
    """
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    old = page.read_text()
    if not pattern.search(old):
        raise SystemExit(f"{page} has no markers <!-- {name} --> and <!-- /{name} -->")
    page.write_text(pattern.sub(lambda found: f"{found[1]}\n{text.strip()}\n\n{found[2]}", old))


def put_table(page: Path, name: str, table: Table) -> None:
    """Put a report's table, without its heading, between the markers called `name`."""
    put(page, name, table.markdown().partition("\n")[2])


def table(header: Sequence[str], body: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table; the first `left` columns are aligned to the left, the others to the right."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, *body)]
    lines.insert(1, "| --- " * left + "| ---: " * (len(header) - left) + "|")
    return "\n".join(lines)
