"""The page of a run: one HTML file that needs no other, asks for nothing, and may be opened anywhere.

What records and examples hold is text of unknown origin: the template escapes it, and a policy in the page forbids
everything that is not in the page itself.
"""

import hashlib
import json
import shlex
from base64 import b64encode
from importlib.resources import files
from pathlib import Path
from typing import Any

from vqttt.results import tables
from vqttt.results.figures import VARIABLES
from vqttt.results.report import browser
from vqttt.results.report.charts import kernel_panels
from vqttt.results.report.contents import Contents
from vqttt.results.tables import label
from vqttt.runs.loading import load_description, load_examples, load_records, write


def write_html(run: Path, contents: Contents | None = None) -> Path:
    """Write `report.html`, a page that needs no other file.

    Args:
        run: the run folder.
        contents: of its records, where they are at hand.

    Raises:
        RunFolderError: as `load_records` does, or if another file of the run cannot be read or written.
    """
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    contents = contents or Contents(load_records(run))
    details, about = load_examples(run), load_description(run)
    script = (files("vqttt.results.report") / "templates" / "browser.js").read_text(encoding="utf-8")
    examples = browser.collect(details, contents.records)
    # By its own name the template would not be taken for HTML, so escaping is asked for.
    page = Environment(
        loader=PackageLoader("vqttt.results.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page.filters |= {"label": label, "percent": tables.percent, "points": tables.points}
    page.filters |= {"drawn": lambda panel: Markup(panel.inline()), "variable": lambda colour: VARIABLES[colour]}
    html = page.get_template("report.html.j2").render(
        contents=contents,
        findings=contents.findings,
        tables=contents.tables,
        charts=contents.charts,
        kernels=kernel_panels(details),
        examples=examples,
        few=[example | {"seen": _seen(example, examples)} for example in examples["examples"][:6]],
        data=Markup(browser.as_json(examples)),
        script=Markup(script),
        script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        restored=contents.restored,
        about=about,
        provenance=json.dumps(about, indent=2, ensure_ascii=False, sort_keys=True) if about else "",
        command=_command(about),
    )
    return write(run / "report.html", html)


def _seen(example: dict[str, Any], data: dict[str, Any]) -> list[str]:
    return [data["images"][place] for place in example["images"] if place is not None]


def _command(about: dict[str, Any]) -> str:
    """Return the command that ran the study, as a shell takes it."""
    config = about.get("config")
    command = (config.get("command") if isinstance(config, dict) else None) or about.get("command") or ""
    return command if isinstance(command, str) else shlex.join(map(str, command))
