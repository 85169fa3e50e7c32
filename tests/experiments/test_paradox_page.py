"""The page of the experiment on training images, and the command that runs it."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from experiments.paradox import frames, measure, page
from experiments.paradox.answers import ANSWERS
from experiments.paradox.findings import UNDECIDED, Finding
from experiments.paradox.frames import NotMeasuredError, Runs, load
from experiments.paradox.plan import HYPOTHESES, MAIN, SOFT, TASKS, Study
from experiments.paradox.tables import model_name
from tests.support.paradox import BLUR, KINDS, SIDE, axes, drawn, looks, of_own, recipes, records, restorer_study
from tests.support.runs import image
from vqttt.models.fake import FakeTunableModel
from vqttt.results.statistics import Estimate
from vqttt.runs.records import CLEAN, NONE
from vqttt.study import StudyConfig, run


def test_every_hypothesis_is_answered_and_every_part_has_a_place() -> None:
    assert list(ANSWERS) == list(HYPOTHESES)
    text = page.PAGE.read_text()
    for name in page.PARTS:
        assert text.count(f"<!-- {name} -->") == text.count(f"<!-- /{name} -->") == 1, name


def everything() -> Runs:
    """Return all that the page needs."""
    runs = Runs(recipes(0.1, 1, n=24) | axes(of_own(0.95, 0.8), 48) | restorer_study(0.1, -0.1, 24))
    runs["blur"] = axes(of_own(0.6, 0.4), 48)["blur"]
    runs |= drawn(lambda i, s: i % 4 == 0, 24)
    runs["inside"] = looks()
    rng = np.random.default_rng(0)
    ids = [f"vq-mini-test-{i:06d}" for i in range(48)]
    runs["descriptors"] = pl.DataFrame({"sample_id": ids, "d0": rng.normal(0, 1, 48)})
    rate = of_own(0.9, 0.8)
    runs["tasks"] = pl.concat([records(MAIN, [(CLEAN, 0), *BLUR, *SIDE], rate, 16, task=task) for task in TASKS[1:]])
    runs["auto"] = records(SOFT, [(kind, 3) for kind in KINDS], lambda *_: 0.75, 16, restorers=["auto"])
    return runs


def write_example(folder: Path, sample_id: str) -> None:
    """Write the example of an answer that tuning set right on a clean image."""
    example = {"sample_id": sample_id, "question": "what is it?", "reference": "a", "base_answer": "b", "answer": "a"}
    example |= {"flip": "corrective", "filtered": image(0)}
    cell = {"model": SOFT[0], "method": "vq-ttt", "degradation": CLEAN, "severity": 0, "examples": [example]}
    (folder / "recipe-clean" / "examples").mkdir(parents=True)
    (folder / "recipe-clean" / "examples" / "one.json").write_text(json.dumps(cell))


def test_the_page(tmp_path: Path) -> None:
    runs = everything()
    right = runs["blur"].filter(model=SOFT[0], condition="gaussian_blur 4", base_score=1.0)
    write_example(tmp_path, right["sample_id"][0])
    file = tmp_path / "paradox-lab.md"
    file.write_text(page.PAGE.read_text())
    assert page.write(runs, tmp_path, file) == []
    text = file.read_text()
    assert "Not measured" not in text and "not measured" not in text
    assert "nan" not in text
    figures = {path.name for path in (tmp_path / "paradox-lab").iterdir()}
    assert figures == {f"{name}.svg" for name in ("curves", "restoring", "spectrum", "gains", "demand")} | {
        "pictures.webp"
    }
    assert all(f"](paradox-lab/{name})" in text for name in figures)
    assert "| soft, seed 2 | +20.8" in text


def test_parts_without_runs_stay_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "paradox-lab.md"
    parts = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- /\2 -->)", re.DOTALL)
    file.write_text(parts.sub(r"\1\nAs before.\n\n\3", page.PAGE.read_text()))
    left = page.write(restorer_study(0.1, -0.1), tmp_path, file)
    text = file.read_text()
    assert text.count("As before.") == len(page.PARTS) - 6 == len(left)
    assert "| **yes** (yes: helps `embedded`, harms the soft twins) | gain from restoring" in text
    assert "soft twins minus embedded: −20.0 [" in text
    assert text.count("| not measured |") == 4 + 6  # four hypotheses, and six things to reach


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Study:
    """Let the plan have a single small study."""
    config = StudyConfig(models=("fake",), tasks=("vq-mini",), degradations=(CLEAN, "fog"), severities=(3,),
                         methods=(NONE,), limit=3)  # fmt: skip
    study = Study(name="blur", config=config)
    monkeypatch.setattr(frames, "studies", lambda: [study])
    monkeypatch.setattr(measure, "studies", lambda: [study])
    return study


def test_only_complete_studies_are_loaded(tiny: Study, tmp_path: Path) -> None:
    assert load(tmp_path) == {}
    run(tiny.config, tmp_path / tiny.name, load=FakeTunableModel)
    runs = load(tmp_path)
    assert list(runs) == ["blur"] and set(runs["blur"]["condition"]) == {CLEAN, "fog 3"}
    with pytest.raises(NotMeasuredError, match="sides"):
        runs["sides"]
    next((tmp_path / "blur" / "cells").glob("*fog*")).unlink()
    assert load(tmp_path) == {}


def test_the_command_runs_what_is_missing(tiny: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "missing", list)
    made: list[str] = []
    monkeypatch.setattr(measure, "MEASUREMENTS", {"other": lambda: made.append("other") or pl.DataFrame({"a": [1]})})
    monkeypatch.setattr(measure, "load_on_one_thread", FakeTunableModel)
    file = tmp_path / "paradox-lab.md"
    file.write_text(page.PAGE.read_text())
    given = ["--folder", str(tmp_path / "runs"), "--workers", "1", "--out", str(file)]
    assert measure.main(given) == measure.main(given) == 0
    assert made == ["other"]
    assert set(load(tmp_path / "runs")) == {"blur", "other"}


def test_the_command_needs_the_twins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measure, "missing", lambda: ["runs/twins/soft-1"])
    assert measure.main(["--folder", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said == "run `make train-twins` first: there is no runs/twins/soft-1\n"
    assert not list(tmp_path.iterdir())


def test_models_are_named_by_quality_and_seed() -> None:
    names = [model_name(model) for model in ("embedded", *SOFT, "all")]
    assert names == ["`embedded`", "`embedded-soft`", "soft, seed 1", "soft, seed 2", "all seeds"]
    assert Finding(about="", value=Estimate(0, 0, 0)).verdict == UNDECIDED
