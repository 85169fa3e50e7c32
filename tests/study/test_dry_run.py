"""The estimate of how long a study takes, on models whose costs are known."""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from PIL import Image as PILImage

from vqttt.cli.dry_run import print_estimate
from vqttt.models.fake import FakeTunableModel
from vqttt.study.config import StudyConfig
from vqttt.study.estimate import estimate
from vqttt.study.runner import run

CONFIG = StudyConfig(
    models=("fake",),
    tasks=("digits",),
    degradations=("clean", "fog", "gaussian_noise"),
    severities=(5,),
    methods=("none",),
    limit=40,
    batch=10,
)


class Clock:
    """Time passes only where a model of known cost spends it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def costly(clock: Clock, load: float, row: float) -> FakeTunableModel:
    """A model that takes `row` seconds for every row of a forward pass."""

    class Costly(FakeTunableModel):
        def answer_logits(self, inputs, answers=None):
            clock.now += row * inputs.count
            return super().answer_logits(inputs, answers)

    clock.now += load
    return Costly()


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of the measured report is not drawn: of these models' costs, none is its."""
    monkeypatch.setattr("vqttt.study.timing.report.write_html", lambda *_: None)


@cache
def rows_of(limit: int, methods: tuple[str, ...]) -> float:
    """The rows of all forward passes of the study itself, which loads its model once."""
    clock, loaded = Clock(), []

    def load(name: str) -> FakeTunableModel:
        loaded.append(name)
        return costly(clock, 0.0, 1.0)

    with tempfile.TemporaryDirectory() as folder:
        run(replace(CONFIG, limit=limit, methods=methods), Path(folder) / "run", load)
    assert loaded == ["fake"]
    return clock.now


# Every two of a method, a size and a cost meet once; quick rows of a large study, which are measured longest, twice.
@pytest.mark.parametrize(
    ("methods", "limit", "row"),
    [
        (("none",), 3, 0.05),
        (("none",), 25, 0.05),
        (("none",), 80, 0.005),
        (("none", "vq-ttt"), 3, 0.005),
        (("none", "vq-ttt"), 25, 0.005),
        (("none", "vq-ttt"), 80, 0.05),
        (("vq-select", "vq-ttt-episodic"), 3, 0.05),
        (("vq-select", "vq-ttt-episodic"), 25, 0.05),
        (("vq-select", "vq-ttt-episodic"), 80, 0.005),
        (("tta",), 3, 0.005),
        (("tta",), 25, 0.005),
        (("tta",), 80, 0.05),
    ],
)
def test_an_estimate_is_near_the_truth_and_takes_seconds(
    methods: tuple[str, ...], limit: int, row: float, no_page: None, one_thread: None
) -> None:
    config, clock = replace(CONFIG, limit=limit, methods=methods), Clock()
    found = estimate(config, lambda name: costly(clock, 1.0, row), clock=clock).seconds
    assert found == pytest.approx(1.0 + row * rows_of(limit, methods), rel=0.3)
    assert clock.now - 1.0 < 5.0 or row == 0.05


def test_two_tasks_and_seeds_count(one_thread: None) -> None:
    clock = Clock()
    config = replace(CONFIG, tasks=("digits", "vq-mini"), seeds=(0, 1), limit=20)
    found = estimate(config, lambda name: costly(clock, 1.0, 0.01), clock=clock)
    assert found.seconds == pytest.approx(1.0 + 2 * 2 * 3 * 20 * 0.01)
    assert (found.cells, found.records) == (12, 240)


@pytest.mark.parametrize(("workers", "seconds"), [(1, 13.0), (2, 8.0), (3, 6.0), (100, 6.0)])
def test_workers_share_the_jobs_and_each_loads_the_model(workers: int, seconds: float, no_page: None) -> None:
    clock = Clock()
    found = estimate(replace(CONFIG, limit=20), lambda name: costly(clock, 1.0, 0.2), workers=workers, clock=clock)
    assert found.seconds == pytest.approx(seconds)  # 3 jobs of 4 s, and 1 s to load, twice with workers


def test_the_time_before_the_estimate_counts() -> None:
    clock = Clock()
    clock.now = 5.0
    found = estimate(CONFIG, lambda name: costly(clock, 1.0, 0.0), clock=clock, began=2.0)
    assert found.seconds == pytest.approx(4.0)


def test_samples_without_an_image_are_estimated_as_well(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"image": "none.png", "question": "what?", "answer": "red"}\n' * 3)
    config = replace(CONFIG, tasks=(f"jsonl:{tmp_path / 'q.jsonl'}",), methods=("none", "vq-ttt"))
    assert estimate(config, FakeTunableModel).seconds is not None


def test_the_differences_that_a_sample_shows_are_told_without_one_assumption(
    no_page: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for limit in (10, 60, 200):
        print_estimate(replace(CONFIG, degradations=("clean",), limit=limit), 1, 0.0)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("digits")]
    assert "10 questions; a cell shows no difference, unless more than 40% of the answers change" in lines[0]
    assert "60 questions; a cell shows a difference in points (power 80%) from" in lines[1]
    assert lines[1].count("%") == 3 and "20% of the answers change" in lines[1] and lines[1].endswith("if 40% do")
    assert lines[2].count("%") == 5


def test_questions_that_share_images_tell_less(
    no_page: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    PILImage.new("RGB", (32, 32), "red").save(tmp_path / "a.png")
    row = '{"image": "a.png", "question": "what colour?", "answer": "red"}\n'
    (tmp_path / "q.jsonl").write_text(row * 60)
    print_estimate(replace(CONFIG, tasks=(f"jsonl:{tmp_path / 'q.jsonl'}",), limit=None), 1, 0.0)
    said = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("jsonl:"))
    assert "60 questions about 1 image; a cell shows no difference" in said
