"""Tables as text, for a terminal, Markdown and LaTeX."""

from io import StringIO

import polars as pl
import pytest
from rich.console import Console

from tests.support.runs import HOSTILE, scored_records, write_run
from vqttt.results import tables
from vqttt.results.report import Contents, for_terminal
from vqttt.results.tables import gain, percent, points
from vqttt.results.tables.columns import COLUMNS, tabulate
from vqttt.runs.loading import load_records


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    return Contents(load_records(write_run(tmp_path_factory.mktemp("run"))))


def test_numbers_as_text() -> None:
    assert [points(value) for value in (0.123, -0.0049, -0.0001, 0.0)] == ["+12.3", "−0.5", "0.0", "0.0"]
    assert gain(0.1, 0.05, 0.15) == "+10.0 [+5.0, +15.0]" and gain(0.0, 0.0, 0.0) == "0.0"
    assert [percent(0.5), percent(None), percent(float("nan")), gain(None, None, None)] == ["50.0", "–", "–", "–"]


def test_columns_have_names_of_their_own() -> None:
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)


def test_tabulate_leaves_out_what_tells_rows_not_apart() -> None:
    frame = pl.DataFrame({"model": ["m"] * 2, "task": ["all", "digits"], "method": "a", "n": [1200, 1200]})
    table = tabulate("Title", frame, ("model", "task", "method", "missing"), ("n",), "Note.")
    assert (table.header, table.rows, table.keys) == (("task", "method", "samples"), [("digits", "a", "1,200")], 2)
    several = pl.concat([frame, frame.with_columns(model=pl.lit("other"), task=pl.lit("shapes"))])
    table = tabulate("Title", several, ("model", "task", "method"), ("n", "model"), "Note.")
    assert table.header == ("model", "task", "method", "samples", "model") and len(table.rows) == 4
    assert tabulate("Title", frame.clear(), ("task",), ("n",), "Note.").rows == []


def test_verdicts_mark_untuned_accuracies(contents: Contents) -> None:
    effect = contents.frames.effect.with_columns(verdict=pl.lit("hurts"))
    table = tables.accuracy_table(contents.frames.records, effect)
    degraded = [row for row in table.rows if row[1] != "clean"]
    assert all(("↓" in "".join(row)) == (row[2] == "none") for row in degraded) and "↓ lower" in table.note
    seeds = pl.concat([effect, effect.with_columns(verdict=pl.lit("helps"))])
    assert "↓" not in tables.accuracy_table(contents.frames.records, seeds).note


def test_overview_in_every_form(contents: Contents) -> None:
    table = tables.overview_table(contents.frames.overview)
    assert table.markdown().splitlines()[2] == (
        "| task | method | samples | clean | gain, clean | degraded | gain, degraded | corrected | broken | time |"
    )
    assert r"\toprule" in table.latex() and "vq-ttt-episodic & 80 &" in table.latex()
    assert "−" not in table.latex()
    brief = tables.overview_table(contents.frames.overview, brief=True)
    assert brief.header == ("task", "method", "clean", "gain, clean", "degraded", "gain, degraded", "time")


def test_hostile_text_is_escaped(contents: Contents) -> None:
    errors = tables.errors_table(contents.records)
    assert r"$<$script$>$alert('x')$<$/script$>$ \& " in errors.latex() and r"\$\_\%" in errors.latex()
    assert r"\<script\>" in errors.markdown() and r"\|$\_" in errors.markdown()
    assert any(HOSTILE in cell for row in errors.rows for cell in row)


def test_everything_fits_a_terminal_of_80_columns(contents: Contents) -> None:
    console = Console(width=80, file=StringIO(), record=True)
    for part in for_terminal(contents, verbose=True):
        console.print(part)
    shown = console.export_text()
    assert "vq-ttt-episodic" in shown and "gaussian noise" in shown and "…" not in shown
    assert "embedded: untuned accuracy is " in shown and "inconclusive" in shown


def test_a_terminal_ends_with_the_verdict_the_best_remedy_and_each_failure_once(contents: Contents) -> None:
    (text,) = map(str, for_terminal(contents))
    lines = text.splitlines()
    assert len(lines) == 7 and lines[0] == contents.headline
    assert lines[2].startswith("embedded: untuned accuracy is ") and lines[3].startswith("embedded: of 8 conditions ")
    gains = contents.frames.overview.filter(pl.col("task") == "all", pl.col("method") != "none")
    best = gains.sort("delta").row(-1, named=True)
    assert lines[4].startswith(f"embedded: the best of 2 remedies is {best['method']}: {points(best['delta'])} [")
    assert lines[4].partition(" on clean ones, ")[2].startswith("at 3.5 times the time of no remedy.")
    failed = contents.records.filter(pl.col("error") != "")
    assert lines[5] == f"Failed: {len(failed)} of {len(contents.records):,} answers; they count as wrong."
    assert lines[6].startswith(f"  2 samples, {len(failed)} answers: the image cannot be read <script>")


def test_restorers_are_remedies_as_well() -> None:
    runs = []
    for restorer, right in (("none", 10), ("auto", 30), ("denoise", 20)):
        degraded, clean = ([1.0] * n + [0.0] * (40 - n) for n in (right, 35))
        base = {("fog", 3): degraded, ("clean", 0): clean}
        records = scored_records({(*condition, "none"): scores for condition, scores in base.items()}, base)
        runs.append(records.with_columns(restorer=pl.lit(restorer), seconds=0.1, psnr=20.0))
    text = str(for_terminal(Contents(pl.concat(runs)))[0])
    assert "m: the best of 2 remedies is auto: +50.0 [" in text and "at 1.0 times the time" in text


def test_a_long_table_breaks_over_pages_in_latex(contents: Contents) -> None:
    latex = contents.main_tables["quality"].latex()
    assert latex.count(r"\toprule") == latex.count(r"\midrule") == 2 and r"\endfirsthead" in latex
    assert r"\label{tab:quality-effect}" in latex and r"\begin{table}" not in latex


def test_images_stand_beside_questions_where_several_share_one(contents: Contents) -> None:
    alone = tables.overview_table(contents.frames.overview)
    shared = contents.records.with_columns(source_sha256=pl.lit("one"))
    together = tables.overview_table(Contents(shared).frames.overview)
    assert "images" not in alone.header
    assert together.header[together.header.index("samples") + 1] == "images"
    assert " about 1 image." in str(for_terminal(Contents(shared))[0]).splitlines()[1]
