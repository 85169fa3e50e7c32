"""A small study keeps its records, row by row, from version to version.

`python -m pytest tests/study/test_golden.py --regenerate-goldens` writes them again: only when a change is meant.
"""

import json
from pathlib import Path

import polars as pl
import pytest

from vqttt.runs.loading import load_records
from vqttt.study import StudyConfig, run

GOLDEN = Path(__file__).parent.parent / "goldens" / "records.json"
STUDIES = {
    "embedded": StudyConfig(
        tasks=("vq-mini", "digits"),
        degradations=("clean", "gaussian_noise"),
        severities=(4,),
        restorers=("none", "auto"),
        methods=("none", "vq-ttt", "vq-ttt-episodic", "vq-select", "tent"),
        limit=8,
        batch=4,
    ),
    "fake": StudyConfig(
        models=("fake",),
        tasks=("easy-vqa",),
        degradations=("fog+jpeg_compression", "sketch"),
        severities=(1, 5),
        methods=("none", "vq-ttt", "vq-ttt-episodic", "vq-select", "likeliest", "tta"),
        limit=10,
        batch=5,
        seeds=(0, 1),
    ),
}


@pytest.mark.parametrize("name", STUDIES)
def test_records_are_those_of_the_golden(name: str, tmp_path: Path, regenerate_goldens: bool, one_thread: None) -> None:
    run(STUDIES[name], tmp_path / "run")
    rows = load_records(tmp_path / "run").drop("seconds", "peak_mib")
    goldens = json.loads(GOLDEN.read_text()) if GOLDEN.is_file() else {}
    if regenerate_goldens:
        rounded = rows.with_columns(pl.selectors.float().round(6))
        GOLDEN.write_text(json.dumps(goldens | {name: rounded.to_dict(as_series=False)}) + "\n")
        return
    golden = pl.DataFrame(goldens[name], schema=rows.schema)
    assert rows.columns == golden.columns and len(rows) == len(golden)
    for column, kind in rows.schema.items():
        if kind == pl.Float64:  # another processor rounds otherwise
            assert rows[column].is_finite().to_list() == golden[column].is_finite().to_list(), column
            apart = (rows[column] - golden[column]).abs().drop_nans().max()
            assert apart is None or apart < 1e-3, f"{column} differs by {apart}"
        else:
            # Restorers compute in floats too, so a pixel that they change may differ by a level.
            compared = rows["restorer"] == "none" if column == "image_sha256" else rows["restorer"] != ""
            assert rows[column].filter(compared).to_list() == golden[column].filter(compared).to_list(), column
