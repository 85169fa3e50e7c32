"""Another package adds entries by entry points, and its mistakes are told from ours."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import vqttt
from tests.support.command import vqttt as command
from vqttt.images.files import load_image, save_image
from vqttt.models import EMBEDDED
from vqttt.study import StudyConfig
from vqttt.study import run as study

SOOT = '''
"""Smoke."""

import numpy as np


def soot(image, severity, rng, unit):
    """Black flakes that rise from a fire.

    Source: a test.
    """
    sooty = image.copy()
    sooty[rng.random(image.shape[:2]) < 0.1 * severity] = 0
    return sooty


def flat(image, severity, rng, unit):
    """Forgets the colours."""
    return image[..., 0]


def inplace(image, severity, rng, unit):
    """Forgets to copy."""
    image //= 4
    return image


def fiery(image, severity, rng, unit):
    """Fails."""
    raise KeyError("no fire")
'''


def package_in(folder: Path):
    """What installs a package into a folder of its own, beside an image, and what runs `vqttt` there with it."""

    def install(*points: str) -> None:
        (folder / "site" / "smoke-1.0.dist-info").mkdir(parents=True)
        (folder / "site" / "smoke.py").write_text(SOOT)
        (folder / "site" / "smoke-1.0.dist-info" / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: smoke\nVersion: 1.0\n"
        )
        (folder / "site" / "smoke-1.0.dist-info" / "entry_points.txt").write_text("\n".join(points) + "\n")

    def run(*arguments: object, module: tuple[str, ...] = ("-m", "vqttt.cli")) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *module, *map(str, arguments)]
        paths = f"{folder / 'site'}:{Path(vqttt.__file__).parents[1]}"
        environment = {"PYTHONPATH": paths, "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)

    save_image(np.full((40, 60, 3), 200, np.uint8), folder / "in.png")
    return install, run


@pytest.fixture
def outside(tmp_path: Path):
    return package_in(tmp_path)


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run of one study of several degradations of the package; each alone takes as long as all."""
    folder = tmp_path_factory.mktemp("studied")
    install, run = package_in(folder)
    names = ("soot", "fiery", "inplace")
    install("[vqttt.degradations]", "unused = smoke:flat", *(f"{name} = smoke:{name}" for name in names))
    degradations = [part for name in ("clean", *names, "fog") for part in ("--degradation", name)]
    done = run("study", "--model", "fake", "--task", "vq-mini", "--limit", 4, *degradations, "--severity", 3,
               "--method", "none", "--out", "run")  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def records_of(run: Path) -> pl.DataFrame:
    return pl.concat(pl.read_parquet(file) for file in sorted((run / "cells").glob("*.parquet")))


def test_a_degradation_of_another_package(outside, tmp_path, studied):
    install, run = outside
    install("[vqttt.degradations]", "soot = smoke:soot")
    listed = json.loads(run("list", "degradations", "--json").stdout)
    assert listed[-1] == {"name": "soot", "kind": "degradation", "summary": "Black flakes that rise from a fire."}

    assert run("degrade", "in.png", "--kind", "soot", "--severity", 4, "--out", "out.png").returncode == 0
    share = (load_image(tmp_path / "out.png") == 0).mean()
    assert share == pytest.approx(0.4, abs=0.05)
    chained = run("degrade", "in.png", "--kind", "soot+jpeg_compression", "--out", "chained.png")
    assert chained.returncode == 0

    assert "soot" in (studied / "run" / "summary.csv").read_text()
    assert (records_of(studied / "run").filter(degradation="soot")["error"] == "").all()


EACH = """
import contextlib, io, json, sys
from vqttt.cli import main

done = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["vqttt", *arguments]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stopped:
            done.append((stopped.code, out.getvalue(), err.getvalue()))
print(json.dumps(done))
"""


def each(run, *commands: tuple[object, ...]) -> list[tuple[int, str, str]]:
    """The status and what was said by several commands of one process: most of its time goes to getting ready."""
    done = run("-c", EACH, json.dumps([[str(argument) for argument in one] for one in commands]), module=())
    assert done.returncode == 0, done.stderr
    found = [tuple(one) for one in json.loads(done.stdout)]
    assert len(found) == len(commands)
    return found


def test_each_of_its_mistakes_is_one_line(outside):
    install, run = outside
    mistakes = {
        "lost": ("smoke:gone", "the degradation 'lost' of the package smoke cannot be used"),
        "far": ("nowhere:soot", "the degradation 'far' of the package smoke cannot be used"),
        "flat": ("smoke:flat", "flat turned an image of shape (40, 60, 3) into one of (40, 60)"),
        "fiery": ("smoke:fiery", "the degradation 'fiery' of the package smoke failed: KeyError: 'no fire'"),
    }
    install("[vqttt.degradations]", *(f"{name} = {place}" for name, (place, _) in mistakes.items()))
    done = each(run, *(("degrade", "in.png", "--kind", kind, "--out", "out.png") for kind in mistakes))
    for (status, _, said), (_, message) in zip(done, mistakes.values(), strict=True):
        assert status == 2 and message in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("point", "kind", "message"),
    [
        ("fog = smoke:soot", "soot", "the package smoke adds a degradation 'fog', but that name is taken"),
        ("clean = smoke:soot", "soot", "a degradation 'clean', but that name is taken; uninstall the package"),
        ("a+b = smoke:soot", "soot", "names may have only letters, digits and _ . -"),
    ],
)
def test_its_mistakes_are_one_line(outside, point, kind, message):
    install, run = outside
    install("[vqttt.degradations]", point)
    done = run("degrade", "in.png", "--kind", kind, "--out", "out.png")
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr


def test_what_fails_in_a_study_is_a_marked_record(studied):
    assert records_of(studied / "run").filter(degradation="fiery")["error"].str.contains("KeyError").all()
    assert "KeyError" in (studied / "run" / "report.html").read_text()


def test_one_that_works_in_place_spoils_nothing(studied, tmp_path):
    frame = records_of(studied / "run")
    assert frame.filter(degradation="inplace")["error"].str.contains("read-only").all()
    config = StudyConfig(
        models=("fake",),
        tasks=("vq-mini",),
        limit=4,
        degradations=("fog",),
        severities=(3,),
        methods=("none",),
    )
    study(config, tmp_path / "alone")
    alone = records_of(tmp_path / "alone")
    assert len(alone) == 4 and (alone["error"] == "").all()
    assert alone["image_sha256"].equals(frame.filter(degradation="fog")["image_sha256"])


def test_a_run_names_the_packages_that_it_used(studied):
    plugins = json.loads((studied / "run" / "run.json").read_text())["plugins"]
    assert plugins == dict.fromkeys(("soot", "fiery", "inplace"), "smoke 1.0")


FAMILY = '''
"""A family of another package."""

from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, LlavaConfig
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from vqttt.models.llava import Llava


class SootConfig(LlavaConfig):
    model_type = "soot"


class SootForConditionalGeneration(LlavaForConditionalGeneration):
    config_class = SootConfig


AutoConfig.register("soot", SootConfig)
AutoModelForImageTextToText.register(SootConfig, SootForConditionalGeneration)
AutoProcessor.register(SootConfig, LlavaProcessor)


class Soot(Llava):
    """A LLaVA by another name."""
'''


@pytest.mark.slow
def test_a_model_family_of_another_package(outside, tmp_path, monkeypatch, capsys):
    install, run = outside
    install("[vqttt.families]", "soot = family:Soot")
    (tmp_path / "site" / "family.py").write_text(FAMILY)
    for name in ("soot", "ash"):
        shutil.copytree(EMBEDDED, tmp_path / name)
        config = tmp_path / name / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": name}))
    asked = ("answer", "in.png", "what color is it?")
    (status, listed, _), (answered, answer, said), (refused, _, reason) = each(
        run,
        ("list", "models", "--json"),
        (*asked, "--model", tmp_path / "soot"),
        (*asked, "--model", tmp_path / "ash"),
    )
    rows = json.loads(listed)
    assert status == 0 and "LLaVA-1.5" in next(row["summary"] for row in rows if row["name"] == "llava")
    assert rows[-1] == {"name": "soot", "kind": "model family", "summary": "A LLaVA by another name."}

    monkeypatch.chdir(tmp_path)
    assert answered == 0 == command(monkeypatch, *asked), said
    assert answer == capsys.readouterr().out != ""

    assert refused == 2
    assert "'ash' model; supported families: llava, " in reason and "soot" in reason


ANSWERING = '''
"""A task, a method and an objective of another package."""

import numpy as np

from vqttt import Attempt, Method, Model, Outcome, Sample


def red():
    """Two red squares."""
    image = np.full((32, 32, 3), (220, 20, 20), np.uint8)
    return [Sample(id=f"red-{n}", load=image.copy, question="what color?", answers=("red",)) for n in range(2)]


def broken():
    """Makes no samples."""
    return ["red"]


class Blue(Method):
    """Answers blue, and is certain of it."""

    needs = Model

    def attempts(self, inputs, base, *, learn=True):
        count = inputs.count
        outcome = Outcome(texts=["blue"] * count, confidences=[1.0] * count, entropies=[0.0] * count)
        return [Attempt(how=["by rule"] * count, outcome=outcome, inputs=None)]


def boldness(evidence):
    """Minus the largest logit."""
    return -evidence.logits[:, 0].max(-1).values
'''

STUDY = """
model = "fake"
tasks = ["reds"]
degradations = ["clean"]

[methods.none]
[methods.blue]
[methods.bold]
base = "vq-ttt"
objective = "boldness"
gate = 0.0
"""


@pytest.mark.slow
def test_a_task_a_method_and_an_objective_of_another_package(outside, tmp_path):
    install, run = outside
    install(
        "[vqttt.tasks]", "reds = answering:red", "broken = answering:broken",
        "[vqttt.methods]", "blue = answering:Blue", "number = answering:ANSWER",
        "[vqttt.objectives]", "boldness = answering:boldness",
    )  # fmt: skip
    (tmp_path / "site" / "answering.py").write_text(ANSWERING + "\nANSWER = 42\n")
    (tmp_path / "study.toml").write_text(STUDY)
    wrong = ("study", "--model", "fake", "--limit", 2, "--out", "other")
    tasks, objectives, done, number, broken = each(
        run,
        ("list", "tasks", "--json"),
        ("list", "objectives", "--json"),
        ("study", "--config", "study.toml", "--out", "run"),
        (*wrong, "--method", "number"),
        (*wrong, "--task", "broken"),
    )
    assert {"name": "reds", "kind": "task", "summary": "Two red squares."} in json.loads(tasks[1])
    assert {"name": "boldness", "kind": "objective", "summary": "Minus the largest logit."} in json.loads(objectives[1])
    assert done[0] == 0, done[2]
    frame = records_of(tmp_path / "run")
    answers = {method: set(of["answer"]) for (method,), of in frame.group_by("method")}
    assert answers["none"] == {"red"} and answers["blue"] == {"blue"}
    assert frame.filter(method="bold")["steps"].to_list() == [1, 1]
    plugins = json.loads((tmp_path / "run" / "run.json").read_text())["plugins"]
    assert plugins == {"reds": "smoke 1.0", "blue": "smoke 1.0", "boldness": "smoke 1.0"}

    for (status, _, said), message in (
        (number, "the method 'number' of the package smoke cannot be used"),
        (broken, "the task 'broken' of the package smoke"),
    ):
        assert status == 2 and message in said and "Traceback" not in said, said
