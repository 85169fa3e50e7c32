"""docs/families.md covers every family, is up to date, and its memory estimates hold for the real networks."""

import re
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

from experiments import all_types, families
from tests.support.small_families import ANSWERING, BUILDERS, OTHERS
from vqttt.models import FAMILIES
from vqttt.models.discovered import facts, verify

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "families.md").read_text()
GB = 1e9


def between(name: str) -> str:
    """The part of the page between the markers called `name`."""
    return PAGE.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows that begin with code, without its marks."""
    return [line.replace("`", "").strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]


TYPES = {row[0].partition(":")[0]: row for row in rows(between("types"))}
DISCOVERABLE = {name.split("/")[0] for name in OTHERS} - set(FAMILIES)


def test_every_type_of_transformers_is_in_one_class() -> None:
    own = set(FAMILIES) & set(all_types.LISTED)
    assert sorted([*own, *DISCOVERABLE, *facts.REFUSED]) == sorted(all_types.LISTED)


def test_every_type_has_a_verdict() -> None:
    assert list(TYPES) == sorted({*all_types.LISTED, *FAMILIES}, key=str.lower)
    assert set(TYPES) == set(all_types.NAMES)
    for name, (title, how, *_, notes) in TYPES.items():
        assert title == f"{name}: {all_types.NAMES[name]}"
        if name in facts.REFUSED:
            assert (how, notes) == (all_types.NO, facts.REFUSED[name])
        elif name in FAMILIES:
            assert how == all_types.OWN, name
        else:
            assert how == (all_types.ANSWERS if name in ANSWERING else all_types.FOUND), name


def test_the_summary_counts_the_rows() -> None:
    count = Counter(TYPES[name][1] for name in all_types.LISTED)
    words = " ".join(between("types").split())
    assert f"Of the {len(all_types.LISTED)} types" in words
    assert f"**{count[all_types.OWN]} work by a file of their own, {count[all_types.FOUND]} are discovered" in words
    assert f"{count[all_types.ANSWERS]} answer only, and {count[all_types.NO]} do not work**" in words
    assert f"{count[all_types.OWN] + count[all_types.FOUND]} can be tuned and pass every check" in words
    tunable = {*BUILDERS, *OTHERS} - set(ANSWERING)
    assert f"{len(tunable)} of {len(tunable)} small models that can be tuned" in words


def test_every_small_model_has_a_vision_encoder_or_none() -> None:
    named = re.findall("`([^`]+)`", between("encoders"))
    assert sorted(named) == sorted([*BUILDERS, *OTHERS])


def test_every_check_is_explained() -> None:
    listed = [(name, needed) for name, needed, *_ in rows(PAGE.partition("| check |")[2].partition("\n\n")[0])]
    assert listed == [(name, needed) for needed, name, _ in verify.CHECKS]


def test_every_family_has_a_row() -> None:
    assert list(families.PUBLISHED) == list(FAMILIES)
    assert all(f"| `{name}` | `" in PAGE for name in FAMILIES)
    assert {name.split("/")[0] for name in BUILDERS} == set(FAMILIES)
    passed = PAGE.partition("small models pass every check: ")[2].partition("\n\n")[0]
    assert set(BUILDERS) <= set(re.findall("`([^`]+)`", passed))


def test_the_page_is_up_to_date() -> None:
    lines = set(families.page({}, []).splitlines())
    stale = [line for line in lines - set(PAGE.splitlines()) if line != "." and "0 of 0" not in line]
    assert not stale


@pytest.mark.parametrize(
    ("case", "model"),
    [
        ("llava-float32", "llava"),
        ("llava/siglip-float32", "llava/siglip"),
        ("blip-2", "blip-2"),
        ("blip-2/t5", "blip-2/t5"),
    ],
)
def test_cases_of_the_suite_belong_to_a_small_model(case: str, model: str) -> None:
    assert families.model_name(case) == model


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
