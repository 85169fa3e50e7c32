"""Cost at full size: the published shapes, checkpoints that load, and rows that say what happened; on a small model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText

from experiments.families import PUBLISHED
from perf import full_size, random_checkpoints
from perf.full_size import main, page, settings, write
from perf.random_checkpoints import INDEX, MODELS, make
from tests.support.small_families import flat
from vqttt.models import load_model
from vqttt.models.tunable import tunable

METHODS = ("vq-ttt-episodic", "vq-select", "tent")
Row = dict[str, Any]


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    """Register a LLaVA of a few thousand weights."""

    def build(layers: int) -> tuple[Any, Any]:
        network, processor = flat.llava("llava")
        network.config.text_config.num_hidden_layers = layers or 2
        return network.config, processor

    monkeypatch.setitem(MODELS, "tiny", build)
    return "tiny"


@pytest.mark.parametrize(("name", "billions"), [("llava-1.5-7b", 7.06), ("qwen2.5-vl-3b", 3.75)])
def test_the_shapes_are_the_published_ones(name: str, billions: float) -> None:
    config, processor = MODELS[name](0)
    with torch.device("meta"):
        network = AutoModelForImageTextToText.from_config(config)
    assert round(sum(weight.numel() for weight in network.parameters()) / 1e9, 2) == billions
    assert len(processor.tokenizer) == config.text_config.vocab_size
    assert processor.tokenizer.convert_ids_to_tokens(config.image_token_id) == processor.image_token
    if name.startswith("llava"):
        layers, width, _, tokens = PUBLISHED["llava"].text
        assert (config.text_config.num_hidden_layers, config.text_config.hidden_size) == (layers, width)
        encoded = processor(images=np.zeros((90, 120, 3), np.uint8), text="<image> what is it")
        assert int((np.ravel(encoded["input_ids"]) == config.image_token_id).sum()) == tokens


def test_a_checkpoint_loads_answers_and_is_used_again(tiny: str, tmp_path: Path) -> None:
    folder = make(tiny, tmp_path)
    model = tunable(load_model(str(folder)), "the test")
    weights = list(model.network.parameters())
    assert {weight.dtype for weight in weights} == {torch.bfloat16}
    assert all(torch.isfinite(weight).all() for weight in weights)
    wide = [weight.float().flatten() for weight in weights if weight.ndim == 2 and weight.numel() > 2000]
    assert all(abs(float(weight.std()) - random_checkpoints.SPREAD) < 0.005 for weight in wide)
    assert not any(torch.equal(one[:500], other[:500]) for one in wide for other in wide if one is not other)
    image, question = full_size.asked(112)
    logits = model.ask([image], [question], 2)[1].logits
    assert torch.isfinite(logits).all() and logits.std() > 1e-3
    written = (folder / INDEX).stat().st_mtime_ns
    assert make(tiny, tmp_path) == folder and (folder / INDEX).stat().st_mtime_ns == written
    (folder / INDEX).unlink()  # as if it had been interrupted
    make(tiny, tmp_path)
    assert (folder / INDEX).is_file()
    assert make(tiny, tmp_path, layers=1) != folder != make(tiny, tmp_path, torch.float32)


def test_small_files_together_hold_all_weights(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_checkpoints, "SHARD", 10_000)
    folder = make(tiny, tmp_path)
    assert len(list(folder.glob("*.safetensors"))) > 3
    image, question = full_size.asked(112)
    assert load_model(str(folder)).ask([image], [question], 1)[1].texts


def test_a_run_says_what_each_method_did(tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rows.json"
    options = ["--checkpoint", "--tokens", "2", "--repeats", "1", "--side", "48"]
    main(["--model", tiny, "--methods", ",".join(METHODS), "--folder", str(tmp_path), "--out", str(out), *options])
    rows = {(row["method"], row["checkpoint"], row["images"]): row for row in json.loads(out.read_text())}
    assert set(rows) == {
        ("none", False, "uncertain"),
        ("vq-ttt-episodic", False, "uncertain"),
        ("vq-ttt-episodic", False, "certain"),
        ("vq-ttt-episodic", True, "uncertain"),
        ("vq-select", False, "uncertain"),
        ("vq-select", False, "certain"),
        ("tent", False, "uncertain"),
    }
    did = {key: (row["looks"], row["backward"], row["changeable"]) for key, row in rows.items()}
    assert did["none", False, "uncertain"] == (1, 0, False)
    for again in (False, True):
        assert did["vq-ttt-episodic", again, "uncertain"] == (2, 1, True)
    assert did["vq-ttt-episodic", False, "certain"] == (1, 0, False)
    assert did["vq-select", False, "uncertain"][1:] == (0, True) and did["vq-select", False, "uncertain"][0] > 1
    assert did["vq-select", False, "certain"] == (1, 0, False)
    assert did["tent", False, "uncertain"][1] == 1
    plain = rows["none", False, "uncertain"]
    assert plain["ratio"] == 1 and plain["image"] == "48x48" and plain["tokens"] == 2 and plain["dtype"] == "bfloat16"
    for row in rows.values():
        assert row["seconds"] > 0 and row["prompt"] > 16 and (row["peak_gb"] is None or 0.1 < row["peak_gb"] < 50)
        assert 0.2 < row["ratio"] / (row["seconds"] / plain["seconds"]) < 5, "what is around it is another plain answer"
    assert "| `vq-ttt-episodic`, recomputing | 2 | 1 |" in capsys.readouterr().out


def test_what_cannot_run_is_said_in_one_line(tiny: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="memo changes weights by steps that bfloat16 rounds away"):
        main(["--model", tiny, "--methods", "memo", "--layers", "1", "--folder", str(tmp_path)])


def test_plain_inference_is_measured_once() -> None:
    assert [setting.method for setting in settings(["none", "tent", "tent"], False)] == ["none", "tent"]
    assert not any(setting.checkpoint for setting in settings(["vq-ttt"], False))


def row(**own: Any) -> Row:
    """Make a row of the page."""
    fixed = {"model": "m", "layers": 0, "dtype": "bfloat16", "device": "a CPU", "tokens": 16, "image": "224x224"}
    fixed |= {"billions": 7.06, "threads": 2, "torch": "2", "transformers": "5", "vqttt": "1", "date": "2026-01-01"}
    fixed |= {"method": "none", "checkpoint": False, "images": "uncertain", "seconds": 10.0, "ratio": 1.0, "looks": 1}
    return fixed | {"backward": 0, "prompt": 600, "changeable": False, "peak_gb": 15.2, "repeats": 2} | own


def test_the_page_has_a_table_for_each_run() -> None:
    uncertain = row(method="vq-ttt", seconds=31.0, ratio=3.1, looks=2, backward=1, peak_gb=18.0)
    rows = [row(), uncertain, uncertain | {"images": "certain", "seconds": 11.0, "ratio": 1.1, "peak_gb": 17.0}]
    written = page([*rows, *(one | {"device": "a GPU"} for one in rows), row(layers=2, seconds=0.123)])
    assert written.count("| `vq-ttt` | 2 | 1 | 31.0 | 3.10× | 1.10× | 2.10× | 18.0 |") == 2
    assert written.count("| `none` | 1 | 0 | 10.0 | 1.00× | 1.00× | 1.00× | 15.2 |") == 2
    assert "on a CPU, 2 threads;" in written and "on a GPU" in written and "0.1 |" not in written
    assert page([]) == "Not measured yet."


def test_a_later_row_replaces_the_same_one(tmp_path: Path) -> None:
    file = tmp_path / "results" / "rows.json"
    write([row(), row(method="tent")], file)
    write([row(tokens=2)], file)
    write([row(seconds=9.0)], file)
    kept = [(one["method"], one["tokens"], one["seconds"]) for one in json.loads(file.read_text())]
    assert kept == [("none", 16, 9.0), ("tent", 16, 10.0), ("none", 2, 10.0)]
