"""A run is resumed only with the inputs that it began with, and the error says which of them changed."""

import base64
import io
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from vqttt.errors import InputError, RunFolderError
from vqttt.images.files import save_image
from vqttt.methods import METHODS, MethodSpec
from vqttt.methods.stream import StreamConfig
from vqttt.models.fake import FakeTunableModel
from vqttt.runs.loading import load_records
from vqttt.study import provenance
from vqttt.study.config import StudyConfig
from vqttt.study.provenance import data_hash, files_of_methods, images_hash
from vqttt.study.runner import run
from vqttt.tasks import load_task

CONFIG = StudyConfig(
    models=("fake",), tasks=("digits",), degradations=("clean", "fog"), severities=(5,), methods=("none",), batch=2
)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)


def encoded(seed: int) -> str:
    buffer = io.BytesIO()
    PILImage.fromarray(picture(seed)).save(buffer, format="bmp")  # of the same size whatever it shows
    return base64.b64encode(buffer.getvalue()).decode()


def jsonl(folder: Path, seed: int) -> str:
    save_image(picture(seed), folder / "a.bmp")
    (folder / "q.jsonl").write_text('{"image": "a.bmp", "question": "what colour?", "answer": "red"}\n')
    return f"jsonl:{folder}/q.jsonl"


def tsv_paths(folder: Path, seed: int) -> str:
    save_image(picture(seed), folder / "a.bmp")
    (folder / "t.tsv").write_text("index\tquestion\tanswer\timage_path\n0\twhat colour?\tred\ta.bmp\n")
    return f"tsv:{folder}/t.tsv"


def tsv_cells(folder: Path, seed: int) -> str:
    (folder / "t.tsv").write_text(f"index\tquestion\tanswer\timage\n0\twhat colour?\tred\t{encoded(seed)}\n")
    return f"tsv:{folder}/t.tsv"


def benchmark(folder: Path, seed: int) -> str:
    datasets = pytest.importorskip("datasets")
    row = {"index": 0, "question": "Which? Options: A: x, B: y", "answer": "A", "category": "c", "l2_category": "d"}
    row |= {"image": PILImage.fromarray(picture(seed)), "meta_info": ""}
    table = datasets.Dataset.from_list([row]).cast_column("image", datasets.Image())
    table.to_parquet(folder / "val.parquet")
    return f"mmstar:{folder}/val.parquet"


@pytest.mark.parametrize("make", [jsonl, tsv_paths, tsv_cells, benchmark])
def test_changed_pictures_are_another_study(tmp_path: Path, make: Callable[[Path, int], str]) -> None:
    config = replace(CONFIG, tasks=(make(tmp_path, 1),))
    before = images_hash(config.tasks[0], load_task(config.tasks[0]))
    run(config, tmp_path / "run", FakeTunableModel)
    assert (load_records(tmp_path / "run")["error"] == "").all()
    next((tmp_path / "run" / "cells").glob("*fog*")).unlink()  # as if killed before the second cell
    make(tmp_path, 2)
    assert images_hash(config.tasks[0], load_task(config.tasks[0])) != before
    with pytest.raises(RunFolderError, match=rf"different study \(images: {config.tasks[0]} changed\)"):
        run(config, tmp_path / "run", FakeTunableModel)
    make(tmp_path, 1)
    run(config, tmp_path / "run", FakeTunableModel)


def test_changed_questions_are_told_from_changed_pictures(tmp_path: Path) -> None:
    config = replace(CONFIG, tasks=(jsonl(tmp_path, 1),))
    run(config, tmp_path / "run", FakeTunableModel)
    (tmp_path / "q.jsonl").write_text('{"image": "a.bmp", "question": "which colour?", "answer": "red"}\n')
    with pytest.raises(RunFolderError, match=r"different study \(data: jsonl:.*q\.jsonl changed\)"):
        run(config, tmp_path / "run", FakeTunableModel)


def test_tasks_that_ship_with_the_package_have_no_files() -> None:
    for name in ("digits", "vq-mini"):
        assert images_hash(name, load_task(name, 5)) == ""
    assert data_hash(load_task("digits", 5)) != data_hash(load_task("digits", 6))


def test_of_very_large_files_size_ends_and_blocks_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "WHOLE", 1000)
    task = jsonl(tmp_path, 1)
    content = bytearray(os.urandom(3 * 2**20))
    hashes = []
    for place in (None, 0, len(content) - 1, len(content) // 16 * 5):
        if place is not None:
            content[place] ^= 1
        (tmp_path / "a.bmp").write_bytes(content)
        hashes.append(images_hash(task, load_task(task)))
    (tmp_path / "a.bmp").write_bytes(content[:-1])
    hashes.append(images_hash(task, load_task(task)))
    assert len(set(hashes)) == 5


def test_files_that_methods_use_count_by_their_content(tmp_path: Path) -> None:
    model, file = FakeTunableModel(), tmp_path / "clean.safetensors"
    spec = METHODS["vq-ttt-features"].changed({"clean_features": str(file)})
    found = []
    for content in (b"one", b"two"):
        file.write_bytes(content)
        found.append(files_of_methods({"mine": spec, "none": METHODS["none"]}, model))
    assert found[0].keys() == {"mine"} and found[0]["mine"].keys() == {"clean_features"}
    assert found[0] != found[1]
    model.clean_features = file  # that came with the checkpoint
    assert files_of_methods({"mine": METHODS["vq-ttt-features"]}, model) == found[1]
    assert files_of_methods({"mine": METHODS["vq-select"]}, model) == {}, "its objective uses no such file"
    assert isinstance(METHODS["vq-ttt"].config, StreamConfig)
    started = MethodSpec(METHODS["vq-ttt"].kind, replace(METHODS["vq-ttt"].config, start=str(file)))
    assert files_of_methods({"mine": started}, model)["mine"]["start"] == found[1]["mine"]["clean_features"]


def test_a_file_that_a_method_starts_from_must_be_there(tmp_path: Path) -> None:
    own = {"vq-ttt": {"start": str(tmp_path / "none.safetensors")}}
    with pytest.raises(InputError, match=r"none\.safetensors"):
        run(replace(CONFIG, methods=("vq-ttt",), method_settings=own), tmp_path / "run", FakeTunableModel)
    assert not (tmp_path / "run").exists()
