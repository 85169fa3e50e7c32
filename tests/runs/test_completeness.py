"""What a run's records lack of its plan, or have beyond it, is said in a line each."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.engines import STUDY
from vqttt.models.fake import FakeTunableModel
from vqttt.runs.completeness import doubts
from vqttt.study import StudyConfig
from vqttt.study.runner import run

ONE = replace(STUDY, tasks=("digits",), degradations=("clean", "fog"), methods=("none", "vq-ttt"), limit=6, batch=3)
MANY = replace(ONE, models=("fake", "other"), tasks=("digits", "vq-mini"), seeds=(0, 1), restorers=("none", "matched"))


def stop_at(most: int) -> Callable[[int, int, str], None]:
    def stop(done: int, total: int, what: str) -> None:
        if done >= most:
            raise KeyboardInterrupt

    return stop


def killed(folder: Path, config: StudyConfig, most: int) -> Path:
    with pytest.raises(KeyboardInterrupt):
        run(config, folder, FakeTunableModel, stop_at(most))
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; tests must not change it."""
    return Path(run(ONE, tmp_path_factory.mktemp("finished") / "run", FakeTunableModel))


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def cell_files(run: Path) -> list[Path]:
    return sorted(run.glob("cells/*.parquet"))


def change_description(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "run.json"
    description = json.loads(file.read_text())
    change(description)
    file.write_text(json.dumps(description))


def test_a_finished_run_leaves_no_doubt(finished: Path) -> None:
    assert doubts(finished) == []


def test_a_killed_run_is_unfinished_until_it_is_resumed(tmp_path: Path) -> None:
    folder = killed(tmp_path / "a run", ONE, 15)
    assert len(cell_files(folder)) == 2
    line = "The run is unfinished: 12 of 36 answers are recorded; `vqttt study --resume {}` goes on."
    assert doubts(folder) == [line.format(f"'{folder}'")]
    assert doubts(folder, "s3://bucket/run") == [line.format("s3://bucket/run")]
    run(ONE, folder, FakeTunableModel)
    assert doubts(folder) == []


def test_models_seeds_tasks_and_restorers_multiply_the_plan(tmp_path: Path) -> None:
    folder = killed(tmp_path / "run", MANY, 15)
    planned = 2 * 2 * 2 * 2 * 3 * 2 * 6
    assert f"12 of {planned} answers" in doubts(folder)[0] and len(doubts(folder)) == 1
    run(MANY, folder, FakeTunableModel)
    assert doubts(folder) == []


def test_an_only_model_may_have_another_name_in_records(tmp_path: Path) -> None:
    folder = Path(run(replace(ONE, severities=(5,)), tmp_path / "run", lambda _: FakeTunableModel("renamed")))
    assert doubts(folder) == []


def test_failed_samples_are_recorded(copy: Path) -> None:
    first = cell_files(copy)[0]
    pl.read_parquet(first).with_columns(error=pl.lit("the image cannot be read")).write_parquet(first)
    assert doubts(copy) == []


def test_a_doubled_cell_is_named(copy: Path) -> None:
    first = cell_files(copy)[0]
    frame = pl.read_parquet(first)
    pl.concat([frame, frame]).write_parquet(first)
    (line,) = doubts(copy, "run")
    assert line.startswith(f"1 cell has more records than planned: `cells/{first.name}` (12, not 6); delete this file")
    assert line.endswith("`vqttt study --resume run` answers anew.")


def test_a_cell_in_two_files_is_doubled(copy: Path) -> None:
    first = cell_files(copy)[0]
    shutil.copy(first, first.with_name("a copy.parquet"))
    (line,) = doubts(copy)
    assert f"`cells/a copy.parquet` and `cells/{first.name}` (12, not 6); delete these files" in line


def test_cells_that_are_cut_are_counted_and_the_first_is_named(copy: Path) -> None:
    files = cell_files(copy)[:2]
    for file in files:
        pl.read_parquet(file).head(4).write_parquet(file)
    (line,) = doubts(copy)
    assert line.startswith(f"2 cells have fewer records than planned, the first in `cells/{files[0].name}` (4, not 6);")


@pytest.mark.parametrize(("column", "value"), [("model", "embedded"), ("seed", 7), ("method", "tta"), ("severity", 4)])
def test_a_cell_of_another_run_is_named(copy: Path, column: str, value: object) -> None:
    frame = pl.read_parquet(cell_files(copy)[-1])
    frame.with_columns(pl.lit(value).cast(frame.schema[column]).alias(column)).write_parquet(
        copy / "cells" / "b.parquet"
    )
    assert doubts(copy) == ["1 cell is not in the run's plan: `cells/b.parquet`; move this file out of the run."]


def test_what_is_beyond_the_plan_does_not_make_up_for_what_is_missing(copy: Path) -> None:
    first, second, *_ = cell_files(copy)
    frame = pl.read_parquet(first)
    pl.concat([frame, frame]).write_parquet(first)
    second.unlink()
    lines = doubts(copy)
    assert "30 of 36 answers" in lines[0] and "more records" in lines[1] and len(lines) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda description: description.clear(),
        lambda description: description.pop("questions"),
        lambda description: description["questions"].clear(),
        lambda description: description["questions"].update(digits=6),
        lambda description: description["config"].pop("restorers"),
        lambda description: description["config"].pop("model"),
        lambda description: description["config"].update(seeds=0),
        lambda description: description["config"].update(models=["fake", "other"]),
        lambda description: description.update(config="vqttt study"),
    ],
)
def test_a_run_whose_plan_is_not_known_is_not_doubted(copy: Path, change: Callable[[dict[str, Any]], object]) -> None:
    cell_files(copy)[0].unlink()
    assert doubts(copy)
    change_description(copy, change)
    assert doubts(copy) == []


def test_a_folder_without_a_description_is_not_doubted(copy: Path) -> None:
    (copy / "run.json").unlink()
    assert doubts(copy) == []
