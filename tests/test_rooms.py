"""The house's plan: a module imports only from rooms above its own."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "vqttt"
ROOMS = [
    "types", "errors", "registry", "images", "degradations", "restorers", "quality", "gallery",
    "models", "spectrum", "kernels", "views", "bank", "predictor", "adapters", "peft_export",
    "objectives", "features", "likelihood", "methods", "bench", "scoring", "tasks", "stats", "perception", "paradox",
    "remedies", "maps", "costs",
    "provenance", "store", "runfolder", "batches", "examples", "plan", "desk", "engines", "study",
    "configfile", "estimate", "compare", "integrations",
    "tables", "reported", "figures", "analysis", "report", "cli",
]  # fmt: skip
FILES = sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("vqttt"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("vqttt.")}
    return found - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_come_from_above(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        assert not imports(path)
        return
    assert room in ROOMS, f"{room} has no place in the plan"
    wrong = {name for name in imports(path) if name != room and ROOMS.index(name) > ROOMS.index(room)}
    assert not wrong, f"{room} reaches down into {sorted(wrong)}"
