"""Families whose images all have one size: LLaVA with four vision encoders, PaliGemma, Gemma 3."""

from collections.abc import Callable
from functools import partial
from typing import Any

from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    Dinov2Config,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessor,
    Gemma3Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    SamVisionConfig,
    SiglipImageProcessor,
    SiglipVisionConfig,
)

from tests.support.small_families.tokens import build_tokenizer, chat, text_config

SIDE = 32
VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 8,
}
TOWERS: dict[str, Callable[[], Any]] = {
    "llava": partial(CLIPVisionConfig, **VISION),
    "llava/siglip": partial(SiglipVisionConfig, **VISION),
    "llava/dinov2": partial(Dinov2Config, **VISION),
    "llava/sam": partial(
        SamVisionConfig,
        **VISION,
        output_channels=32,
        window_size=3,
        global_attn_indexes=[2],
        mlp_dim=64,
        initializer_range=0.02,
    ),
}
CLASS_TOKEN = ("llava", "llava/dinov2")


def llava(name: str) -> tuple[Any, Any]:
    """LLaVA with the vision tower `name`."""
    tokenizer = build_tokenizer(image_token="<image>")
    strategy = "default" if name in CLASS_TOKEN else "full"
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"height": SIDE, "width": SIDE}, do_center_crop=False),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy=strategy,
        num_additional_image_tokens=int(name in CLASS_TOKEN),
        chat_template=chat("<image>"),
    )
    config = LlavaConfig(
        vision_config=TOWERS[name](),
        text_config=LlamaConfig(**text_config(tokenizer)),
        image_token_id=tokenizer.image_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy=strategy,
    )
    return LlavaForConditionalGeneration(config), processor


def paligemma() -> tuple[Any, Any]:
    """PaliGemma."""
    tokenizer = build_tokenizer(image_token="<image>")
    images = SiglipImageProcessor(size={"height": SIDE, "width": SIDE})
    images.image_seq_length = 16
    processor = PaliGemmaProcessor(images, tokenizer)
    config = PaliGemmaConfig(
        vision_config={"model_type": "siglip_vision_model", **VISION, "vision_use_head": False},
        text_config={"model_type": "gemma", **text_config(processor.tokenizer, head_dim=16)},
        image_token_id=processor.tokenizer.image_token_id,
        projection_dim=32,
    )
    return PaliGemmaForConditionalGeneration(config), processor


def gemma3() -> tuple[Any, Any]:
    """Gemma 3, with pan and scan."""
    tokenizer = build_tokenizer(image_token="<soft>", boi_token="<boi>", eoi_token="<eoi>")
    images = Gemma3ImageProcessor(
        size={"height": SIDE, "width": SIDE},
        do_pan_and_scan=True,
        pan_and_scan_min_crop_size=16,
        pan_and_scan_max_num_crops=2,
        pan_and_scan_min_ratio_to_activate=1.2,
    )
    processor = Gemma3Processor(images, tokenizer, chat_template=chat("<boi>"), image_seq_length=4)
    config = Gemma3Config(
        vision_config={"model_type": "siglip_vision_model", **VISION, "vision_use_head": False},
        text_config={"model_type": "gemma3_text", **text_config(tokenizer, head_dim=16, sliding_window=64)},
        mm_tokens_per_image=4,
        image_token_id=tokenizer.image_token_id,
        boi_token_id=tokenizer.boi_token_id,
        eoi_token_id=tokenizer.eoi_token_id,
    )
    return Gemma3ForConditionalGeneration(config), processor


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    **{name: partial(llava, name) for name in TOWERS},
    "paligemma": paligemma,
    "gemma3": gemma3,
}
