"""Whatever a crash left in the file of an unfinished cell, the records before it are kept and the cell is finished."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fuzzing import examples
from vqttt.errors import RunFolderError
from vqttt.runs.folder import RunFolder
from vqttt.runs.records import Record

IDS = [f"s{number}" for number in range(6)]
LINES = b"".join(Record.blank(sample_id=name, answer="grün").line().encode() for name in IDS)


def resumed(folder: Path, content: bytes) -> list[str]:
    """The ids of the records that a run goes on with; the rest is answered again, and the cell finished."""
    run = RunFolder(folder)
    run.open({}, ())
    (folder / "cells" / "cell.jsonl").write_bytes(content)
    kept = run.unfinished.resume("cell", IDS, batch=1)
    ids = [record.sample_id for record in run.unfinished.records("cell")]
    assert len(ids) == kept
    run.unfinished.append("cell", [Record.blank(sample_id=name) for name in IDS[kept:]])
    run.finish("cell", {"task": "digits"}, len(IDS))
    assert run.read_cell("cell", ["sample_id"])["sample_id"].to_list() == IDS
    return ids


@examples(50)
@given(cut=st.integers(0, len(LINES)), rest=st.binary(max_size=40))
def test_any_bytes_after_whole_records_are_ignored(cut: int, rest: bytes) -> None:
    whole = LINES[:cut].count(b"\n")
    with tempfile.TemporaryDirectory() as folder:
        ids = resumed(Path(folder), LINES[:cut] + rest)
    assert ids[:whole] == IDS[:whole]


@examples(50)
@given(place=st.integers(0, len(LINES) - 1), byte=st.integers(0, 255))
def test_a_changed_byte_costs_no_record_before_it(place: int, byte: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ids = resumed(Path(folder), LINES[:place] + bytes([byte]) + LINES[place + 1 :])
    whole = LINES[:place].count(b"\n")
    assert ids[:whole] == IDS[:whole]


@pytest.mark.parametrize(
    "change",
    [
        {"score": "high"},
        {"steps": 10**30},
        {"steps": 1.5},
        {"rolled_back": 1},
        {"answer": "\ud800"},
        {"answer": None},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_record_with_a_value_that_its_column_cannot_hold_is_none(tmp_path: Path, change: dict[str, object]) -> None:
    first, second = LINES.splitlines()[:2]
    changed = json.dumps(json.loads(second) | change).encode()
    assert resumed(tmp_path, b"\n".join([first, changed, b""])) == IDS[:1]


@pytest.mark.parametrize("line", [b"\xff\xfe", b"\0" * 4096, b"[1]", b"[" * 100_000, b"null", b'{"sample_id": "s1"}'])
def test_a_line_that_is_no_record_ends_what_is_kept(tmp_path: Path, line: bytes) -> None:
    first = LINES.splitlines()[0]
    assert resumed(tmp_path, first + b"\n" + line + b"\n" + LINES) == IDS[:1]


def test_text_that_is_not_unicode_is_written(tmp_path: Path) -> None:
    line = Record.blank(sample_id="s0", error="no such file: \udcff.png").line()
    assert Record.parse(line.encode()).error == "no such file: ?.png"


def test_a_damaged_file_of_a_finished_cell_is_named(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.open({}, ())
    (tmp_path / "cells" / "cell.parquet").write_bytes(b"PAR1 cut short")
    with pytest.raises(RunFolderError, match=r"cells/cell\.parquet .*delete it and run the study again"):
        run.read_cell("cell", ["error"])


def test_a_run_without_a_finished_cell_is_forgotten_and_one_with_is_not(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.open({"config": 1}, ("config",))
    run.unfinished.append("cell", [Record.blank(sample_id="s0")])
    run.abandon(["cell"])
    assert not list((tmp_path / "cells").iterdir())
    run.open({"config": 2}, ("config",))
    run.unfinished.append("cell", [Record.blank(sample_id="s0")])
    run.unfinished.append("begun", [Record.blank(sample_id="s0")])
    run.finish("cell", {}, 1)
    run.abandon(["begun"])
    assert run.exists() and list(run.finished_cells()) == ["cell"]
    assert not list((tmp_path / "cells").glob("begun*"))


def test_what_killed_processes_left_is_deleted_at_the_end(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.open({}, ())
    (tmp_path / "cells" / "tmpabc.part").mkdir()
    for name in (
        "cells/tmpabc.part/0.parquet",
        "cells/cell.dead.jsonl",
        "cells/cell.part",
        "examples/cell.json.0.part",
    ):
        (tmp_path / name).write_text("half")
    (tmp_path / "cells" / "cell.parquet").write_text("whole")
    run.tidy()
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"cell.parquet", "run.json"}
