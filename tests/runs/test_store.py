"""A run folder anywhere: what holds on a disk holds at an address."""

import json
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from tests.support.engines import STUDY, assert_equal
from vqttt.errors import InputError, MissingExtraError, RunFolderError
from vqttt.results.report import load_records
from vqttt.runs.folder import RunFolder, local_copy
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
        assert load_records(folder).drop("seconds").equals(load_records(alone).drop("seconds"))
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


def some_rows(alone: Path, tmp_path: Path) -> tuple[RunFolder, str, list[str]]:
    """A begun run whose first cell is unfinished with all its rows."""
    folder = RunFolder(tmp_path)
    folder.open({}, ())
    path = next((alone / "cells").glob("*none*.parquet"))
    rows = load_records(alone).filter(degradation="clean", method="none").to_dicts()
    names = folder._frame([], {}).columns
    folder.append(path.stem, [folder._record(json.dumps({n: row[n] for n in names})) for row in rows])
    return folder, path.stem, [row["sample_id"] for row in rows]


def test_rows_of_a_lost_worker_are_taken_over(alone: Path, tmp_path: Path) -> None:
    """And what it writes after that is not."""
    lost, key, ids = some_rows(alone, tmp_path)
    heir = RunFolder(tmp_path, owner="heir")
    assert heir.resume(key, ids, batch=5) == 10
    rows = list(lost.rows(key))
    lost.append(key, rows[:5])
    heir.append(key, rows[10:])
    heir.finish(key, {"task": "digits"}, len(ids))
    assert heir.cell(key, ["sample_id"])["sample_id"].to_list() == ids
    assert [path.name for path in (tmp_path / "cells").iterdir()] == [f"{key}.parquet"]


def test_rows_that_are_not_the_cells_are_not_kept(alone: Path, tmp_path: Path) -> None:
    folder, key, ids = some_rows(alone, tmp_path)
    assert folder.resume(key, [*ids[:7], "another", *ids[8:]], batch=5) == 5
    assert folder.resume(key, [], batch=5) == 0
    assert list(folder.rows(key)) == []
    with pytest.raises(RunFolderError, match="has not 12 rows; does another process write to it"):
        folder.finish(key, {}, 12)


def test_a_long_cell_is_finished_piece_by_piece(alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, key, ids = some_rows(alone, tmp_path)
    rows = list(folder.rows(key))
    for chunk in (5, 6, 12):
        monkeypatch.setattr(folder, "CHUNK", chunk)
        folder.finish(key, {"task": "digits"}, len(ids))
        frame = folder.cell(key, ["task", *folder._frame([], {}).columns])
        assert frame.drop("task").rows() == folder._frame(rows, {}).rows()
        assert set(frame["task"]) == {"digits"}
        folder.append(key, rows)
        (folder.store.path / "cells" / f"{key}.parquet").unlink()
        with pytest.raises(RunFolderError, match="has not 13 rows"):
            folder.finish(key, {}, 13)
        with pytest.raises(RunFolderError, match="has not 11 rows"):
            folder.finish(key, {}, 11)
