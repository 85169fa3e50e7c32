"""Families that pack the patches of all images into one sequence: Qwen2-VL, Qwen2.5-VL, Qwen3-VL."""

from collections.abc import Callable
from functools import partial
from typing import Any

from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from tests.support.small_families.tokens import build_tokenizer, chat, text_config

TOKENS = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "vision_start_token": "<|vision_start|>",
    "vision_end_token": "<|vision_end|>",
}
PATCH = 8


def qwen(config: Any, network: Any, processor: Any, videos: Any, vision: dict, rope: dict) -> tuple[Any, Any]:
    """One of the three."""
    tokenizer = build_tokenizer(**TOKENS)
    images = Qwen2VLImageProcessor(
        patch_size=PATCH,
        size={"shortest_edge": 32 * 32, "longest_edge": 64 * 64},
    )
    template = chat("<|vision_start|><|image_pad|><|vision_end|>")
    built = processor(images, tokenizer, videos(patch_size=PATCH), chat_template=template)
    sizes = {"depth": 3, "num_heads": 2, "patch_size": PATCH, "spatial_merge_size": 2, "temporal_patch_size": 2}
    ids = {f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in TOKENS.items()}
    text = text_config(tokenizer, head_dim=16, rope_parameters={"rope_theta": 10000.0, **rope})
    return network(config(vision_config={**sizes, **vision}, text_config=text, **ids)), built


_PLAIN = {"rope_type": "default", "mrope_section": [2, 3, 3]}
BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "qwen2_vl": partial(
        qwen,
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
        {"embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2},
        _PLAIN,
    ),
    "qwen2_5_vl": partial(
        qwen,
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLVideoProcessor,
        {
            "hidden_size": 32,
            "intermediate_size": 64,
            "out_hidden_size": 32,
            "window_size": 32,
            "fullatt_block_indexes": [2],
        },
        _PLAIN,
    ),
    "qwen3_vl": partial(
        qwen,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
        {
            "hidden_size": 32,
            "intermediate_size": 64,
            "out_hidden_size": 32,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1],
        },
        {**_PLAIN, "mrope_interleaved": True},
    ),
}
