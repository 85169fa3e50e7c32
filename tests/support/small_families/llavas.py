"""Types built like LLaVA: a vision encoder and a projector whose outputs a text model reads as tokens."""

from collections.abc import Callable
from typing import Any

from transformers import (
    AyaVisionConfig,
    AyaVisionForConditionalGeneration,
    AyaVisionProcessor,
    CLIPImageProcessor,
    Cohere2VisionConfig,
    Cohere2VisionForConditionalGeneration,
    Cohere2VisionImageProcessor,
    Cohere2VisionProcessor,
    DeepseekVLConfig,
    DeepseekVLForConditionalGeneration,
    DeepseekVLHybridConfig,
    DeepseekVLHybridForConditionalGeneration,
    DeepseekVLHybridImageProcessor,
    DeepseekVLHybridProcessor,
    DeepseekVLImageProcessor,
    DeepseekVLProcessor,
    GotOcr2Config,
    GotOcr2ForConditionalGeneration,
    GotOcr2ImageProcessor,
    GotOcr2Processor,
    Granite4VisionConfig,
    Granite4VisionForConditionalGeneration,
    Granite4VisionProcessor,
    JanusConfig,
    JanusForConditionalGeneration,
    JanusImageProcessor,
    JanusProcessor,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextImageProcessor,
    LlavaNextVideoConfig,
    LlavaNextVideoForConditionalGeneration,
    LlavaNextVideoProcessor,
    LlavaNextVideoVideoProcessor,
    LlavaProcessor,
    Ovis2Config,
    Ovis2ForConditionalGeneration,
    Ovis2ImageProcessor,
    Ovis2Processor,
    PixtralImageProcessor,
    PixtralProcessor,
    QianfanOCRConfig,
    QianfanOCRForConditionalGeneration,
    QianfanOCRProcessor,
    VideoLlavaConfig,
    VideoLlavaForConditionalGeneration,
    VideoLlavaImageProcessor,
    VideoLlavaProcessor,
    VideoLlavaVideoProcessor,
    VipLlavaConfig,
    VipLlavaForConditionalGeneration,
)

from tests.support.small_families.flat import SIDE, VISION
from tests.support.small_families.tiled import GRIDS, SIZES
from tests.support.small_families.tokens import build_tokenizer, chat, text_config

SQUARE = {"height": SIDE, "width": SIDE}
CLIP = {"model_type": "clip_vision_model", **VISION}
SIGLIP = {"model_type": "siglip_vision_model", **VISION, "vision_use_head": False}
SAM = {
    "hidden_size": 32,
    "output_channels": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 64,
    "patch_size": 8,
    "window_size": 3,
    "mlp_dim": 64,
    "initializer_range": 0.02,
}


def vipllava() -> tuple[Any, Any]:
    """ViP-LLaVA, which reads several layers of its encoder."""
    tokenizer = build_tokenizer(image_token="<image>")
    processor = LlavaProcessor(
        CLIPImageProcessor(size=SQUARE, do_center_crop=False),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat("<image>"),
    )
    config = VipLlavaConfig(
        vision_config=CLIP,
        text_config={"model_type": "llama", **text_config(tokenizer)},
        image_token_index=tokenizer.image_token_id,
        vision_feature_layer=[-1, -2, 1],
        image_seq_length=16,
    )
    return VipLlavaForConditionalGeneration(config), processor


def aya_vision() -> tuple[Any, Any]:
    """Aya Vision."""
    tokenizer = build_tokenizer(
        image_token="<image>",
        start_of_img_token="<|START_OF_IMG|>",
        end_of_img_token="<|END_OF_IMG|>",
        img_patch_token="<|IMG_PATCH|>",
        tile_global_token="TILE_GLOBAL",
        **{f"tile_{number}_token": f"TILE_{number}" for number in range(1, 4)},
    )
    processor = AyaVisionProcessor(
        GotOcr2ImageProcessor(size=SQUARE, max_patches=3),
        tokenizer,
        patch_size=8,
        img_size=SIDE,
        downsample_factor=2,
        chat_template=chat("<image>"),
    )
    config = AyaVisionConfig(
        vision_config=SIGLIP,
        text_config={"model_type": "cohere2", **text_config(tokenizer, head_dim=16, sliding_window=64)},
        image_token_index=processor.image_token_id,
    )
    return AyaVisionForConditionalGeneration(config), processor


def cohere2_vision() -> tuple[Any, Any]:
    """Command A Vision."""
    tokenizer = build_tokenizer(
        image_token="<|IMG_PATCH|>",
        boi_token="<|START_OF_IMG|>",
        eoi_token="<|END_OF_IMG|>",
        img_line_break_token="<|IMG_LINE_BREAK|>",
    )
    processor = Cohere2VisionProcessor(
        Cohere2VisionImageProcessor(size=SQUARE, patch_size=2, max_patches=3),  # 2 by 2 tokens a tile
        tokenizer,
        chat_template=chat("<|IMG_PATCH|>"),
    )
    config = Cohere2VisionConfig(
        vision_config={"model_type": "siglip_vision_model", **VISION},
        text_config={"model_type": "cohere2", **text_config(tokenizer, head_dim=16, sliding_window=64)},
        image_token_id=tokenizer.image_token_id,
        alignment_intermediate_size=64,
    )
    return Cohere2VisionForConditionalGeneration(config), processor


def got_ocr2() -> tuple[Any, Any]:
    """GOT-OCR 2, whose real processor has no chat template, and writes 256 tokens an image whatever the network."""
    tokenizer = build_tokenizer(image_token="<imgpad>", img_start_token="<img>", img_end_token="</img>")
    processor = GotOcr2Processor(
        GotOcr2ImageProcessor(size={"height": 256, "width": 256}),
        tokenizer,
        chat_template=chat("<img><imgpad></img>"),
    )
    config = GotOcr2Config(
        # Of so many patches, attention to all would be slow; PP-Chart2Table has the same encoder with one such block.
        vision_config={**SAM, "image_size": 256, "patch_size": 4, "global_attn_indexes": []},
        text_config={"model_type": "qwen2", **text_config(tokenizer)},
        image_token_index=processor.image_token_id,
        image_seq_length=256,
    )
    return GotOcr2ForConditionalGeneration(config), processor


def deepseek_vl() -> tuple[Any, Any]:
    """DeepSeek-VL."""
    tokenizer = build_tokenizer(image_token="<image_placeholder>")
    processor = DeepseekVLProcessor(
        DeepseekVLImageProcessor(size=SQUARE),
        tokenizer,
        chat_template=chat("<image_placeholder>"),
        num_image_tokens=16,
    )
    config = DeepseekVLConfig(
        vision_config=SIGLIP,
        text_config={"model_type": "llama", **text_config(tokenizer)},
        image_token_id=tokenizer.image_token_id,
    )
    return DeepseekVLForConditionalGeneration(config), processor


def deepseek_vl_hybrid() -> tuple[Any, Any]:
    """DeepSeek-VL with two encoders: SigLIP on a small image and SAM on a large one."""
    tokenizer = build_tokenizer(image_token="<image_placeholder>")
    processor = DeepseekVLHybridProcessor(
        DeepseekVLHybridImageProcessor(
            size=SQUARE,
            high_res_size={"height": 64, "width": 64},
            image_mean=[0.5, 0.5, 0.5],  # SigLIP's; SAM takes images with CLIP's mean
            image_std=[0.5, 0.5, 0.5],
        ),
        tokenizer,
        chat_template=chat("<image_placeholder>"),
        num_image_tokens=16,
    )
    config = DeepseekVLHybridConfig(
        vision_config=SIGLIP,
        high_res_vision_config={"model_type": "sam_vision_model", **SAM, "global_attn_indexes": [1, 2]},
        text_config={"model_type": "llama", **text_config(tokenizer)},
        image_token_id=tokenizer.image_token_id,
    )
    return DeepseekVLHybridForConditionalGeneration(config), processor


def ovis2() -> tuple[Any, Any]:
    """Ovis2, whose image tokens are mixtures of a visual vocabulary."""
    indicators = {f"img_{name}_token": f"<IMG_{name.upper()}>" for name in ("start", "grid", "col", "row", "end")}
    tokenizer = build_tokenizer(image_token="<image>", img_atom_token="<IMG_ATOM>", **indicators)
    processor = Ovis2Processor(
        Ovis2ImageProcessor(size={"height": 40, "width": 40}, crop_to_patches=True, max_patches=4),
        tokenizer,
        chat_template=chat("<image>"),
        image_seq_length=4,
    )
    config = Ovis2Config(
        vision_config={**VISION, "image_size": 40, "patch_size": 10, "vocab_size": 64, "hidden_stride": 2},
        text_config={"model_type": "qwen2", **text_config(tokenizer)},
        image_token_id=tokenizer.img_atom_token_id,
        visual_indicator_token_ids=tokenizer.convert_tokens_to_ids(list(indicators.values())),
        vocab_size=len(tokenizer),
        hidden_size=32,
    )
    return Ovis2ForConditionalGeneration(config), processor


def granite4_vision() -> tuple[Any, Any]:
    """Granite 4 Vision, which adds image features before six layers of its text model."""
    tokenizer = build_tokenizer(image_token="<image>")
    processor = Granite4VisionProcessor(
        LlavaNextImageProcessor(**SIZES, crop_size=SQUARE),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="full",
        downsample_rate="1/2",
        chat_template=chat("<image>"),
    )
    config = Granite4VisionConfig(
        vision_config={**SIGLIP, "hidden_size": 64},  # the projector has a head for 64 channels
        text_config=text_config(tokenizer, num_hidden_layers=6),
        qformer_config={
            "model_type": "blip_2_qformer",
            "num_hidden_layers": 1,
            "intermediate_size": 64,
            "cross_attention_frequency": 1,
            "use_qformer_text_input": False,
        },
        image_token_index=tokenizer.image_token_id,
        image_grid_pinpoints=GRIDS,
        vision_feature_select_strategy="full",
        downsample_rate="1/2",
        deepstack_layer_map=[[-2, 0], [-1, 1]],
        spatial_target_layers=[2, 3, 4, 5],
    )
    return Granite4VisionForConditionalGeneration(config), processor


def llava_next_video() -> tuple[Any, Any]:
    """LLaVA-NeXT-Video."""
    tokenizer = build_tokenizer(image_token="<image>", video_token="<video>")
    processor = LlavaNextVideoProcessor(
        LlavaNextVideoVideoProcessor(),
        LlavaNextImageProcessor(**SIZES, crop_size=SQUARE),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat("<image>"),
    )
    config = LlavaNextVideoConfig(
        vision_config=CLIP,
        text_config={"model_type": "llama", **text_config(tokenizer)},
        image_token_index=tokenizer.image_token_id,
        video_token_index=tokenizer.video_token_id,
        image_grid_pinpoints=GRIDS,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
    )
    return LlavaNextVideoForConditionalGeneration(config), processor


def qianfan_ocr() -> tuple[Any, Any]:
    """Qianfan-OCR."""
    tokenizer = build_tokenizer(
        image_token="<image>",
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
    )
    processor = QianfanOCRProcessor(
        GotOcr2ImageProcessor(size=SQUARE, max_patches=3),
        tokenizer,
        image_seq_length=4,
        chat_template=chat("<image>"),
    )
    config = QianfanOCRConfig(
        vision_config={**VISION, "image_size": [SIDE, SIDE], "patch_size": [8, 8]},
        text_config={"model_type": "qwen3", **text_config(tokenizer, head_dim=16)},
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=4,
    )
    return QianfanOCRForConditionalGeneration(config), processor


def janus() -> tuple[Any, Any]:
    """Janus, with the smallest image generator that it takes."""
    tokenizer = build_tokenizer(
        image_token="<image_placeholder>", boi_token="<begin_of_image>", eoi_token="<end_of_image>"
    )
    processor = JanusProcessor(
        JanusImageProcessor(size=SQUARE),
        tokenizer,
        chat_template=chat("<image_placeholder>"),
        num_image_tokens=16,
    )
    config = JanusConfig(
        vision_config={
            **{key: value for key, value in VISION.items() if key != "intermediate_size"},
            "mlp_ratio": 2,
            "projection_dim": 32,
            "num_image_tokens": 16,
        },
        vq_config={
            "embed_dim": 8,
            "num_embeddings": 16,
            "latent_channels": 32,
            "base_channels": 32,
            "channel_multiplier": [1, 1],
            "num_res_blocks": 1,
            "projection_dim": 32,
            "image_token_embed_dim": 32,
        },
        text_config={"model_type": "llama", **text_config(tokenizer)},
        image_token_id=tokenizer.image_token_id,
    )
    return JanusForConditionalGeneration(config), processor


def video_llava() -> tuple[Any, Any]:
    """Video-LLaVA, which has one encoder for images and one for videos."""
    tokenizer = build_tokenizer(image_token="<image>", video_token="<video>")
    processor = VideoLlavaProcessor(
        VideoLlavaImageProcessor(size={"shortest_edge": SIDE}, crop_size=SQUARE),
        VideoLlavaVideoProcessor(size={"shortest_edge": SIDE}, crop_size=SQUARE),
        tokenizer,
        patch_size=8,
        chat_template=chat("<image>"),
    )
    config = VideoLlavaConfig(
        vision_config=CLIP,
        text_config={"model_type": "llama", **text_config(tokenizer)},
        image_token_index=tokenizer.image_token_id,
        video_token_index=tokenizer.video_token_id,
        vision_feature_layer=-1,
        image_seq_length=16,
    )
    return VideoLlavaForConditionalGeneration(config), processor


def llava_dinov3() -> tuple[Any, Any]:
    """LLaVA with DINOv3, whose four register tokens become image tokens."""
    tokenizer = build_tokenizer(image_token="<image>")
    processor = LlavaProcessor(
        CLIPImageProcessor(size=SQUARE, do_center_crop=False),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=5,
        chat_template=chat("<image>"),
    )
    config = LlavaConfig(
        vision_config={"model_type": "dinov3_vit", **VISION, "num_register_tokens": 4},
        text_config={"model_type": "llama", **text_config(tokenizer)},
        image_token_index=tokenizer.image_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
    )
    return LlavaForConditionalGeneration(config), processor


def llava_pixtral() -> tuple[Any, Any]:
    """LLaVA with Pixtral's encoder, which reads the patches of all images as one row."""
    tokenizer = build_tokenizer(image_token="[IMG]", image_break_token="[IMG_BREAK]", image_end_token="[IMG_END]")
    processor = PixtralProcessor(
        PixtralImageProcessor(patch_size=8, size={"longest_edge": 48}),
        tokenizer,
        patch_size=8,
        chat_template=chat("[IMG]"),
    )
    config = LlavaConfig(
        vision_config={"model_type": "pixtral", **VISION, "image_size": 64},
        text_config={"model_type": "mistral", **text_config(tokenizer)},
        image_token_index=tokenizer.image_token_id,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    return LlavaForConditionalGeneration(config), processor


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "vipllava": vipllava,
    "aya_vision": aya_vision,
    "cohere2_vision": cohere2_vision,
    "got_ocr2": got_ocr2,
    "deepseek_vl": deepseek_vl,
    "deepseek_vl_hybrid": deepseek_vl_hybrid,
    "ovis2": ovis2,
    "granite4_vision": granite4_vision,
    "llava_next_video": llava_next_video,
    "qianfan_ocr": qianfan_ocr,
    "janus": janus,
    "video_llava": video_llava,
    "llava/dinov3": llava_dinov3,
    "llava/pixtral": llava_pixtral,
}
