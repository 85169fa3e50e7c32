"""Run folders on a disk and at an address."""

from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from tests.support.engines import STUDY, assert_equal
from vqttt.errors import InputError, MissingExtraError, RunFolderError
from vqttt.runs.folder import RunFolder, local_copy
from vqttt.runs.loading import load_records
from vqttt.runs.records import CELL, Record, to_frame
from vqttt.runs.store import LocalStore, open_store
from vqttt.study.engines import EngineOptions
from vqttt.study.runner import run

SHORT = replace(STUDY, tasks=("digits",), severities=(5,))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(run(SHORT, tmp_path_factory.mktemp("alone") / "run"))


@pytest.fixture
def bucket():
    files = fsspec.filesystem("memory")
    yield files
    for found in files.ls("/", detail=False):
        files.rm(found, recursive=True)


def test_a_run_in_memory_equals_one_on_disk(bucket, alone: Path) -> None:
    assert run(SHORT, "memory://bucket/run") == "memory://bucket/run"
    with local_copy("memory://bucket/run") as folder:
        assert_equal(folder, alone)
        assert load_records(folder).drop("seconds", "peak_mib").equals(load_records(alone).drop("seconds", "peak_mib"))
        (folder / "report.md").write_text("all well")
    assert bucket.cat_file("/bucket/run/report.md") == b"all well"
    assert not [name for name in bucket.find("/bucket") if name.endswith((".jsonl", ".part"))]


def test_a_run_at_an_address_is_resumed(bucket, alone: Path) -> None:
    def stop(done: int, total: int, what: str) -> None:
        if done >= 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(SHORT, "memory://bucket/run", progress=stop)
    kept = bucket.find("/bucket/run/cells")
    assert 0 < len(kept) < 9
    times = {name: bucket.modified(name) for name in kept}
    run(SHORT, "memory://bucket/run")
    assert {name: bucket.modified(name) for name in kept} == times
    with local_copy("memory://bucket/run") as folder:
        assert_equal(folder, alone)
    with pytest.raises(RunFolderError, match=r"memory://bucket/run holds a different study \(config: seeds"):
        run(replace(SHORT, seeds=(1,)), "memory://bucket/run")


@pytest.mark.slow
def test_workers_share_an_address(tmp_path: Path, alone: Path, one_thread: None) -> None:
    """`local://` is fsspec's own way to the disk: written to as to any other address."""
    run(SHORT, f"local://{tmp_path}/run", engine=EngineOptions(workers=2))
    assert_equal(tmp_path / "run", alone)


def test_an_address_of_a_file_is_a_path(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/run")
    assert isinstance(store, LocalStore)
    assert store.path == tmp_path / "run"


def test_addresses_that_lead_nowhere(bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="s4://bucket"):
        open_store("s4://bucket/run")
    with pytest.raises(RunFolderError, match="there is no run folder"), local_copy("memory://bucket/none"):
        pass
    bucket.pipe_file("/bucket/run/thesis.tex", b"years of work")
    with pytest.raises(RunFolderError, match="not a run folder"):
        run(SHORT, "memory://bucket/run")
    monkeypatch.setattr(type(bucket), "pipe_file", lambda *_, **__: 1 / 0)
    with pytest.raises(RunFolderError, match=r"memory://bucket/new/run.json: ZeroDivisionError"):
        run(SHORT, "memory://bucket/new")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(MissingExtraError, match="Install s3fs"):
        open_store("s3://bucket/run")


def unfinished_cell(alone: Path, tmp_path: Path) -> tuple[RunFolder, str, list[str]]:
    """A run whose first cell is unfinished with all its records."""
    folder = RunFolder(tmp_path)
    folder.open({}, ())
    path = next((alone / "cells").glob("*none*.parquet"))
    rows = load_records(alone).filter(degradation="clean", method="none").drop(CELL).to_dicts()
    folder.unfinished.append(path.stem, [Record(**row) for row in rows])
    return folder, path.stem, [row["sample_id"] for row in rows]


def test_records_of_a_lost_worker_are_taken_over(alone: Path, tmp_path: Path) -> None:
    """And what it writes after that is not."""
    lost, key, ids = unfinished_cell(alone, tmp_path)
    heir = RunFolder(tmp_path, owner="heir")
    assert heir.unfinished.resume(key, ids, batch=5) == 10
    records = list(lost.unfinished.records(key))
    lost.unfinished.append(key, records[:5])
    heir.unfinished.append(key, records[10:])
    heir.finish(key, {"task": "digits"}, len(ids))
    assert heir.read_cell(key, ["sample_id"])["sample_id"].to_list() == ids
    assert [path.name for path in (tmp_path / "cells").iterdir()] == [f"{key}.parquet"]


def test_records_of_other_samples_are_not_kept(alone: Path, tmp_path: Path) -> None:
    folder, key, ids = unfinished_cell(alone, tmp_path)
    assert folder.unfinished.resume(key, [*ids[:7], "another", *ids[8:]], batch=5) == 5
    assert folder.unfinished.resume(key, [], batch=5) == 0
    assert list(folder.unfinished.records(key)) == []
    with pytest.raises(RunFolderError, match="has 0 records, not 12; does another process write to it"):
        folder.finish(key, {}, 12)


@pytest.mark.parametrize("chunk", [5, 6, 12, 13])
def test_a_long_cell_is_finished_in_chunks(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("vqttt.runs.folder.CHUNK", chunk)
    folder, key, ids = unfinished_cell(alone, tmp_path)
    records = list(folder.unfinished.records(key))
    for wrong in (13, 11):
        with pytest.raises(RunFolderError, match=f"has 12 records, not {wrong}"):
            folder.finish(key, {}, wrong)
    folder.finish(key, {"task": "digits"}, len(ids))
    expected = to_frame(records, {"task": "digits"})
    assert folder.read_cell(key, expected.columns).equals(expected)


def test_a_cell_without_records_is_finished(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.open({}, ())
    folder.finish("empty", {"task": "digits"}, 0)
    assert folder.read_cell("empty", ["task", "score"]).is_empty()


def test_a_blank_record_has_every_column(alone: Path) -> None:
    blank = Record.blank(sample_id="a", psnr=float("nan"), error="broken")
    assert (blank.sample_id, blank.error, blank.answer) == ("a", "broken", "")
    assert (blank.score, blank.format_score, blank.steps, blank.rolled_back) == (0.0, 0.0, 0, False)
    assert to_frame([blank], {}).schema == to_frame([], {}).schema
