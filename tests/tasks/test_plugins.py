"""Another package adds tasks by entry points, and its mistakes are reported as its own."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import vqttt

SOOT = '''
"""Questions about smoke."""

import numpy as np

from vqttt.errors import MissingExtraError
from vqttt.types import Sample


def sample(number, **fields):
    load = lambda: np.full((32, 40, 3), 8 * number, np.uint8)
    return Sample(id=f"soot-{number}", load=load, question="is there smoke?", answers=("yes",), **fields)


def soot():
    """Twelve gray images.

    Source: a test.
    """
    return [sample(number, category="smoke") for number in range(12)]


def fiery():
    raise KeyError("no fire")


def lacking():
    raise MissingExtraError("install a chimney")


def nothing():
    return []


def pairs():
    return {"soot": sample(0)}


def raw():
    return [sample(0), {"question": "is there smoke?"}]


def twins():
    return [sample(1), sample(2), sample(1)]


def unruly():
    return [sample(0, rule="sooty")]


def mixed():
    options = {"choices": ("red", "blue")}
    wrong = dict(load=lambda: None, question="which?", **options)
    return [sample(0), Sample(id="AC", answers=("AC",), **wrong),
            Sample(id="B.", answers=("B.",), rule="letter", **wrong),
            Sample(id="none", load=lambda: None, question=None, answers=()),
            Sample(id="text", load=lambda: None, question="what?", answers="red")]


def hopeless():
    return [Sample(id="x", load=lambda: None, question="what?", answers=("",))]


constant = 7
'''
MISTAKES = {
    "fiery": "failed: KeyError: 'no fire'",
    "lacking": "failed: install a chimney",
    "nothing": "returned an empty list; it must return a list of Sample",
    "pairs": "returned dict; it must return a list of Sample",
    "raw": "returned a list whose item 1 is of type dict; it must return a list of Sample",
    "twins": ": 2 samples have the id 'soot-1'; ids must be unique",
    "unruly": ": sample 'soot-0' has the rule 'sooty', which does not exist",
    "constant": "failed: TypeError",
}
LOAD_ALL = """
import json, sys
from vqttt.errors import PluginError
from vqttt.tasks import load_task

said = {}
for name in sys.argv[1:]:
    try:
        load_task(name)
    except PluginError as error:
        said[name] = str(error)
print(json.dumps(said))
"""
STUDY_EACH = """
import sys
from vqttt.cli import main

out = sys.argv[1]
for name in sys.argv[2:]:
    sys.argv = ["vqttt", "study", "--model", "fake", "--task", name, "--limit", "6", "--degradation", "fog",
                "--severity", "3", "--method", "none", "--out", f"{out}/{name}"]
    try:
        main()
    except SystemExit as stopped:
        print(name, "ended with", stopped.code)
    print("end of", name, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Install a package into a folder of its own; returns a function that runs Python with it."""
    root = tmp_path_factory.mktemp("smoke")
    points = [f"{name} = smoke:{name}" for name in ("soot", "mixed", "hopeless", *MISTAKES)] + ["gone = smoke:gone"]
    files = {
        "smoke.py": SOOT,
        "smoke-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: smoke\nVersion: 1.0\n",
        "smoke-1.0.dist-info/entry_points.txt": "\n".join(["[vqttt.tasks]", *points, ""]),
    }
    for name, content in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(content)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        paths = f"{root}:{Path(vqttt.__file__).parents[1]}"
        environment = {"PYTHONPATH": paths, "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root, check=False)

    return run


@pytest.fixture(scope="module")
def said(python) -> dict[str, str]:
    """What `load_task` says of each task that is a mistake."""
    done = python("-c", LOAD_ALL, *MISTAKES, "gone")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def studied(python, tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The command `vqttt study` with a task that is a mistake, then with a good one; and the folder of the runs.

    One process runs both, because most of its time goes to getting ready.
    """
    out = tmp_path_factory.mktemp("runs")
    return python("-c", STUDY_EACH, out, "fiery", "soot"), out


def test_a_study_of_another_packages_task(python, studied):
    code = "from vqttt.tasks import TASKS, load_task; print(TASKS.summary('soot'), len(load_task('soot', 5)))"
    assert python("-c", code).stdout == "Twelve gray images. 5\n"

    done, out = studied
    assert "soot ended with 0" in done.stdout, done.stderr
    (file,) = (out / "soot" / "cells").glob("*.parquet")
    frame = pl.read_parquet(file)
    assert frame["task"].unique().to_list() == ["soot"] and len(frame) == 6
    assert (frame["error"] == "").all() and frame["category"].unique().to_list() == ["smoke"]


@pytest.mark.parametrize("name", MISTAKES)
def test_its_mistakes_name_the_package(said, name):
    assert said[name].startswith(f"the task {name!r} of the package smoke 1.0")
    assert MISTAKES[name] in said[name] and "\n" not in said[name]


def test_what_cannot_be_imported_names_the_package(said):
    assert said["gone"].startswith("the task 'gone' of the package smoke") and "gone" in said["gone"]


def test_the_command_line_shows_a_mistake_in_one_line(studied):
    done, _ = studied
    assert "fiery ended with 2" in done.stdout
    shown = done.stderr.partition("end of fiery")[0]
    assert "of the package smoke 1.0 failed: KeyError" in shown and shown.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_it_takes_no_path(python):
    done = python("-c", "from vqttt.tasks import load_task; load_task('soot:here')")
    assert "the task 'soot' takes no path; these do: jsonl, tsv, mathvista" in done.stderr


def test_its_samples_that_cannot_be_used_are_marked(python):
    code = (
        "from vqttt.tasks import load_task; from vqttt.tasks.broken import fault\n"
        "print([(s.id, s.answers[0], fault(s)[:40]) for s in load_task('mixed')]); load_task('hopeless')"
    )
    done = python("-c", code)
    assert done.stdout.strip() == str([
        ("soot-0", "yes", ""), ("AC", "", "AC: the answer 'AC' names none of the op"), ("B.", "B", ""),
        ("none", "", "none: its question and prompt must be te"),
        ("text", "", "text: its answers and choices must be tu"),
    ])  # fmt: skip
    assert (
        "none of the samples of the task 'hopeless' of the package smoke 1.0 can be used (1 in all); x: the answer"
        in done.stderr
    )
