"""What the pages refer to exists: links, commands, files, modules, extras, methods."""

import importlib
import re
import shlex
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from vqttt.methods import METHODS
from vqttt.tasks import TASKS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GROUPS = {"degradations", "styles", "restorers", "families", "methods", "objectives", "tasks"}
"""Of entry points: `vqttt.tasks` in a page may be the group, which need not be a module."""


def slugs(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_links(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("https://", "http://")):
            continue
        place, _, anchor = target.partition("#")
        file = (page.parent / place).resolve() if place else page
        assert file.exists(), target
        assert not anchor or anchor in slugs(file), target


def test_every_page_is_linked_from_the_readme(page: Path) -> None:
    name = str(page.relative_to(ROOT))
    assert name == "README.md" or f"({name}" in (ROOT / "README.md").read_text()


def test_files(page: Path) -> None:
    for name in re.findall(r"`((?:src|tests|experiments|examples|perf|training|docs)/[\w./-]*)`", page.read_text()):
        assert (ROOT / name).exists(), name


def test_modules(page: Path) -> None:
    """Whatever `python -m` is said to run, and every dotted name of ours."""
    text = page.read_text()
    for name in re.findall(r"python -m ([\w.]+)", text):
        assert find_spec(name), name
    for name in re.findall(r"`vqttt\.([\w.]+)[`(]", text):
        if name not in GROUPS:
            module, found = "vqttt", importlib.import_module("vqttt")
            for part in name.split("."):
                module += f".{part}"
                found = getattr(found, part, None) or importlib.import_module(module)


def test_make_targets(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for one, other in re.findall(r"`make ([a-z-]+)`|\$ make ([a-z-]+)", page.read_text()):
        assert re.search(rf"^{one or other}:", makefile, re.MULTILINE), one or other


def test_extras(page: Path) -> None:
    for name in re.findall(r"vqttt\[([a-z-]+)\]", page.read_text()):
        assert name in PROJECT["optional-dependencies"], name


def test_commands_and_options(page: Path) -> None:
    """Those of README.md and docs/usage.md also run (test_readme.py); others need a network, a GPU or hours."""
    for line in re.findall(r"^\$ (vqttt .+)$", page.read_text(), re.MULTILINE):
        words = shlex.split(line, comments=True)[1:]
        command = "-".join(words[: 2 if words[0] in ("models", "restorers") else 1])
        known = (ROOT / "tests" / "goldens" / f"help-{command}.txt").read_text()
        for option in (word for word in words if word.startswith("--")):
            assert f" {option} " in known, (line, option)


def test_methods(page: Path) -> None:
    """LOG.md and CHANGELOG.md also have the names that methods used to have."""
    if page.name in ("LOG.md", "CHANGELOG.md"):
        return
    names = set(re.findall(r"(?<![\w/.-])vq-[a-z]+(?:-[a-z]+)*(?![\w.]|-\d)", page.read_text()))
    assert names <= {*METHODS, *TASKS}
