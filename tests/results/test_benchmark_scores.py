"""Scores that benchmarks define beyond a mean, on a cell worked by hand."""

import polars as pl

from vqttt.results.benchmark_scores import benchmark_scores
from vqttt.results.tables import benchmark_table

CELL = {"model": "m", "degradation": "gaussian_noise", "severity": 3, "scale": "relative", "restorer": "none"}
CELL |= {"method": "vq-ttt", "seed": 0}


def yes_no_records(task: str) -> pl.DataFrame:
    """Make the records of two questions, of which tuning corrects the second."""
    answers = {"reference": ["yes", "yes"], "base_answer": ["yes", "no"], "answer": ["yes", "yes"]}
    scores = {"base_score": [1.0, 0.0], "score": [1.0, 1.0]}
    constants = CELL | {"task": task, "category": "popular", "question_type": ""}
    return pl.DataFrame({"sample_id": ["0", "1"]} | answers | scores).with_columns(
        pl.lit(value).alias(name) for name, value in constants.items()
    )


def test_scores_are_those_of_the_untuned_answers_and_of_the_methods() -> None:
    scores = benchmark_scores(pl.concat([yes_no_records("pope:folder"), yes_no_records("digits")]))
    assert scores["task"].unique().to_list() == ["pope:folder"]
    rows = {row["score"]: (row["untuned"], row["with_method"]) for row in scores.to_dicts()}
    assert rows["accuracy"] == rows["recall"] == rows["yes ratio"] == (50.0, 100.0)
    assert rows["popular accuracy"] == (50.0, 100.0)


def test_scores_as_a_table() -> None:
    table = benchmark_table(benchmark_scores(yes_no_records("pope:folder")))
    assert table.header == ("task", "degradation", "severity", "method", "score", "untuned", "with method")
    assert table.rows[0] == ("pope:folder", "gaussian noise", "3", "vq-ttt", "accuracy", "50.0", "100.0")


def test_a_run_without_benchmarks_has_no_scores() -> None:
    assert benchmark_scores(yes_no_records("digits")).is_empty()
    assert benchmark_table(benchmark_scores(yes_no_records("digits"))).rows == []
