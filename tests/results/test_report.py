"""The report of a small run of invented records: its page and its files."""

import re
import shutil
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

from perf.report import invent, timed
from tests.support.figures import with_quick_fonts, without_drawing
from tests.support.runs import (
    CONDITIONS,
    METHODS,
    SAMPLES,
    TASKS,
    scored_records,
    write_cell,
    write_examples,
    write_run,
)
from vqttt.errors import RunFolderError, UnknownNameError
from vqttt.results import report
from vqttt.results.paradox import quality_effect
from vqttt.results.report.contents import Contents
from vqttt.results.summary import overview, summarise
from vqttt.runs.loading import load_records


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its page; tests must not change it."""
    run = tmp_path_factory.mktemp("run")
    write_run(run)
    report.write_html(run)
    return run


IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
from vqttt.results import report
from vqttt.results.figures import STYLE

report.write_html(Path(sys.argv[1], "run"))
report.write_figures(Path(sys.argv[1], "small"))
STYLE["pdf.fonttype"] = 3
report.write_figures(Path(sys.argv[1], "large"))
"""


def write_small_and_large(folder: Path) -> None:
    """Write a run that has one figure, and one that has all kinds of them."""
    write_cell(folder / "small", "digits", "clean", 0, "none", n=1)
    for degradation, severity in CONDITIONS[:3]:
        for method in METHODS[:2]:
            write_cell(folder / "large", "digits", degradation, severity, method)
    write_examples(folder / "large", "digits", "gaussian_noise", 3, "vq-ttt")


@pytest.fixture(scope="module")
def elsewhere(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the run, and the figures of two others, made by one other process, which has another hash seed."""
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(finished, folder / "run")
    (folder / "run" / "report.html").unlink()
    write_small_and_large(folder)
    subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS, str(folder)], check=True)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run, which tests may change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_reads_and_sorts_records(finished: Path) -> None:
    records = load_records(finished)
    assert len(records) == len(TASKS) * len(CONDITIONS) * len(METHODS) * SAMPLES
    cells = summarise(records).select("task", "degradation", "severity", "method").rows()
    assert cells[:4] == [("digits", "clean", 0, m) for m in METHODS] + [("digits", "fog", 1, "none")]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: run / "nowhere", "there is no run folder"),
        (lambda run: [file.unlink() for file in run.glob("cells/*")] and run, "no finished cells"),
        (lambda run: run / "cells", "cells is not a run folder: it has no run.json"),
        (lambda run: (run / "cells" / "a.parquet").write_bytes(b"torn") and run, "cannot read .*a.parquet"),
        (lambda run: pl.DataFrame({"a": [1]}).write_parquet(run / "cells" / "a.parquet") or run, "cannot read"),
        (lambda run: (run / "run.json").write_text("{") and run, "cannot read .*run.json"),
    ],
)
def test_an_unreadable_run_folder_is_named(run: Path, damage, message: str) -> None:
    with pytest.raises(RunFolderError, match=message):
        report.write_html(damage(run))


def test_page_is_complete_and_self_contained(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    sections = "findings heat paradox quality-correlation methods gains flips cost images kernels"
    sections += " accuracy categories calibration errors cells provenance"
    for section in sections.split():
        assert f'id="{section}"' in page
    assert "vqttt study --out &#39;a folder&#39;" in page
    assert not re.search(r"""(src|href)=["'](?!data:image/|#)""", page)
    assert "http:" not in page.replace("http://www.w3.org/2000/svg", "") and "https:" not in page
    text = re.sub(r"data:[^\"]*|<style>.*?</style>|<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"\b(nan|NaN|inf|None|null|undefined)\b", text.partition('id="provenance"')[0])


def test_hostile_text_stays_text(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    assert page.count("<script") == 2 == page.count("</script")  # the data and the code; none comes from the records
    assert "&lt;script&gt;alert(" in page and r"\u003cscript\u003ealert(" in page


def test_only_images_are_shown_as_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_drawing(monkeypatch)
    write_cell(tmp_path, "digits", "fog", 3, "vq-ttt")
    write_examples(tmp_path, "digits", "fog", 3, "vq-ttt")
    file = next(tmp_path.glob("examples/*.json"))
    assert "data:image/webp" in report.write_html(tmp_path).read_text()
    file.write_text(file.read_text().replace("data:image/webp", "javascript:alert"))
    page = report.write_html(tmp_path).read_text()
    assert "javascript:" not in page and "data:image/webp" not in page


def test_the_policy_allows_only_this_script(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    assert f"script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in page
    assert "default-src 'none'" in page and "unsafe-eval" not in page


def test_the_same_records_give_the_same_bytes(finished: Path, elsewhere: Path) -> None:
    page = (elsewhere / "run" / "report.html").read_bytes()
    assert page == (finished / "report.html").read_bytes()


def test_sentences_claim_no_more_than_the_interval(finished: Path) -> None:
    page = " ".join((finished / "report.html").read_text().split())
    assert "Degradation <strong>lowered the accuracy of embedded by" in page
    row = overview(load_records(finished)).row(
        by_predicate=(pl.col("task") == "all") & (pl.col("method") == "vq-ttt"), named=True
    )
    assert row["ci_low"] < 0 < row["ci_high"]
    assert "On degraded images <b>vq-ttt</b> had <strong>no clear effect</strong> on the accuracy of embedded" in page
    findings = page.partition('id="findings"')[2].partition("</section>")[0]
    assert re.findall("<small>points (.*?)</small>", findings) == [
        "when degraded",
        "with vq-ttt",
        "with vq-ttt-episodic",
    ]  # the baseline is no finding


def test_runs_without_the_baseline(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in run.glob("cells/*-none.parquet"):
        file.unlink()
    records = load_records(run)
    assert overview(records)["cost"].is_null().all()
    assert set(quality_effect(records)["n"]) == {SAMPLES}
    (panel, *_) = Contents(records).charts["accuracy"][0].panels
    assert list(panel.legend) == ["untuned", "vq-ttt", "vq-ttt-episodic"]
    assert panel.inline().count("stroke: var(--soft)") > 0  # the colour of the baseline
    without_drawing(monkeypatch)
    assert "times the time" not in report.write_html(run).read_text()


def test_runs_of_one_cell(tmp_path: Path) -> None:
    for number, (degradation, severity, method) in enumerate([("clean", 0, "none"), ("fog", 3, "vq-ttt")]):
        run = tmp_path / str(number)
        write_cell(run, "digits", degradation, severity, method, n=1 + number)
        page = report.write_html(run).read_text()
        assert (
            "has no run.json" in page
            and "cannot show how image quality matters" in page
            and "; the run has no " in page
        )
        for write in (report.write_csv, report.write_quality, report.write_markdown, report.write_latex):
            assert "nan" not in write(run).read_text().lower()


def test_a_run_where_everything_failed(tmp_path: Path) -> None:
    write_cell(tmp_path, "digits", "clean", 0, "none")
    file = next(tmp_path.glob("cells/*"))
    lost = {"error": pl.lit("broken"), "score": 0.0, "base_score": 0.0, "seconds": float("nan")}
    pl.read_parquet(file).with_columns(**lost).write_parquet(file)
    (row,) = summarise(load_records(tmp_path)).to_dicts()
    assert (row["accuracy"], row["failed"], row["ece"], row["seconds_per_sample"]) == (0.0, SAMPLES, None, None)
    assert "40 of 40 records failed" in report.write_html(tmp_path).read_text()


def test_figure_files_always_have_the_same_bytes(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All kinds of figures, and fonts in some."""
    write_small_and_large(tmp_path)
    small = report.write_figures(tmp_path / "small")
    with_quick_fonts(monkeypatch)
    large = report.write_figures(tmp_path / "large")
    assert any(b"/FontFile2" in file.read_bytes() for file in small.glob("*.pdf"))
    shown = {"heat-quality-digits", "heat-gain-vq-ttt-digits", "forest-digits", "quality-flips-digits"}
    shown |= {
        "kernel-embedded-digits-gaussian-noise-3-vq-ttt",
        "gains-digits",
        "flips-digits",
        "cost-gain-and-cost",
        "accuracy-digits-gaussian-noise",
    }
    assert {f"{name}.{kind}" for name in shown for kind in ("svg", "pdf")} <= {file.name for file in large.iterdir()}
    for folder in (small, large):
        other = elsewhere / folder.relative_to(tmp_path)
        first, second = ({file.name: file.read_bytes() for file in of.iterdir()} for of in (folder, other))
        assert first and [name for name in first if first[name] != second.get(name)] == []
    assert (large / "forest-digits.svg").read_bytes().startswith(b"<?xml")
    assert (large / "forest-digits.pdf").read_bytes().startswith(b"%PDF")


def test_many_degradations_share_a_panel_and_have_rows_in_the_heat_map(tmp_path: Path) -> None:
    for number in range(35):
        write_cell(tmp_path, "digits", f"kind_{number:02d}", 1, "none", n=8)
    write_cell(tmp_path, "digits", "clean", 0, "none", n=8)
    contents = Contents(load_records(tmp_path))
    assert [panel.title for group in contents.charts["accuracy"] for panel in group.panels] == ["all degradations"]
    ((_, (heat,), _),) = contents.quality_heat_maps
    assert len(heat.rows) == 35 and heat.columns == (1,)


def test_panels_are_titled_in_words(finished: Path) -> None:
    contents = Contents(load_records(finished))
    groups = contents.charts["accuracy"]
    assert [group.heading for group in groups] == sorted(TASKS)
    titles = [name.replace("_", " ") for name in contents.frames.order if name != "clean"]
    assert sorted(titles) == ["fog", "gaussian noise"]
    assert all([panel.title for panel in group.panels] == titles for group in groups)


def test_several_models_stand_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_drawing(monkeypatch)
    for model in ("first/model", "second/model"):
        for task in TASKS:
            for degradation, severity in CONDITIONS:
                write_cell(tmp_path, task, degradation, severity, "none", model=model)
    groups = Contents(load_records(tmp_path)).quality_heat_maps
    assert [group.heading for group in groups] == ["all tasks", *sorted(TASKS)]
    assert all([heat.title for heat in group.maps] == ["first/model", "second/model"] for group in groups)
    page = report.write_html(tmp_path).read_text()
    findings = page.partition('id="findings"')[2].partition("</section>")[0]
    assert re.findall('<h3 class="whose">(.*?)</h3>', findings) == ["first/model", "second/model"]
    assert page.count("<h2>first/model</h2>") == 1 == page.count("<h2>second/model</h2>")


def test_long_names_and_dollar_signs_can_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_quick_fonts(monkeypatch)
    task = r"jsonl:/somewhere/with a long name/$\frac$/validation/questions.jsonl"
    for seed in (0, 1):
        for degradation in ("clean", "fog+gaussian_noise+jpeg_compression+motion_blur"):
            write_cell(tmp_path, task, degradation, 3 * (degradation != "clean"), "none", seed=seed)
    assert "jsonl:/somewhere/with" in report.write_html(tmp_path).read_text()
    assert any(report.write_figures(tmp_path).glob("*.pdf"))


def test_several_seeds_separate_luck_from_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_drawing(monkeypatch)
    for seed in (0, 1):
        for degradation, severity in CONDITIONS:
            write_cell(tmp_path, "digits", degradation, severity, "none", seed=seed)
    page = report.write_html(tmp_path).read_text()
    assert "luck of the draw." in page and "This run has one seed" not in page
    assert "by another seed" in page


@pytest.mark.slow
def test_a_hundred_thousand_rows_take_seconds(tmp_path: Path) -> None:
    """Ten times the rows take little longer: most of the time goes to cells and figures, of which there are as many."""
    took = {}
    for rows in (10_000, 100_000):
        assert invent(tmp_path / str(rows), rows) >= rows
        _, took[rows], size = timed(tmp_path / str(rows))  # processor time, because the machine may be busy
    assert size < 4e6
    assert took[100_000] < min(2 * took[10_000], 40), took  # seconds; 15 to 25, by the processor


def test_each_form_writes_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_quick_fonts(monkeypatch)
    run = tmp_path / "run"
    for condition in CONDITIONS[:2]:
        write_cell(run, "digits", *condition, "none")
    forms = {
        "html": ["report.html"],
        "csv": ["summary.csv", "quality.csv"],
        "latex": ["report.tex"],
        "markdown": ["report.md"],
        "figures": ["figures"],
    }
    assert set(forms) == set(report.FORMS)
    for form, names in forms.items():
        assert not any((run / name).exists() for name in names)
        assert report.write_report(run, form) == [run / name for name in names]
        assert all((run / name).exists() for name in names)
    assert pl.read_csv(run / "summary.csv").columns[:3] == ["model", "task", "degradation"]


def test_csv_has_six_significant_digits(tmp_path: Path) -> None:
    base = {("clean", 0): [1.0] * 40, ("fog", 1): [0.0] * 40}
    records = scored_records({(*condition, "none"): scores for condition, scores in base.items()}, base)
    (row,) = pl.read_csv(report.write_quality(tmp_path, Contents(records))).to_dicts()
    assert row["p_value"] == 1.81899e-12  # 2 / 2**40 is 1.8189894e-12


def test_an_unknown_form_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown form of report 'htm'; did you mean html\?"):
        report.write_report(tmp_path / "nowhere", "htm")


def test_importing_results_and_runs_is_light() -> None:
    code = """
import importlib, pkgutil, sys
import vqttt.results, vqttt.runs
for room in (vqttt.results, vqttt.runs):
    for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
        importlib.import_module(module.name)
assert "vqttt.results.report.page" in sys.modules and "vqttt.runs.loading" in sys.modules
heavy = {"torch", "matplotlib", "jinja2"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
