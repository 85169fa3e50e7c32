"""Families that take images near their own sizes: packed patches with a grid for each image, or LFM2-VL's tiles."""

from collections.abc import Callable
from functools import partial
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    Cosmos3EdgeConfig,
    Cosmos3EdgeForConditionalGeneration,
    Cosmos3EdgeImageProcessor,
    Cosmos3EdgeProcessor,
    Cosmos3EdgeVideoProcessor,
    Cosmos3OmniConfig,
    Cosmos3OmniForConditionalGeneration,
    Dots3NoteConfig,
    Dots3NoteFeatureExtractor,
    Dots3NoteForConditionalGeneration,
    Dots3NoteProcessor,
    Ernie4_5_VLMoeConfig,
    Ernie4_5_VLMoeForConditionalGeneration,
    Ernie4_5_VLMoeImageProcessor,
    Ernie4_5_VLMoeProcessor,
    Ernie4_5_VLMoeVideoProcessor,
    GPT2Tokenizer,
    HunYuanVLConfig,
    HunYuanVLForConditionalGeneration,
    HunYuanVLImageProcessor,
    HunYuanVLProcessor,
    HyperCLOVAXVisionV2Config,
    HyperCLOVAXVisionV2ForConditionalGeneration,
    HyperCLOVAXVisionV2Processor,
    HYV4VLConfig,
    HYV4VLForConditionalGeneration,
    HYV4VLImageProcessor,
    HYV4VLProcessor,
    HYV4VLVideoProcessor,
    Kimi_K25Config,
    Kimi_K25ForConditionalGeneration,
    Kimi_K25ImageProcessor,
    Kimi_K25Processor,
    Kimi_K25VideoProcessor,
    Lfm2VlConfig,
    Lfm2VlForConditionalGeneration,
    Lfm2VlImageProcessor,
    Lfm2VlProcessor,
    Lfm3VlConfig,
    Lfm3VlForConditionalGeneration,
    Lfm3VlProcessor,
    MiniMaxM3SparseForConditionalGeneration,
    MiniMaxM3VLConfig,
    MiniMaxM3VLImageProcessor,
    MiniMaxM3VLProcessor,
    MiniMaxM3VLVideoProcessor,
    PaddleOCRVLConfig,
    PaddleOCRVLForConditionalGeneration,
    PaddleOCRVLImageProcessor,
    PaddleOCRVLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
    VideoLlama3Config,
    VideoLlama3ForConditionalGeneration,
    VideoLlama3ImageProcessor,
    VideoLlama3Processor,
    VideoLlama3VideoProcessor,
)

from tests.support.small_families.flat import SIDE
from tests.support.small_families.qwen import PATCH, TOKENS
from tests.support.small_families.tokens import build_tokenizer, chat, text_config

PIXELS = {"shortest_edge": SIDE * SIDE, "longest_edge": 64 * 64}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "patch_size": PATCH,
}
QWEN_VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "out_hidden_size": 32,
    "depth": 3,
    "num_heads": 2,
    "patch_size": PATCH,
}
ROPE = {"rope_type": "default", "rope_theta": 10000.0}
SECTIONS = {**ROPE, "mrope_section": [2, 3, 3]}
LATENT = {  # queries, keys and values through small vectors, as in DeepSeek
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 16,
    "v_head_dim": 16,
}
EXPERTS = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
INDEX = {"index_n_heads": 2, "index_head_dim": 16}
PAD = "<|image_pad|>"
PAIR = {"image_token": PAD, "video_token": "<|video_pad|>"}
BOUNDS = {"start_token": "<|vision_start|>", "end_token": "<|vision_end|>"}
MARKER = PAD.join(BOUNDS.values())
# Tied embeddings of random weights answer with the prompt's last token, whatever the image.
UNTIED = {"tie_word_embeddings": False}
KIMI = {"image_token": "<|media_pad|>", "video_token": "<|kimi_k25_video_placeholder|>"}
KIMI_BOUNDS = {"start_token": "<|media_begin|>", "content_token": "<|media_content|>", "end_token": "<|media_end|>"}
ERNIE = {
    "image_token": "<|IMAGE_PLACEHOLDER|>",
    "image_start_token": "<|IMAGE_START|>",
    "image_end_token": "<|IMAGE_END|>",
    "video_token": "<|VIDEO_PLACEHOLDER|>",
    "video_start_token": "<|VIDEO_START|>",
    "video_end_token": "<|VIDEO_END|>",
}


def packed(
    config: Any,
    network: Any,
    processor: Any,
    images: Any,
    vision: dict,
    text: dict,
    *,
    size: dict = PIXELS,
    parts: dict[str, Callable[[], Any]] | None = None,
    tokens: dict[str, str] = TOKENS,
    bounds: dict[str, str] | None = None,
    marker: str = MARKER,
    build: Callable[..., Any] = build_tokenizer,
    **more: Any,
) -> tuple[Any, Any]:
    """A family that makes one row of the patches of all images, with a grid for each image.

    Args:
        config, network, processor, images: its classes.
        vision, text: sizes of the vision encoder and of the language model.
        size: how large the image processor makes images.
        parts: what else the processor consists of.
        tokens: special tokens whose numbers the configuration has.
        bounds: other special tokens.
        marker: what stands for an image in a prompt.
        build: makes the tokenizer from the special tokens.
        more: the rest of the configuration.
    """
    tokenizer = build(**tokens, **(bounds or {}))
    kept = {name: part() for name, part in (parts or {}).items()}
    kept["image_processor"] = images(patch_size=PATCH, size=size)
    built = processor(tokenizer=tokenizer, chat_template=chat(marker), **kept)
    ids = {f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in tokens.items()}
    language = text_config(tokenizer, **UNTIED, **text)
    return network(config(vision_config=vision, text_config=language, **UNTIED, **ids, **more)), built


def byte_tokenizer(**special: str) -> GPT2Tokenizer:
    """The tokenizer of single bytes of a family that loads as GPT-2's, whatever was saved."""
    pieces = ["<pad>", "<s>", "</s>", "<unk>", *special.values(), *sorted(ByteLevel.alphabet())]
    return GPT2Tokenizer(
        vocab={piece: i for i, piece in enumerate(pieces)},
        merges=[],
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens=special,
        padding_side="left",
        model_max_length=2048,
    )


def hunyuan_vl() -> tuple[Any, Any]:
    """HunYuan-VL, which adds tokens around an image and at the end of each of its rows."""
    tokenizer = build_tokenizer(image_token="<image>", image_start_token="<im_start>", image_end_token="<im_end>")
    images = HunYuanVLImageProcessor(patch_size=PATCH, size=PIXELS)
    processor = HunYuanVLProcessor(images, tokenizer, chat_template=chat("<im_start><image><im_end>"))
    rope = {**ROPE, "mrope_section": [2, 2, 2, 2]}
    config = HunYuanVLConfig(
        vision_config={**VISION, "max_image_size": 64, "min_image_size": SIDE, "out_hidden_size": 32},
        text_config=text_config(tokenizer, head_dim=16, rope_parameters=rope, **UNTIED),
        image_token_id=tokenizer.image_token_id,
        im_start_id=tokenizer.image_start_token_id,
        im_end_id=tokenizer.image_end_token_id,
        **UNTIED,
    )
    return HunYuanVLForConditionalGeneration(config), processor


def lfm2_vl() -> tuple[Any, Any]:
    """LFM2-VL: large images become tiles and an overview, and every row of patches is filled up to one length."""
    tags = {f"tile_{r}_{c}_token": f"<|img_row_{r}_col_{c}|>" for r in range(1, 5) for c in range(1, 5)}
    tokenizer = build_tokenizer(
        **tags,
        image_token="<image>",
        image_start_token="<|image_start|>",
        image_end_token="<|image_end|>",
        image_thumbnail_token="<|img_thumbnail|>",
    )
    images = Lfm2VlImageProcessor(
        encoder_patch_size=PATCH,
        tile_size=SIDE,
        max_tiles=4,
        min_image_tokens=4,
        max_image_tokens=8,
        max_pixels_tolerance=1.5,
    )
    processor = Lfm2VlProcessor(images, tokenizer, chat_template=chat("<image>"))
    text = text_config(tokenizer, layer_types=["conv", "full_attention"], block_multiple_of=16, **UNTIED)
    config = Lfm2VlConfig(
        vision_config={"model_type": "siglip2_vision_model", **VISION, "num_patches": 16, "vision_use_head": False},
        text_config={"model_type": "lfm2", **text},
        image_token_id=tokenizer.image_token_id,
        projector_hidden_size=64,
        **UNTIED,
    )
    return Lfm2VlForConditionalGeneration(config), processor


def dots3_note() -> tuple[Any, Any]:
    """dots3 note, with the smallest audio encoder."""
    tokens = {"image_token": "<|imgpad|>", "video_token": "<|video_pad|>", "audio_token": "<|audio_comp_pad|>"}
    return packed(
        Dots3NoteConfig,
        Dots3NoteForConditionalGeneration,
        Dots3NoteProcessor,
        partial(Qwen2VLImageProcessor, temporal_patch_size=1),
        {
            **VISION,
            "adapter_in_dim": 32,
            "adapter_out_dim": 32,
            "moe_intermediate_size": 16,
            "pyramid_num_routed": [-1, 2, 4],
        },
        {
            **LATENT,
            **EXPERTS,
            **INDEX,
            "shared_experts_intermediate_size": 16,
            "head_dim": 32,
            "layer_types": ["indexed_attention", "sliding_attention"],
            "swa_num_attention_heads": 2,
            "swa_num_key_value_heads": 2,
            "swa_q_lora_rank": 16,
            "swa_kv_lora_rank": 16,
            "swa_head_dim": 32,
            "swa_qk_nope_head_dim": 16,
            "swa_v_head_dim": 16,
        },
        parts={
            "video_processor": partial(Qwen3VLVideoProcessor, patch_size=PATCH, temporal_patch_size=1),
            "feature_extractor": partial(Dots3NoteFeatureExtractor, feature_size=8),
        },
        tokens=tokens,
        bounds={"start_token": "<|img|>", "end_token": "<|endofimg|>"},
        marker="<|img|><|imgpad|><|endofimg|>",
        audio_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "feature_size": 8,
            "downsample_hidden_size": 8,
            "adapter_input_size": 16,
            "adapter_out_dim": 32,
        },
    )


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "kimi_k25": partial(
        packed,
        Kimi_K25Config,
        Kimi_K25ForConditionalGeneration,
        Kimi_K25Processor,
        Kimi_K25ImageProcessor,
        {**VISION, "pos_emb_height": 8, "pos_emb_width": 8},
        {
            "model_type": "deepseek_v3",
            **LATENT,
            **EXPERTS,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
            "rope_parameters": ROPE,
        },
        size={"max_height": 64, "max_width": 64},
        parts={"video_processor": Kimi_K25VideoProcessor},
        tokens=KIMI,
        bounds=KIMI_BOUNDS,
        marker="<|media_begin|>image<|media_content|><|media_pad|><|media_end|>",
        projection_hidden_size=32,
    ),
    "lfm2_vl": lfm2_vl,
    "lfm3_vl": partial(
        packed,
        Lfm3VlConfig,
        Lfm3VlForConditionalGeneration,
        Lfm3VlProcessor,
        Qwen2VLImageProcessor,
        {**VISION, "num_key_value_heads": 1},
        {"model_type": "lfm3", "head_dim": 16, "layer_types": ["conv", "full_attention"]},
        parts={"video_processor": partial(Qwen3VLVideoProcessor, patch_size=PATCH)},
        projector_hidden_size=64,
    ),
    "hunyuan_vl": hunyuan_vl,
    "ernie4_5_vl_moe": partial(
        packed,
        Ernie4_5_VLMoeConfig,
        Ernie4_5_VLMoeForConditionalGeneration,
        Ernie4_5_VLMoeProcessor,
        Ernie4_5_VLMoeImageProcessor,
        {k: v for k, v in QWEN_VISION.items() if k != "out_hidden_size"},
        {
            "moe_intermediate_size": [32, 16],
            "moe_num_experts": 4,
            "moe_k": 2,
            "moe_num_shared_experts": 1,
            "rope_parameters": {**ROPE, "mrope_section": [3, 3, 2]},
        },
        parts={"video_processor": partial(Ernie4_5_VLMoeVideoProcessor, patch_size=PATCH, draw_on_frames=False)},
        tokens=ERNIE,
        marker="<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>",
    ),
    "paddleocr_vl": partial(
        packed,
        PaddleOCRVLConfig,
        PaddleOCRVLForConditionalGeneration,
        PaddleOCRVLProcessor,
        PaddleOCRVLImageProcessor,
        {**VISION, "image_size": SIDE},
        {"head_dim": 16, "rope_parameters": SECTIONS},
    ),
    "video_llama_3": partial(
        packed,
        VideoLlama3Config,
        VideoLlama3ForConditionalGeneration,
        VideoLlama3Processor,
        VideoLlama3ImageProcessor,
        VISION,
        {"model_type": "qwen2"},
        size={"shortest_edge": SIDE * SIDE, "longest_edge": 56 * 56},
        parts={"video_processor": partial(VideoLlama3VideoProcessor, patch_size=PATCH)},
        tokens=PAIR,
        bounds=BOUNDS,
    ),
    "minimax_m3_vl": partial(
        packed,
        MiniMaxM3VLConfig,
        MiniMaxM3SparseForConditionalGeneration,
        MiniMaxM3VLProcessor,
        MiniMaxM3VLImageProcessor,
        {**VISION, "image_size": 64},
        {
            **INDEX,
            "head_dim": 16,
            "rotary_dim": 8,
            "rope_parameters": {**ROPE, "partial_rotary_factor": 0.5},
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "dense_intermediate_size": 64,
            "shared_intermediate_size": 16,
            "layer_types": ["full_attention", "minimax_m3_sparse"],
            "mlp_layer_types": ["dense", "sparse"],
        },
        parts={"video_processor": partial(MiniMaxM3VLVideoProcessor, patch_size=PATCH)},
        tokens={"image_token": "]<]image[>[", "video_token": "]<]video[>["},
        bounds={"start_token": "]<]start of image[>[", "end_token": "]<]end of image[>["},
        marker="]<]image[>[",
        projector_hidden_size=64,
    ),
    "hyperclovax_vision_v2": partial(
        packed,
        HyperCLOVAXVisionV2Config,
        HyperCLOVAXVisionV2ForConditionalGeneration,
        HyperCLOVAXVisionV2Processor,
        Qwen2VLImageProcessor,
        {"model_type": "qwen2_5_vl_vision", **QWEN_VISION, "window_size": 32, "fullatt_block_indexes": [2]},
        {"model_type": "hyperclovax"},
        parts={"video_processor": partial(Qwen2VLVideoProcessor, patch_size=PATCH)},
        tokens=PAIR,
        bounds=BOUNDS,
        build=byte_tokenizer,
    ),
    "dots3_note": dots3_note,
    "hy_v4_vl": partial(
        packed,
        HYV4VLConfig,
        HYV4VLForConditionalGeneration,
        HYV4VLProcessor,
        HYV4VLImageProcessor,
        {**VISION, "max_image_size": 64, "out_hidden_size": 32},
        {**LATENT, **EXPERTS, **INDEX, "rope_parameters": SECTIONS, "initializer_range": 0.02},
        parts={"video_processor": partial(HYV4VLVideoProcessor, patch_size=PATCH)},
        tokens=PAIR,
        bounds=BOUNDS,
    ),
    "cosmos3_edge": partial(
        packed,
        Cosmos3EdgeConfig,
        Cosmos3EdgeForConditionalGeneration,
        Cosmos3EdgeProcessor,
        Cosmos3EdgeImageProcessor,
        {**VISION, "num_patches": 16},
        {"head_dim": 16, "rope_parameters": SECTIONS},
        parts={"video_processor": partial(Cosmos3EdgeVideoProcessor, patch_size=PATCH)},
        projector_hidden_size=64,
    ),
    "cosmos3_omni": partial(
        packed,
        Cosmos3OmniConfig,
        Cosmos3OmniForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen2VLImageProcessor,
        {
            "model_type": "qwen3_vl_vision",
            **QWEN_VISION,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1],
        },
        {"model_type": "qwen3_vl_text", "head_dim": 16, "rope_parameters": {**SECTIONS, "mrope_interleaved": True}},
        parts={"video_processor": partial(Qwen3VLVideoProcessor, patch_size=PATCH)},
    ),
}
