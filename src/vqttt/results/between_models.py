"""Several models in one run: how much better one answers than another, and whether quality matters alike to both.

The second question is the one about the quality paradox. If degradation helps one model and hurts another on the same
images, the reason lies in the models and not in the images. Its answer is a difference of differences: the change from
clean to degraded images of one model, minus that of the other, on the same questions.

Scores are 0 to 1. `n` counts questions and `images` the images that they ask about, which intervals and tests take for
independent. A failed answer counts as wrong.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, TypeAlias

import polars as pl

from vqttt.results.compare import change_test, difference, paired
from vqttt.results.statistics import holm
from vqttt.results.summary import by_task, changes_of_cells, clean_answers, mean_of_cells, untuned
from vqttt.runs.records import ALL, CLEAN, NONE

Row: TypeAlias = dict[str, Any]

_NAMES = {"corrective": "only_second", "destructive": "only_first"}
"""What this module calls the columns of `compare.difference`; here nothing was corrected or broken."""

_FIRST = pl.col("base_score") - pl.col("clean_first")
"""How degradation changed the first model's score."""

_SECOND = pl.col("score") - pl.col("clean_second")
"""How degradation changed the second model's score."""

_CHANGES = (
    "change_n", "first_change", "first_change_low", "first_change_high", "second_change", "second_change_low",
    "second_change_high", "change_delta", "change_low", "change_high", "change_p",
)  # fmt: skip
"""What `_changes` returns."""

_TESTS = {"p_value": "p_holm", "change_p": "change_p_holm"}


def model_pairs(records: pl.DataFrame) -> list[tuple[str, str]]:
    """List the pairs of models that are compared: the first by name, as records are sorted, with each other one."""
    first, *others = records["model"].unique(maintain_order=True).to_list()
    return [(first, other) for other in others]


def answers_of(records: pl.DataFrame, model: str) -> pl.DataFrame:
    """Select a model's records, the untuned answers as those of the method `none`, whether or not it was run."""
    own = records.filter(pl.col("model") == model)
    base = untuned(own).with_columns(method=pl.lit(NONE), score=pl.col("base_score"))
    return pl.concat([base, own.filter(pl.col("method") != NONE)])


def between_models(records: pl.DataFrame) -> pl.DataFrame:
    """Compare the models of a run on the questions and images that they share; see `meanings.MODELS` for the columns.

    One row for each pair of models, task (and `all`, if there are several), restorer, method and condition: clean, each
    degradation with all severities together, all degradations together (`all`, if there are several), and each
    degradation at each severity. `severity` is null where severities are together. Tasks, severities, scales and seeds
    together have the same weight each.

    The tests are `compare.change_test`, after Holm's correction within the pair of models. Rows that put tasks
    together, and rows that put severities together, are corrected apart from the others, because they hold the same
    answers again. Empty if there is one model, or the models share no question about the same image.
    """
    rows = [row for pair in model_pairs(records) for row in _of_pair(records, *pair)]
    kinds = {"chance": pl.Float64, "severity": pl.Int64} | dict.fromkeys((*_CHANGES[1:], *_TESTS.values()), pl.Float64)
    return pl.DataFrame(rows, infer_schema_length=None, schema_overrides=kinds) if rows else pl.DataFrame()


def _of_pair(records: pl.DataFrame, first: str, second: str) -> list[Row]:
    """Return the rows of one pair of models, corrected for their number."""
    pairs = paired(answers_of(records, first), answers_of(records, second))
    pairs = _with_clean(pairs.filter(~pl.col("other_image")))
    rows = []
    for restorer in sorted(pairs["restorer"].unique(), key=lambda name: (name != NONE, name)):
        for _, task, method, cells in by_task(pairs.filter(pl.col("restorer") == restorer)):
            if task == ALL and pairs["task"].n_unique() == 1:
                continue
            for degradation, severity, group in _conditions(cells):
                row: Row = {"first_model": first, "second_model": second, "task": task, "restorer": restorer}
                row |= {"method": method, "degradation": degradation, "severity": severity}
                rows.append(row | _difference(group) | _changes(group))
    rows.sort(key=lambda row: row["task"] != ALL)
    _correct(rows)
    return rows


def _with_clean(pairs: pl.DataFrame) -> pl.DataFrame:
    """Add both models' scores on the clean image, `clean_first` and `clean_second`, null where there is none.

    The method is the same, and the clean image is the one that `summary.clean_and_degraded` takes. Answers on that
    image itself have no change.
    """
    clean, same = clean_answers(pairs, ["task", "method", "seed", "sample_id"])
    clean = clean.select(*same, clean_first="base_score", clean_second="score")
    itself = pl.col("degradation") == CLEAN
    if "restorer" not in same:
        itself &= pl.col("restorer") == NONE
    known = [pl.when(~itself).then(name).alias(name) for name in ("clean_first", "clean_second")]
    return pairs.join(clean, on=same, how="left", maintain_order="left").with_columns(known)


def _conditions(cells: pl.DataFrame) -> Iterator[tuple[str, int | None, pl.DataFrame]]:
    """Yield (degradation, severity, records): clean, all degradations together, then each, whole and by severity."""
    clean, degraded = cells.filter(pl.col("degradation") == CLEAN), cells.filter(pl.col("degradation") != CLEAN)
    if len(clean):
        yield CLEAN, 0, clean
    by_degradation = degraded.partition_by("degradation", maintain_order=True)
    if len(by_degradation) > 1:
        yield ALL, None, degraded
    for group in by_degradation:
        name = str(group["degradation"][0])
        yield name, None, group
        for (severity,), part in group.group_by("severity", maintain_order=True):
            yield name, int(str(severity)), part


def _difference(pairs: pl.DataFrame) -> Row:
    return {_NAMES.get(name, name): value for name, value in difference(pairs).items()}


def _changes(pairs: pl.DataFrame) -> Row:
    """Return how degradation changes each model's score, and how much more the second's; null without clean images."""
    known = pairs.filter(pl.col("clean_first").is_not_null())
    if known.is_empty():
        return dict.fromkeys(_CHANGES)
    estimates = mean_of_cells(known, _FIRST), mean_of_cells(known, _SECOND), changes_of_cells(known, _FIRST, _SECOND)
    values = (known.select("task", "sample_id").n_unique(), *(number for each in estimates for number in each))
    return dict(zip(_CHANGES, (*values, change_test(known, _SECOND - _FIRST)), strict=True))


def _correct(rows: list[Row]) -> None:
    """Add p-values after Holm's correction to the rows of a pair of models; see `between_models` for the families."""
    families = defaultdict[tuple[bool, bool], list[Row]](list)
    for row in rows:
        families[row["task"] == ALL, row["severity"] is None].append(row)
    for family in families.values():
        for raw, corrected in _TESTS.items():
            tested = [row for row in family if row[raw] is not None]
            found = dict(zip(map(id, tested), holm([row[raw] for row in tested]).tolist(), strict=True))
            for row in family:
                row[corrected] = found.get(id(row))
