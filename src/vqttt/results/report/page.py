"""A run's report as a page: one HTML file that needs no other file and requests nothing.

Records and examples contain text of unknown origin. The template escapes it, and a content security policy in the page
forbids everything that is not in the page itself.
"""

import hashlib
import json
import shlex
from base64 import b64encode
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from vqttt.results import tables
from vqttt.results.figures import VARIABLES, Panel
from vqttt.results.report import browser
from vqttt.results.report.contents import Contents
from vqttt.results.report.files import write_text
from vqttt.results.report.gallery import kernel_panels
from vqttt.results.report.headline import on_help, on_remedies
from vqttt.results.report.stories import stories
from vqttt.runs.loading import load_description, load_examples

FEW = 6
"""Number of examples on the page of a reader without JavaScript."""


def write_html(run: Path, contents: Contents | None = None) -> Path:
    """Write `report.html`, a page that needs no other file.

    Args:
        run: the run folder.
        contents: contents of its report, if already at hand.

    Raises:
        RunFolderError: if a file of the run cannot be read, or the page cannot be written.
    """
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    contents = contents or Contents.of_run(run)
    details, about = load_examples(run), load_description(run)
    script = (files("vqttt.results.report") / "templates" / "browser.js").read_text(encoding="utf-8")
    examples = browser.collect(details, contents.records)
    # Jinja does not take a template named `.j2` for HTML, so escaping must be turned on here.
    page = Environment(
        loader=PackageLoader("vqttt.results.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page.filters |= {"label": tables.label, "percent": tables.percent, "points": tables.points}
    page.filters |= {"drawn": lambda panel: Markup(panel.inline()), "variable": lambda colour: VARIABLES[colour]}
    page.filters |= {"on_help": on_help, "on_remedies": on_remedies, "plain": _plain}
    html = page.get_template("report.html.j2").render(
        contents=contents,
        findings=contents.findings,
        stories=stories(details, contents.frames.records, contents.findings),
        tables=contents.tables,
        charts=contents.charts,
        kernels=kernel_panels(details),
        examples=examples,
        few=[example | {"uris": _uris(example, examples)} for example in examples["examples"][:FEW]],
        data=Markup(browser.as_json(examples)),
        script=Markup(script),
        script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        about=about,
        provenance=json.dumps(about, indent=2, ensure_ascii=False, sort_keys=True) if about else "",
        command=_command(about),
    )
    return write_text(run / "report.html", html)


def _plain(panel: Panel) -> Panel:
    """Return the curve of a model for a place that names the model already."""
    return replace(panel, title="accuracy (%)")


def _uris(example: dict[str, Any], data: dict[str, Any]) -> list[str]:
    """Return the images of an example as data URIs."""
    return [data["images"][number] for number in example["images"] if number is not None]


def _command(about: dict[str, Any]) -> str:
    """Return the command that ran the study, quoted for a shell."""
    config = about.get("config")
    command = (config.get("command") if isinstance(config, dict) else None) or about.get("command") or ""
    return command if isinstance(command, str) else shlex.join(map(str, command))
