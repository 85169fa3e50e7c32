"""The report, made from a small run of invented records."""

import json
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image as PILImage
from rich.console import Console

from vqttt import report, tables
from vqttt.errors import RunFolderError
from vqttt.quality import METRICS

TASKS = ("shapes", "digits")
CONDITIONS = (("clean", 0), ("gaussian_noise", 1), ("gaussian_noise", 3), ("fog", 1), ("fog", 3))
METHODS = ("none", "vq-ttt", "vq-ttt-episodic")
HOSTILE = "<script>alert('x')</script> & \"|$_%"
SAMPLES = 40


def picture(seed: int) -> str:
    file = BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    PILImage.fromarray(pixels).resize((128, 96)).save(file, "WEBP")
    return f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}"


def quality(degradation: str, severity: int, right: np.ndarray, failed: np.ndarray) -> dict[str, pl.Series]:
    """Invent measures: all fall with severity, and noise rises; among pictures of a condition they are draws."""
    draws = np.random.default_rng([severity, len(degradation)]).normal(0, 1, (len(METRICS), len(right)))
    fall = {name: 30 - 4 * severity + draw for name, draw in zip(METRICS, draws, strict=True)}
    fall["noise_level"] = -fall["noise_level"]
    return {name: pl.Series(np.where(failed, np.nan, values)) for name, values in fall.items()}


def write_cell(run: Path, task: str, degradation: str, severity: int, method: str, n: int = SAMPLES) -> None:
    """Write one cell: samples differ in difficulty, degradation costs accuracy, tuning flips answers both ways."""
    # Untuned answers must be those of the condition, whatever the method.
    rng = np.random.default_rng([ord(task[0]), severity, len(degradation)])
    skill = np.random.default_rng(ord(task[0])).random(n)
    before = (skill + rng.normal(0, 0.1, n) > 0.3 + 0.08 * severity).astype(float)
    flip = np.random.default_rng([ord(task[0]), severity, len(method)]).random(n) < (0.12 if method != "none" else 0)
    after = np.where(flip, 1 - before, before)
    after = np.where(flip & (before == 1) & (rng.random(n) < 0.5), 1.0, after)
    failed = np.arange(n) == (3 if severity == 3 else -1)
    frame = pl.DataFrame(
        {
            "base_score": np.where(failed, 0.0, before),
            "score": np.where(failed, 0.0, after),
            "base_confidence": np.where(failed, np.nan, 0.5 + 0.4 * rng.random(n)),
            "confidence": np.where(failed, np.nan, 0.6 + 0.4 * rng.random(n)),
            "sample_id": [f"{task}-{i:03d}" for i in range(n)],
            "category": [("colour", "counting", "reading")[i % 3] for i in range(n)],
            "error": np.where(failed, f"the picture cannot be read {HOSTILE}", "").tolist(),
        }
    )
    tuned = method != "none"
    identity = {"model": "embedded", "task": task, "degradation": degradation, "severity": severity}
    identity |= {"scale": "relative", "restorer": "none", "method": method, "seed": 0}
    rest = {"image_sha256": "", "question_type": "", "question": "", "reference": "", "base_answer": "", "answer": ""}
    rest |= {"entropy_before": 0.7, "entropy_after": 0.5, "steps": int(tuned), "rolled_back": False}
    rest |= {"seconds": 0.35 if tuned else 0.1}
    frame = frame.with_columns(**quality(degradation, severity, before, failed))
    frame = frame.with_columns(pl.lit(value).alias(name) for name, value in (identity | rest).items())
    (run / "cells").mkdir(parents=True, exist_ok=True)
    frame.write_parquet(run / "cells" / f"{task}-{degradation}-{severity}-{method}.parquet")


def write_details(run: Path, task: str, degradation: str, severity: int, method: str) -> None:
    kernel = np.zeros((5, 5))
    kernel[2, 2] = 1 - 0.1 * severity
    kernel[1:4, 1:4] += 0.1 * severity / 9
    pictures = {"clean": picture(1), "degraded": picture(2), "filtered": picture(3)}
    text = {"question": HOSTILE, "reference": "square", "base_answer": HOSTILE, "answer": "square"}
    examples = [
        {"sample_id": f"{task}-{flip}", "flip": flip} | text | pictures for flip in ("corrective", "destructive")
    ]
    identity = {"model": "embedded", "task": task, "degradation": degradation, "severity": severity, "method": method}
    (run / "examples").mkdir(parents=True, exist_ok=True)
    file = run / "examples" / f"{task}-{degradation}-{severity}-{method}.json"
    file.write_text(json.dumps(identity | {"kernel": kernel.tolist(), "examples": examples}))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its page, not to be changed."""
    run = tmp_path_factory.mktemp("run")
    for task in TASKS:
        for degradation, severity in CONDITIONS:
            for method in METHODS:
                write_cell(run, task, degradation, severity, method)
        write_details(run, task, "fog", 3, "vq-ttt")
    config = {"tasks": TASKS, "command": ["vqttt", "study", "--out", "a folder"]}
    (run / "run.json").write_text(json.dumps({"config": config, "commit": "abc", "note": HOSTILE}))
    report.write_html(run)
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """The same run, to be changed at will."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_reads_and_sorts_records(finished: Path) -> None:
    records = report.load_records(finished)
    assert len(records) == len(TASKS) * len(CONDITIONS) * len(METHODS) * SAMPLES
    cells = report.summarise(records).select("task", "degradation", "severity", "method").rows()
    assert cells[:4] == [("digits", "clean", 0, m) for m in METHODS] + [("digits", "fog", 1, "none")]


def test_summary_columns_and_failures(finished: Path) -> None:
    summary = report.summarise(report.load_records(finished))
    assert ",".join(summary.columns) == (
        "model,task,degradation,severity,restorer,method,n,accuracy,delta,ci_low,ci_high,p_value,corrective,"
        "destructive,ece,seconds_per_sample,accuracy_low,accuracy_high,rolled_back,tuned,failed,scale,seed,"
        "format_accuracy,base_format_accuracy"
    )
    assert set(summary["n"]) == {SAMPLES}
    assert summary["failed"].to_list() == [int(severity == 3) for severity in summary["severity"]]
    assert (summary["ci_low"] <= summary["delta"]).all() and (summary["delta"] <= summary["ci_high"]).all()
    assert summary.filter(method="none").select("delta", "p_value").unique().rows() == [(0.0, 1.0)]
    assert set(summary.filter(method="vq-ttt")["tuned"]) == {1.0}
    assert summary["ece"].is_finite().all()


def test_overview_averages_cells_and_reports_cost(finished: Path) -> None:
    records = report.load_records(finished)
    rows = {(row["task"], row["method"]): row for row in report.overview(records).to_dicts()}
    assert set(rows) == {(task, method) for task in ("all", *TASKS) for method in METHODS}
    degraded = report.summarise(records).filter(pl.col("degradation") != "clean", method="vq-ttt")
    row = rows["all", "vq-ttt"]
    assert row["accuracy"] == pytest.approx(degraded["accuracy"].mean())
    assert row["delta"] == pytest.approx(degraded["delta"].mean())
    assert (row["corrective"], row["cells"], row["n"]) == (degraded["corrective"].sum(), 8, 80)
    assert row["cost"] == pytest.approx(3.5)
    assert row["clean_ci_low"] <= row["clean_delta"] <= row["clean_ci_high"]


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda run: run / "nowhere", "there is no run folder"),
        (lambda run: [file.unlink() for file in run.glob("cells/*")] and run, "no finished cells"),
        (lambda run: (run / "cells" / "a.parquet").write_bytes(b"torn") and run, "cannot read .*a.parquet"),
        (lambda run: pl.DataFrame({"a": [1]}).write_parquet(run / "cells" / "a.parquet") or run, "cannot read"),
        (lambda run: (run / "run.json").write_text("{") and run, "cannot read .*run.json"),
    ],
)
def test_a_folder_that_cannot_be_reported_is_named(run: Path, break_it, message: str) -> None:
    with pytest.raises(RunFolderError, match=message):
        report.write_html(break_it(run))


def test_page_is_whole_and_self_contained(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    sections = "methods accuracy quality gains flips examples kernels categories calibration errors cells provenance"
    for section in sections.split():
        assert f'id="{section}"' in page
    assert "vqttt study --out &#39;a folder&#39;" in page
    assert not re.search(r"""(src|href)=["'](?!data:image/|#)""", page)
    text = re.sub(r"data:[^\"]*|<style>.*</style>", "", page, flags=re.DOTALL)
    assert not re.search(r"\b(nan|NaN|inf|None|null|undefined)\b", text.partition('id="provenance"')[0])


def test_hostile_text_stays_text(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    assert "<script" not in page and "&lt;script&gt;alert(" in page
    errors = tables.errors_table(report.load_records(finished))
    assert r"$<$script$>$alert('x')$<$/script$>$ \& " in errors.latex() and r"\$\_\%" in errors.latex()
    assert r"\<script\>" in errors.markdown() and r"\|$\_" in errors.markdown()


def test_only_pictures_are_shown_as_pictures(tmp_path: Path) -> None:
    write_cell(tmp_path, "digits", "fog", 3, "vq-ttt")
    write_details(tmp_path, "digits", "fog", 3, "vq-ttt")
    detail = next(tmp_path.glob("examples/*.json"))
    detail.write_text(detail.read_text().replace("data:image/png", "javascript:alert"))
    assert "javascript:" not in report.write_html(tmp_path).read_text()


def test_same_records_same_bytes(finished: Path, run: Path) -> None:
    # Another process has another hash seed.
    code = "import sys; from pathlib import Path; from vqttt import report; report.write_html(Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(run)], check=True)
    assert (run / "report.html").read_bytes() == (finished / "report.html").read_bytes()


def test_wording_claims_no_more_than_the_interval(finished: Path) -> None:
    page = " ".join((finished / "report.html").read_text().split())
    assert "Degradation <strong>lowered accuracy by" in page
    row = report.overview(report.load_records(finished)).row(
        by_predicate=(pl.col("task") == "all") & (pl.col("method") == "vq-ttt"), named=True
    )
    assert row["ci_low"] < 0 < row["ci_high"]
    assert "On degraded pictures it had <strong>no clear effect</strong> on accuracy" in page


def test_runs_without_the_baseline(run: Path) -> None:
    for file in run.glob("cells/*-none.parquet"):
        file.unlink()
    records = report.load_records(run)
    assert report.overview(records)["cost"].is_null().all()
    assert set(report.quality_effect(records)["n"]) == {SAMPLES}
    page = report.write_html(run).read_text()
    assert "untuned" in page and "times as long" not in page


def test_runs_of_one_cell(tmp_path: Path) -> None:
    for number, (degradation, severity, method) in enumerate([("clean", 0, "none"), ("fog", 3, "vq-ttt")]):
        run = tmp_path / str(number)
        write_cell(run, "digits", degradation, severity, method, n=1 + number)
        page = report.write_html(run).read_text()
        assert "has no run.json" in page and "cannot say what quality does" in page
        for write in (report.write_csv, report.write_markdown, report.write_latex):
            assert "nan" not in write(run).read_text().lower()


def test_a_run_where_everything_failed(tmp_path: Path) -> None:
    write_cell(tmp_path, "digits", "clean", 0, "none")
    file = next(tmp_path.glob("cells/*"))
    lost = {"error": pl.lit("broken"), "score": 0.0, "base_score": 0.0, "seconds": float("nan")}
    pl.read_parquet(file).with_columns(**lost).write_parquet(file)
    (row,) = report.summarise(report.load_records(tmp_path)).to_dicts()
    assert (row["accuracy"], row["failed"], row["ece"], row["seconds_per_sample"]) == (0.0, SAMPLES, None, None)
    assert "40 of 40 records failed" in report.write_html(tmp_path).read_text()


def test_text_formats(run: Path) -> None:
    table = tables.overview_table(report.overview(report.load_records(run)))
    assert table.markdown().splitlines()[2].startswith("| task | method | samples | clean | gain, clean |")
    assert r"\toprule" in table.latex() and "vq-ttt-episodic & 80 &" in table.latex()
    assert "−" not in table.latex()
    assert pl.read_csv(report.write_csv(run)).columns[:3] == ["model", "task", "degradation"]
    console = Console(width=80, file=StringIO(), record=True)
    for drawn in report.console_tables(report.load_records(run)):
        console.print(drawn)
    shown = console.export_text()
    assert "vq-ttt-episodic" in shown and "gaussian noise" in shown and "…" not in shown


def test_importing_the_report_is_light() -> None:
    code = "import vqttt.report, sys; assert not {'torch', 'matplotlib', 'jinja2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
