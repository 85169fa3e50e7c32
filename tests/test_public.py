"""The public face: exactly these names, imported when they are first used."""

import ast
import inspect
import subprocess
import sys
import time
from pathlib import Path

import pytest

import vqttt

SOURCE = Path(vqttt.__file__)


def test_the_names_are_exactly_these() -> None:
    imported = {
        alias.name
        for node in ast.walk(ast.parse(SOURCE.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vqttt")
        for alias in node.names
    }
    assert len(vqttt.__all__) == len(set(vqttt.__all__))
    assert set(vqttt.__all__) == imported == set(vqttt._HOME_OF), "type checkers must see what users get"
    assert dir(vqttt) == sorted(vqttt.__all__)


@pytest.mark.parametrize("name", vqttt.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    found = getattr(vqttt, name)
    if inspect.isclass(found) or inspect.isfunction(found):
        assert inspect.getdoc(found), name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'vqttt' has no attribute 'tune_everything'"):
        _ = vqttt.tune_everything


def test_importing_is_cheap() -> None:
    code = "import sys, vqttt; print(sorted(set(sys.modules) & {'torch', 'numpy', 'polars', 'transformers', 'cv2'}))"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"
    seconds = []
    for _ in range(5):
        for name in [name for name in sys.modules if name == "vqttt"]:
            kept = sys.modules.pop(name)
        began = time.perf_counter()
        import vqttt  # noqa: F401

        seconds.append(time.perf_counter() - began)
        sys.modules["vqttt"] = kept
    assert min(seconds) < 0.05
