"""Families that cut images into tiles before one vision encoder: LLaVA-NeXT, LLaVA-OneVision, InternVL."""

from collections.abc import Callable
from functools import partial
from typing import Any

from transformers import (
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessor,
    LlavaNextProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
)

from tests.support.small_families.flat import SIDE, VISION
from tests.support.small_families.tokens import build_tokenizer, chat, text_config

GRIDS = [[32, 64], [64, 32], [64, 64]]
SIZES = {"size": {"height": SIDE, "width": SIDE}, "image_grid_pinpoints": GRIDS}


def llava_next(text: str) -> tuple[Any, Any]:
    """LLaVA-NeXT with Vicuna (a Llama) or Mistral."""
    tokenizer = build_tokenizer(image_token="<image>")
    processor = LlavaNextProcessor(
        LlavaNextImageProcessor(**SIZES, crop_size={"height": SIDE, "width": SIDE}),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat("<image>"),
    )
    config = LlavaNextConfig(
        vision_config={"model_type": "clip_vision_model", **VISION},
        text_config={"model_type": text, **text_config(tokenizer)},
        image_token_id=tokenizer.image_token_id,
        image_grid_pinpoints=GRIDS,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
    )
    return LlavaNextForConditionalGeneration(config), processor


def llava_onevision() -> tuple[Any, Any]:
    """LLaVA-OneVision."""
    tokenizer = build_tokenizer(image_token="<image>", video_token="<video>")
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(**SIZES),
        tokenizer,
        LlavaOnevisionVideoProcessor(),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=chat("<image>"),
    )
    config = LlavaOnevisionConfig(
        vision_config={"model_type": "siglip_vision_model", **VISION, "vision_use_head": False},
        text_config={"model_type": "qwen2", **text_config(tokenizer)},
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
        image_grid_pinpoints=GRIDS,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    return LlavaOnevisionForConditionalGeneration(config), processor


def internvl() -> tuple[Any, Any]:
    """InternVL."""
    tokenizer = build_tokenizer(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size={"height": SIDE, "width": SIDE}, max_patches=3),
        tokenizer,
        InternVLVideoProcessor(),
        image_seq_length=4,
        chat_template=chat("<IMG_CONTEXT>"),
    )
    vision = {**VISION, "image_size": [SIDE, SIDE], "patch_size": [8, 8]}
    config = InternVLConfig(
        vision_config={"model_type": "internvl_vision", **vision},
        text_config={"model_type": "qwen2", **text_config(tokenizer)},
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=4,
    )
    return InternVLForConditionalGeneration(config), processor


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llava_next": partial(llava_next, "llama"),
    "llava_next/mistral": partial(llava_next, "mistral"),
    "llava_onevision": llava_onevision,
    "internvl": internvl,
}
