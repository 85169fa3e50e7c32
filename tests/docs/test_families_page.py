"""docs/families.md covers every family, is up to date, and its memory estimates hold for the real networks."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    MllamaConfig,
    MllamaForConditionalGeneration,
)

from experiments import families
from tests.support.small_families import BUILDERS
from vqttt.models import FAMILIES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "families.md").read_text()
GB = 1e9


def test_every_family_has_a_row() -> None:
    assert list(families.PUBLISHED) == list(FAMILIES)
    assert all(f"| `{name}` | `" in PAGE for name in FAMILIES)
    assert {name.split("/")[0] for name in BUILDERS} == set(FAMILIES)
    assert all(f"\n| `{name}` | " in PAGE for name in BUILDERS)


def test_the_page_is_up_to_date() -> None:
    lines = set(families.page({name: Counter() for name in BUILDERS}, []).splitlines())
    stale = [line for line in lines - set(PAGE.splitlines()) if "0 of 0" not in line]
    assert not stale


@pytest.mark.parametrize(
    ("name", "config", "network"),
    [
        ("llava", LlavaConfig, LlavaForConditionalGeneration),
        ("mllama", MllamaConfig, MllamaForConditionalGeneration),
    ],
)
def test_published_sizes_are_those_of_the_real_networks(name: str, config: type, network: type) -> None:
    """The default configurations of these two classes are those of the checkpoints in the table."""
    family, defaults = families.PUBLISHED[name], config()
    with torch.device("meta"):
        weights = sum(parameter.numel() for parameter in network(defaults).parameters())
    assert family.billions == pytest.approx(weights / 1e9, rel=0.01)
    assert family.tower[1] == defaults.vision_config.hidden_size
    assert family.text[:2] == (defaults.text_config.num_hidden_layers, defaults.text_config.hidden_size)


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("llava", 24 * 24),  # Liu et al. 2023: 336 px in patches of 14
        ("idefics2", 64),  # Laurençon et al. 2024: latents of the perceiver resampler
        ("idefics3", 169 * (3 * 4 + 1)),  # Laurençon et al. 2024: 169 tokens per tile of 364 px, and an overview
        ("smolvlm", 81 * (3 * 4 + 1)),  # Marafioti et al. 2025: 81 tokens per tile of 384 px, and an overview
        ("internvl", 256 * (12 + 1)),  # Chen et al. 2024: 256 tokens per tile, up to 12 tiles, and a thumbnail
        ("qwen2_vl", 37 * 27),  # Wang et al. 2024: one token per 28 x 28 px
        ("paligemma", 1024),  # Beyer et al. 2024: 448 px
        ("gemma3", 256),  # Gemma team 2025
    ],
)
def test_tokens_of_an_image_are_the_published_ones(name: str, tokens: int) -> None:
    assert families.PUBLISHED[name].text[3] == tokens


def test_plain_memory_is_that_of_the_weights_and_a_real_cache() -> None:
    """Counted on a LLaVA-1.5-7B without storage: its weights, and the cache that its language model fills."""
    family = families.PUBLISHED["llava"]
    defaults = LlavaConfig()
    with torch.device("meta"):
        network = LlavaForConditionalGeneration(defaults).to(torch.bfloat16)
        tokens = torch.zeros(1, family.text[3] + families.TEXT, dtype=torch.long)
    with torch.no_grad():
        cache = network.model.language_model(input_ids=tokens, use_cache=True).past_key_values
    weights = sum(parameter.nbytes for parameter in network.parameters())
    cached = sum(part.nbytes for layer in cache.layers for part in (layer.keys, layer.values))
    assert family.plain == pytest.approx((weights + cached) / GB, rel=0.01)


def kept(network: torch.nn.Module, forward: Callable[[], object]) -> int:
    """Return the bytes that the backward pass of a frozen network keeps, its own weights apart."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    stored: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            stored[storage.data_ptr()] = storage  # holding it keeps its address from being used again
        return tensor

    network.requires_grad_(False)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return sum(storage.nbytes() for storage in stored.values())


def test_activations_are_those_that_real_layers_keep() -> None:
    """Measured in bfloat16 on layers of LLaVA-1.5's two networks, narrowed to 512: within a quarter of the estimate."""
    layers, width = 4, 512
    sizes = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": 8}
    text = LlamaModel(LlamaConfig(**sizes, intermediate_size=width * 11008 // 4096, vocab_size=8)).bfloat16()
    tower = CLIPVisionModel(CLIPVisionConfig(**sizes, intermediate_size=4 * width, image_size=336, patch_size=14))
    embedded = torch.zeros(1, 600, width, dtype=torch.bfloat16, requires_grad=True)
    pixels = torch.zeros(1, 3, 336, 336, dtype=torch.bfloat16, requires_grad=True)
    measured = {
        600: kept(text, lambda: text(inputs_embeds=embedded, use_cache=False)),
        577: kept(tower.bfloat16(), lambda: tower(pixel_values=pixels)),
    }
    for tokens, found in measured.items():
        assert found == pytest.approx(families.KEPT * layers * width * tokens, rel=0.25)


def test_a_gradient_step_keeps_the_activations_of_both_networks() -> None:
    """LLaVA-1.5-7B by hand: 24 layers of 1024 with 577 patches keep 0.48 GB, 32 of 4096 with 676 tokens 3.01 GB."""
    family = families.PUBLISHED["llava"]
    assert family.tuned - family.plain == pytest.approx(0.48 + 3.01, abs=0.01)
