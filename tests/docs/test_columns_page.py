"""docs/columns.md describes every column of a run's tables, and no other."""

import polars as pl
import pytest

from experiments import columns
from tests.support.runs import write_run
from vqttt.results.meanings import MODELS, QUALITY, SUMMARY
from vqttt.results.report import Contents
from vqttt.runs.loading import load_records
from vqttt.runs.records import meanings


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    return Contents(load_records(write_run(tmp_path_factory.mktemp("run"))))


def test_every_column_has_a_meaning(contents: Contents) -> None:
    assert list(meanings()) == contents.records.columns
    assert list(SUMMARY) == contents.frames.all_cells.columns
    assert list(QUALITY) == contents.frames.effect.columns
    other = contents.records.with_columns(model=pl.lit("other"))
    assert list(MODELS) == Contents(pl.concat([contents.records, other])).frames.between_models.columns
    assert all(text for columns in (meanings(), SUMMARY, QUALITY, MODELS) for text in columns.values())


def test_the_page_is_up_to_date() -> None:
    assert columns.PAGE.read_text(encoding="utf-8") == columns.page(), "run `python -m experiments.columns`"
