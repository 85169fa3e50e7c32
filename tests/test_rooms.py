"""The plan of the house: what each room may import, and that CONTRIBUTING shows the same plan.

A room is a folder of `src/vqttt`, or one of the three modules of the ground floor. A module may import from its own
room and from the rooms that stand beside its name here.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "vqttt"
GROUND = ("types", "errors", "registry")
ROOMS: dict[str, tuple[str, ...]] = {
    "errors": (),
    "types": (),
    "registry": ("errors",),
    "scoring": GROUND,
    "runs": GROUND,
    "images": (*GROUND, "runs"),
    "models": (*GROUND, "images"),
    "tasks": (*GROUND, "images", "scoring"),
    "tuning": (*GROUND, "images", "models"),
    "methods": (*GROUND, "images", "models", "tuning"),
    "results": (*GROUND, "runs", "images", "scoring"),
    "study": (*GROUND, "runs", "images", "scoring", "models", "tasks", "tuning", "methods", "results"),
    "interpret": (*GROUND, "images", "models", "tasks", "methods", "results"),
    "serving": (*GROUND, "runs", "images", "models", "methods"),
    "integrations": (*GROUND, "runs", "images", "models", "methods", "study"),
}
ROOMS["cli"] = tuple(ROOMS)
WITHOUT_TORCH = ("scoring", "runs", "results")
FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The rooms that a module imports from, at its top or inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "vqttt":
            parts = str(node.module).split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("vqttt.")}
    return found - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_what_it_may(path: Path) -> None:
    room = room_of(path)
    assert room in ROOMS, f"{room} has no place in the plan"
    wrong = imports(path) - {room, *ROOMS[room]}
    assert not wrong, f"{room} may not import from {', '.join(sorted(wrong))}"


def test_the_plan_has_no_circle() -> None:
    order = list(ROOMS)
    for room, allowed in ROOMS.items():
        assert all(order.index(below) < order.index(room) for below in allowed), f"{room} reaches up"


def test_rooms_without_torch_do_not_import_it() -> None:
    modules = [
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in FILES
        if room_of(path) in WITHOUT_TORCH
    ]
    code = (
        f"import importlib, sys; [importlib.import_module(name) for name in {modules!r}]; print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "False"


def between(name: str) -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    return text.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]


def test_contributing_has_the_same_plan() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+ \| ([\w, ]+) \|$", between("rooms"), re.MULTILINE)
    meaning = {"nothing": set(), "everything": set(ROOMS) - {"cli"}}
    written = {room: meaning.get(allowed, set(allowed.split(", "))) for room, allowed in rows}
    assert written == {room: set(allowed) for room, allowed in ROOMS.items()}


def test_contributing_shows_the_tree_as_it_is() -> None:
    shown = set(re.findall(r"^[\s│├└─]*([\w.]+/?)", between("tree"), re.MULTILINE)) - {"src", "vqttt/"}
    there = {f"{path.name}/" if path.is_dir() else path.name for path in SOURCE.iterdir()}
    assert there - {"__pycache__/", "py.typed"} <= shown
