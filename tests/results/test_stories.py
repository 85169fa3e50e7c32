"""The examples on the first screen: chosen to show each model's story, with answers from the records."""

import json
from pathlib import Path

import polars as pl
import pytest

from tests.support.figures import without_drawing
from tests.support.several_models import FROM_BLURRED, FROM_CLEAN, write_models
from vqttt.results import report
from vqttt.results.report.contents import Contents
from vqttt.results.report.stories import MOST, Story, stories
from vqttt.runs.loading import load_examples, load_records


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def contents(run: Path) -> Contents:
    return Contents(load_records(run))


def told(run: Path, contents: Contents) -> dict[str, list[Story]]:
    return stories(load_examples(run), contents.frames.records, contents.findings)


def test_a_model_that_degradation_helps_shows_it_first(run: Path, contents: Contents) -> None:
    found = told(run, contents)
    assert {model: len(shown) for model, shown in found.items()} == {"embedded": MOST // 2, "embedded-soft": MOST // 2}
    assert found["embedded-soft"][0].title == "corrected by degradation"
    assert "gaussian blur, severity 4" in found["embedded-soft"][0].where
    rescued = found["embedded"][0]
    assert rescued.title == "broken by degradation, corrected by tuning" and rescued.where.endswith("· vq-ttt")
    assert [picture.name for picture in rescued.pictures] == ["clean", "degraded", "as tuned"]
    assert [picture.answer for picture in rescued.pictures] == ["circle", "square", "circle"]


def test_answers_and_marks_come_from_the_records(run: Path) -> None:
    records = load_records(run)
    other = records.with_columns(
        base_answer=pl.when(pl.col("base_score") > 0).then(pl.lit("a right one")).otherwise(pl.lit("a wrong one"))
    )
    for story in (story for shown in told(run, Contents(other)).values() for story in shown):
        for picture in story.pictures[:2]:
            assert picture.answer == ("a right one" if picture.right else "a wrong one")


def test_examples_without_records_are_left_out(run: Path) -> None:
    clean_only = load_records(run).filter(pl.col("degradation") == "clean")
    assert not any(told(run, Contents(clean_only)).values())


def test_no_image_is_shown_twice(tmp_path: Path) -> None:
    run = write_models(tmp_path, {"embedded-soft": FROM_BLURRED})
    (shown,) = told(run, Contents(load_records(run))).values()
    assert len(shown) == MOST == len({story.pictures[0].uri for story in shown})
    assert len({story.rights for story in shown}) > 1


def test_every_model_has_an_example(tmp_path: Path) -> None:
    models = {f"model-{i}": (FROM_CLEAN, FROM_BLURRED)[i % 2] for i in range(6)}
    run = write_models(tmp_path, models, tried=("none",), n=200)
    shown = told(run, Contents(load_records(run)))
    assert [len(stories) for stories in shown.values()] == [1] * 6


def test_what_is_no_image_is_left_out(run: Path, contents: Contents) -> None:
    details = json.loads(json.dumps(load_examples(run)).replace("data:image/webp", "javascript:alert"))
    assert not any(stories(details, contents.frames.records, contents.findings).values())


def test_a_run_without_examples_has_no_pictures_on_its_first_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_drawing(monkeypatch)
    write_models(tmp_path, tried=("none",), degradations=("gaussian_blur",), n=100, examples=False)
    page = report.write_html(tmp_path).read_text()
    opening = page.partition('class="opening"')[2].partition("</section>")[0]
    assert "<svg" in opening and "<img" not in opening and "Examples" not in opening


def test_the_first_screen_names_every_model_and_marks_answers(
    run: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_drawing(monkeypatch)
    page = report.write_html(run, contents).read_text()
    opening = page.partition('class="opening"')[2].partition("</section>")[0]
    assert opening.count("<svg") == 2 and "<h2>embedded</h2>" in opening and "<h2>embedded-soft</h2>" in opening
    assert 'aria-label="right">✓</i> circle' in opening and 'aria-label="wrong">✗</i> square' in opening
    assert "of 15 conditions" in opening.lower() and "restoring alone" in opening
