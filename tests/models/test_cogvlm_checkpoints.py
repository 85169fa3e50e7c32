"""CogVLM's checkpoints: published names of tensors and fields, saving, and loading without the code that they name."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.support.small_families import small
from tests.support.small_families.cogvlm import cogvlm
from tests.support.small_models import QUESTIONS, sample_images
from vqttt.errors import ModelError
from vqttt.models import load_model
from vqttt.models.cogvlm import CogVLM, CogVLM2Config, CogVLMConfig, CogVLMForCausalLM

BOTH = ("cogvlm", "cogvlm2")

VISION_BLOCK = [
    "input_layernorm.weight",
    "input_layernorm.bias",
    "attention.query_key_value.weight",
    "attention.query_key_value.bias",
    "attention.dense.weight",
    "attention.dense.bias",
    "mlp.fc1.weight",
    "mlp.fc1.bias",
    "mlp.fc2.weight",
    "mlp.fc2.bias",
    "post_attention_layernorm.weight",
    "post_attention_layernorm.bias",
]
LAYER = [
    "input_layernorm.weight",
    "post_attention_layernorm.weight",
    "self_attn.rotary_emb.inv_freq",
    "self_attn.vision_expert_query_key_value.weight",
    "self_attn.vision_expert_dense.weight",
    "self_attn.language_expert_query_key_value.weight",
    "self_attn.language_expert_dense.weight",
    "mlp.vision_mlp.gate_proj.weight",
    "mlp.vision_mlp.up_proj.weight",
    "mlp.vision_mlp.down_proj.weight",
    "mlp.language_mlp.gate_proj.weight",
    "mlp.language_mlp.up_proj.weight",
    "mlp.language_mlp.down_proj.weight",
]
REST = [
    "lm_head.weight",
    "model.embed_tokens.weight",
    "model.norm.weight",
    "model.vision.boi",
    "model.vision.eoi",
    "model.vision.patch_embedding.cls_embedding",
    "model.vision.patch_embedding.position_embedding.weight",
    "model.vision.patch_embedding.proj.weight",
    "model.vision.patch_embedding.proj.bias",
    "model.vision.linear_proj.linear_proj.weight",
    "model.vision.linear_proj.norm1.weight",
    "model.vision.linear_proj.norm1.bias",
    "model.vision.linear_proj.gate_proj.weight",
    "model.vision.linear_proj.dense_h_to_4h.weight",
    "model.vision.linear_proj.dense_4h_to_h.weight",
]
COGVLM_NAMES = {
    *REST,
    *(f"model.layers.{n}.{name}" for n in range(32) for name in LAYER),
    *(f"model.vision.transformer.layers.{n}.{name}" for n in range(63) for name in VISION_BLOCK),
}
"""The modules of `modeling_cogvlm.py` and `visual.py` in THUDM/cogvlm-chat-hf."""
COGVLM2_NAMES = COGVLM_NAMES | {
    "model.vision.conv.weight",
    "model.vision.conv.bias",
    *(f"model.layers.{n}.self_attn.vision_expert_query_key_value.bias" for n in range(32)),
}
"""All 1,221 of `model.safetensors.index.json` of THUDM/cogvlm2-llama3-chat-19B."""
COGVLM2_BYTES = 39_006_214_656
"""The `total_size` in that index, two bytes per number."""
COGVLM2_PUBLISHED = {
    "architectures": ["CogVLMForCausalLM"],
    "auto_map": {
        "AutoConfig": "configuration_cogvlm.CogVLMConfig",
        "AutoModelForCausalLM": "modeling_cogvlm.CogVLMForCausalLM",
    },
    "vision_config": {
        "dropout_prob": 0.0,
        "hidden_act": "gelu",
        "in_channels": 3,
        "num_hidden_layers": 63,
        "hidden_size": 1792,
        "patch_size": 14,
        "num_heads": 16,
        "intermediate_size": 15360,
        "layer_norm_eps": 1e-06,
        "num_positions": 9217,
        "image_size": 1344,
    },
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-05,
    "template_version": "chat",
    "initializer_range": 0.02,
    "pad_token_id": 128002,
    "vocab_size": 128256,
    "num_hidden_layers": 32,
    "hidden_act": "silu",
    "use_cache": True,
}
"""Its `config.json` without the first and last tokens."""


@pytest.mark.parametrize(("config", "names"), [(CogVLMConfig, COGVLM_NAMES), (CogVLM2Config, COGVLM2_NAMES)], ids=BOTH)
def test_names_are_the_published_ones(config: type[CogVLMConfig], names: set[str]) -> None:
    with torch.device("meta"):
        network = CogVLMForCausalLM(config())
    state = network.state_dict()
    assert set(state) == names
    numbers = sum(tensor.numel() for tensor in state.values())
    if config is CogVLM2Config:
        assert len(names) == 1221
        assert 2 * numbers == COGVLM2_BYTES
    else:
        assert 17e9 < numbers < 18e9, "called CogVLM-17B"
    assert state["model.vision.patch_embedding.position_embedding.weight"].shape[1] == 1792


def test_published_configuration_is_understood() -> None:
    config = CogVLM2Config(**COGVLM2_PUBLISHED)
    for key, value in COGVLM2_PUBLISHED["vision_config"].items():
        assert getattr(config.vision_config, key) == value, key
    assert (config.num_multi_query_heads, config.rope_theta) == (8, 500_000)
    assert config.image_tokens == (1344 // 14 // 2) ** 2 + 2
    assert CogVLMConfig().image_tokens == (490 // 14) ** 2 + 2
    assert (CogVLMConfig().num_multi_query_heads, CogVLMConfig().rope_theta) == (32, 10_000)


def folder_of(model: CogVLM, path: Path) -> Path:
    model.network.save_pretrained(path)
    model.processor.save_pretrained(path)
    return path


@pytest.mark.parametrize("name", BOTH)
def test_published_layout_loads_without_its_code(name: str, tmp_path: Path) -> None:
    """A folder with a configuration as short as the published ones, which names remote code that is missing."""
    more = {} if name == "cogvlm" else {"num_attention_heads": 16, "num_multi_query_heads": 8, "vocab_size": 128_256}
    kind = CogVLMConfig if name == "cogvlm" else CogVLM2Config
    network, processor = cogvlm(kind, **more)
    model = CogVLM(name, network, processor)
    folder = folder_of(model, tmp_path)
    assert [path.name for path in folder.glob("model*")] == ["model.safetensors"]
    config = json.loads((folder / "config.json").read_text())
    published = {key: config[key] for key in [*COGVLM2_PUBLISHED, "bos_token_id", "eos_token_id"] if key in config}
    published["vision_config"] = {key: config["vision_config"][key] for key in COGVLM2_PUBLISHED["vision_config"]}
    published |= {key: COGVLM2_PUBLISHED[key] for key in ("architectures", "auto_map")}
    assert "model_type" not in published and "rope_theta" not in published
    (folder / "config.json").write_text(json.dumps(published))
    loaded = load_model(str(folder))
    assert isinstance(loaded, CogVLM)
    assert type(loaded.network.config) is kind
    inputs = model.encode(sample_images(2), QUESTIONS[:2])
    assert torch.equal(loaded.answer_logits(inputs), model.answer_logits(inputs))


@pytest.mark.parametrize("name", BOTH)
def test_frequencies_are_used_as_they_are_stored(name: str, tmp_path: Path) -> None:
    """The published ones are rounded to bfloat16; a checkpoint may lack them."""
    model = small(name)
    folder = folder_of(model, tmp_path)
    kept = {key: tensor.clone() for key, tensor in model.network.state_dict().items()}
    frequencies = [key for key in kept if key.endswith("rotary_emb.inv_freq")]
    rounded = kept | {key: kept[key].bfloat16().float() for key in frequencies}
    without = {key: tensor for key, tensor in kept.items() if key not in frequencies}
    assert len(frequencies) == 2
    for written, expected in ((rounded, rounded), (without, kept)):
        save_file(written, folder / "model.safetensors", metadata={"format": "pt"})
        loaded = load_model(str(folder)).network.state_dict()
        assert all(torch.equal(loaded[key], tensor) for key, tensor in expected.items())


def test_a_checkpoint_without_tokenizer(tmp_path: Path) -> None:
    model = small("cogvlm")
    folder = folder_of(model, tmp_path / "bare")
    words = tmp_path / "words"
    words.mkdir()
    for path in folder.glob("*token*"):
        shutil.move(path, words)
    with pytest.raises(ModelError, match=r"no tokenizer at .*vicuna-7b-v1\.5.* or pass the folder or id"):
        load_model(str(folder))
    network, processor, _ = CogVLM.load(str(folder), tokenizer=str(words))
    inputs = model.encode(sample_images(1), QUESTIONS[:1])
    again = CogVLM("again", network, processor).encode(sample_images(1), QUESTIONS[:1])
    assert torch.equal(inputs.tensors["input_ids"], again.tensors["input_ids"])
