"""Options of loading a checkpoint; impossible ones are refused in one line before anything is loaded."""

from pathlib import Path

import pytest
import torch

from tests.support.small_families import small
from tests.support.small_models import QUESTIONS, sample_images
from vqttt.errors import InputError, MissingExtraError, ModelError
from vqttt.models import LoadOptions, load_model, loading
from vqttt.tuning.adapters import AdapterConfig, Adapters


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint")
    model = small("qwen2_5_vl")
    model.network.save_pretrained(path)
    model.processor.save_pretrained(path)
    return path


def load(folder: Path, **options: object):
    return load_model(str(folder), LoadOptions(**options))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_type_of_the_weights(folder: Path, dtype: str) -> None:
    model = load(folder, dtype=dtype)
    assert {parameter.dtype for parameter in model.network.parameters()} == {getattr(torch, dtype)}
    adapters = Adapters(model, AdapterConfig(kernel="none"), sets=1)  # convolving in float16 takes a CPU a minute
    assert {tensor.dtype for tensor in adapters.parameters} == {torch.float32}
    inputs = model.encode(sample_images(1), QUESTIONS[:1])
    assert inputs.tensors["pixel_values"].dtype == getattr(torch, dtype)
    with torch.no_grad(), adapters.applied(inputs) as adapted:
        assert torch.equal(model.answer_logits(adapted), model.answer_logits(inputs))


def test_attention(folder: Path) -> None:
    asked = [load(folder, attention=name) for name in ("eager", "sdpa")]
    assert [model.network.config._attn_implementation for model in asked] == ["eager", "sdpa"]
    inputs = asked[0].encode(sample_images(1), QUESTIONS[:1])
    torch.testing.assert_close(asked[0].answer_logits(inputs), asked[1].answer_logits(inputs), atol=1e-4, rtol=0)


def test_layers_are_spread_by_accelerate(folder: Path) -> None:
    pytest.importorskip("accelerate")
    assert LoadOptions(device="auto").arguments()["device_map"] == "auto"
    spread = load(folder, device="auto")
    inputs = spread.encode(sample_images(2), QUESTIONS[:2])
    assert torch.equal(spread.answer_logits(inputs), load(folder).answer_logits(inputs))


def test_unknown_options_and_missing_packages(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="dtype 'float8' is not known; known: auto, float32, bfloat16, float16"):
        LoadOptions(dtype="float8")
    with pytest.raises(InputError, match="bits 3 is not known; known: 0, 4, 8"):
        LoadOptions(bits=3)
    with pytest.raises(InputError, match="the model 'embedded' takes no load options"):
        load_model("embedded", LoadOptions(dtype="bfloat16"))
    monkeypatch.setattr(loading, "find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=r"bits 4 needs bitsandbytes: pip install 'vqttt\[large\]'"):
        load(folder, bits=4)
    with pytest.raises(MissingExtraError, match=r"device auto needs accelerate: pip install 'vqttt\[large\]'"):
        load(folder, device="auto")
    with pytest.raises(MissingExtraError, match="flash_attention_2 needs flash_attn"):
        load(folder, attention="flash_attention_2")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu(folder: Path) -> None:
    with pytest.raises(ModelError, match="there is no device cuda"):
        load(folder, device="cuda")


def test_too_little_memory_is_an_error_before_loading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = sum(tensor.numel() for tensor in small("qwen2_5_vl").network.state_dict().values())
    assert loading.weight_bytes(str(folder), LoadOptions()) == 4 * count
    assert loading.weight_bytes(str(folder), LoadOptions(dtype="bfloat16")) == 2 * count
    assert loading.weight_bytes(str(folder), LoadOptions(bits=4)) == count // 2
    monkeypatch.setattr(loading, "free_bytes", lambda device: 3 * count)
    reason = r"needs about 0\.0 GB for its weights, but only 0\.0 GB is free on (cpu|cuda); "
    with pytest.raises(ModelError, match=reason):
        load(folder)
    assert load(folder, dtype="bfloat16").network.dtype == torch.bfloat16


def test_free_memory_is_plausible() -> None:
    free = loading.free_bytes("cpu")
    assert free is None or free > 1 << 20


def test_revision_and_quantisation_reach_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LoadOptions(revision="v1.0").arguments() == {"dtype": "auto", "revision": "v1.0"}
    monkeypatch.setattr(loading, "find_spec", lambda package: True)
    asked = LoadOptions(bits=8, device="cuda:1").arguments()
    assert asked["quantization_config"].load_in_8bit and not asked["quantization_config"].load_in_4bit
    assert asked["device_map"] == {"": "cuda:1"}
