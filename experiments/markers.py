"""Generated parts of a page, between `<!-- name -->` and `<!-- /name -->`."""

import re
from pathlib import Path

from vqttt.results.tables import Table


def put(page: Path, name: str, text: str) -> None:
    """Replace what stands between the markers of a page.

    Raises:
        SystemExit: if the page has no such markers.
    """
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    old = page.read_text()
    if not pattern.search(old):
        raise SystemExit(f"{page} has no place for {name}")
    page.write_text(pattern.sub(lambda found: f"{found[1]}\n{text.strip()}\n\n{found[2]}", old))


def put_table(page: Path, name: str, table: Table) -> None:
    """Put a report's table, without its heading, between the markers of a page."""
    put(page, name, table.markdown().partition("\n")[2])
