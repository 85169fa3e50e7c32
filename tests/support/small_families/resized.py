"""Families that resize an image to fit a grid of patches or tiles: the newer Gemma, Mistral, Llama 4 and Muse."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from transformers import (
    Gemma3ImageProcessor,
    Gemma3Processor,
    Gemma4AudioFeatureExtractor,
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    Gemma4ImageProcessor,
    Gemma4Processor,
    Gemma4UnifiedAudioFeatureExtractor,
    Gemma4UnifiedConfig,
    Gemma4UnifiedForConditionalGeneration,
    Gemma4UnifiedImageProcessor,
    Gemma4UnifiedProcessor,
    Gemma4UnifiedVideoProcessor,
    Gemma4VideoProcessor,
    LightOnOcrConfig,
    LightOnOcrForConditionalGeneration,
    LightOnOcrProcessor,
    Llama4Config,
    Llama4ForConditionalGeneration,
    Llama4ImageProcessor,
    Llama4Processor,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    MistralLarge4Config,
    MistralLarge4ForConditionalGeneration,
    MuseGlimmerConfig,
    MuseGlimmerForConditionalGeneration,
    MuseGlimmerImageProcessor,
    MuseGlimmerProcessor,
    MuseGlimmerVideoProcessor,
    MuseSparkConfig,
    MuseSparkFeatureExtractor,
    MuseSparkForConditionalGeneration,
    MuseSparkProcessor,
    PixtralImageProcessor,
    PixtralProcessor,
    T5Gemma2Config,
    T5Gemma2ForConditionalGeneration,
)

from tests.support.small_families.flat import SIDE, VISION
from tests.support.small_families.tokens import build_tokenizer, chat, text_config

PATCH = 8
LAYERS = ["sliding_attention", "full_attention"]
GEMMA_TOKENS = {
    "image_token": "<|image|>",
    "boi_token": "<|image>",
    "eoi_token": "<image|>",
    "audio_token": "<|audio|>",
    "boa_token": "<|audio>",
    "eoa_token": "<audio|>",
}
GEMMA_TEXT = {"head_dim": 16, "global_head_dim": 16, "sliding_window": 64, "layer_types": LAYERS}
# The processors allow no fewer than 70 tokens for an image.
GEMMA_SIZES = {"patch_size": 4, "pooling_kernel_size": 2, "max_soft_tokens": 70}
MUSE_TOKENS = {
    "image_token": "<|patch|>",
    "image_start_token": "<|image_start|>",
    "image_end_token": "<|image_end|>",
    "video_token": "<|video|>",
    "video_sep_token": "<|vid_frame_separator|>",
    "video_start_token": "<|vid_start|>",
    "video_end_token": "<|vid_end|>",
    "audio_token": "<|audio|>",
    "audio_start_token": "<|soft_audio_start|>",
    "audio_end_token": "<|soft_audio_end|>",
}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 32}
LATENT = {
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    "max_position_embeddings": 2**20,  # what the default of the positions' scaling is made for
}


def gemma4(
    config: Any, network: Any, processor: Any, parts: tuple[Any, Any, Any], vision: dict, text: dict
) -> tuple[Any, Any]:
    """Gemma 4, with a vision encoder or (unified) without one, and without audio."""
    images, videos, audio = parts
    tokenizer = build_tokenizer("<|video|>", **GEMMA_TOKENS)
    built = processor(audio(), images(**GEMMA_SIZES), tokenizer, videos(**GEMMA_SIZES), chat_template=chat("<|image|>"))
    if "hidden_size_per_layer_input" in text:
        text = {**text, "vocab_size_per_layer_input": len(tokenizer)}
    kind = config.model_type
    settings = config(
        vision_config={"model_type": f"{kind}_vision", "patch_size": 4, "pooling_kernel_size": 2, **vision},
        text_config={"model_type": f"{kind}_text", **text_config(tokenizer, **GEMMA_TEXT, **text)},
        audio_config=None,
        tie_word_embeddings=False,  # tied random weights would repeat one word whatever the image
        video_token_id=built.video_token_id,
        eoa_token_index=tokenizer.eoa_token_id,
        **{f"{name}_id": tokenizer.convert_tokens_to_ids(GEMMA_TOKENS[name]) for name in list(GEMMA_TOKENS)[:5]},
    )
    model = network(settings)
    if config is Gemma4Config:  # which starts from ones: so large that the pixels would hardly matter
        nn.init.normal_(model.model.vision_tower.patch_embedder.position_embedding_table, std=0.02)
    return model, built


def pixtral(config: Any, network: Any, text: dict) -> tuple[Any, Any]:
    """The Mistral types with Pixtral's vision encoder, whose patches are merged in blocks of two by two."""
    tokenizer = build_tokenizer(image_token="[IMG]", image_break_token="[IMG_BREAK]", image_end_token="[IMG_END]")
    processor = PixtralProcessor(
        PixtralImageProcessor(size={"longest_edge": 64}, patch_size=PATCH),
        tokenizer,
        patch_size=PATCH,
        spatial_merge_size=2,
        chat_template=chat("[IMG]"),
    )
    settings = config(
        vision_config={"model_type": "pixtral", **VISION, "image_size": 64, "hidden_act": "silu"},
        text_config=text_config(tokenizer, **text),
        image_token_index=tokenizer.image_token_id,
        tie_word_embeddings=False,
    )
    return network(settings), processor


def lighton_ocr() -> tuple[Any, Any]:
    """LightOnOCR."""
    tokenizer = build_tokenizer(
        image_token="<|image_pad|>", image_break_token="<|vision_pad|>", image_end_token="<|vision_end|>"
    )
    processor = LightOnOcrProcessor(
        PixtralImageProcessor(size={"longest_edge": 64}, patch_size=2 * PATCH),
        tokenizer,
        patch_size=PATCH,
        spatial_merge_size=2,
        chat_template=chat("<|image_pad|>"),
    )
    config = LightOnOcrConfig(
        vision_config={"model_type": "pixtral", **VISION, "image_size": 64, "hidden_act": "silu"},
        text_config={"model_type": "qwen3", **text_config(tokenizer, head_dim=16)},
        image_token_id=tokenizer.image_token_id,
        spatial_merge_size=2,
        tie_word_embeddings=False,  # as in Gemma 4 above
    )
    return LightOnOcrForConditionalGeneration(config), processor


def llama4() -> tuple[Any, Any]:
    """Llama 4: up to three tiles and an overview."""
    tokenizer = build_tokenizer(
        image_token="<|image|>",
        patch_token="<|patch|>",
        tile_x_separator_token="<|tile_x_separator|>",
        tile_y_separator_token="<|tile_y_separator|>",
        boi_token="<|image_start|>",
        eoi_token="<|image_end|>",
    )
    processor = Llama4Processor(
        Llama4ImageProcessor(size={"height": SIDE, "width": SIDE}, max_patches=3),
        tokenizer,
        patch_size=PATCH,
        chat_template=chat("<|image|>"),
    )
    config = Llama4Config(
        # The width of the vision MLP is also that of four patches side by side.
        vision_config={
            **VISION,
            "intermediate_size": 128,
            "projector_input_dim": 32,
            "projector_output_dim": 32,
            "vision_output_dim": 32,
        },
        text_config=text_config(
            tokenizer,
            head_dim=16,
            intermediate_size_mlp=64,
            num_local_experts=2,
            interleave_moe_layer_step=2,
            no_rope_layer_interval=2,
            attention_chunk_size=64,
        ),
        image_token_index=tokenizer.patch_token_id,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
    )
    return Llama4ForConditionalGeneration(config), processor


def t5gemma2() -> tuple[Any, Any]:
    """T5Gemma 2: the images go to the encoder, the decoder writes the answer."""
    tokenizer = build_tokenizer(image_token="<soft>", boi_token="<boi>", eoi_token="<eoi>")
    images = Gemma3ImageProcessor(size={"height": SIDE, "width": SIDE})
    processor = Gemma3Processor(images, tokenizer, chat_template=chat("<boi>"), image_seq_length=4)
    text = text_config(tokenizer, head_dim=16, query_pre_attn_scalar=16, sliding_window=64, layer_types=LAYERS)
    config = T5Gemma2Config(
        encoder={
            "vision_config": {"model_type": "siglip_vision_model", **VISION, "vision_use_head": False},
            "text_config": text,
            "mm_tokens_per_image": 4,
            "boi_token_index": tokenizer.boi_token_id,
            "eoi_token_index": tokenizer.eoi_token_id,
        },
        decoder=text,
        image_token_index=tokenizer.image_token_id,
    )
    return T5Gemma2ForConditionalGeneration(config), processor


def muse(config: Any, network: Any, processor: Any, text: dict, parts: dict, more: dict) -> tuple[Any, Any]:
    """Muse: the patches of all images packed, attention in windows of four by four patches but in the last block."""
    tokenizer = build_tokenizer(**MUSE_TOKENS)
    built = processor(
        image_processor=MuseGlimmerImageProcessor(patch_size=PATCH, max_image_tokens=16),
        video_processor=MuseGlimmerVideoProcessor(patch_size=PATCH),
        tokenizer=tokenizer,
        chat_template=chat("<|patch|>"),
        **{name: part() for name, part in parts.items()},
    )
    settings = config(
        vision_config={
            **{name: value for name, value in VISION.items() if name != "image_size"},
            "pos_emb_height": 4,
            "pos_emb_width": 4,
            "max_position_embeddings": 16,
        },
        text_config=text_config(tokenizer, head_dim=16, sliding_window=64, output_multiplier=1.0, **text),
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
        out_hidden_size=128,
        projector_hidden_size=32,
        **more,
    )
    return network(settings), built


_GEMMA4 = partial(
    gemma4,
    Gemma4Config,
    Gemma4ForConditionalGeneration,
    Gemma4Processor,
    (Gemma4ImageProcessor, Gemma4VideoProcessor, Gemma4AudioFeatureExtractor),
    {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "position_embedding_size": 160,
    },
)
BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "gemma4": partial(_GEMMA4, {"hidden_size_per_layer_input": 8}),
    "gemma4/experts": partial(
        _GEMMA4,
        {
            "hidden_size_per_layer_input": 0,
            "use_bidirectional_attention": "vision",
            "attention_k_eq_v": True,
            "num_global_key_value_heads": 1,
            "enable_moe_block": True,
            "num_experts": 4,
            "top_k_experts": 2,
            "moe_intermediate_size": 32,
        },
    ),
    "mistral3": partial(pixtral, Mistral3Config, Mistral3ForConditionalGeneration, {"model_type": "mistral"}),
    "mistral3/mistral4": partial(
        pixtral,
        Mistral3Config,
        Mistral3ForConditionalGeneration,
        {"model_type": "mistral4", **LATENT, **EXPERTS, "q_lora_rank": 16, "n_routed_experts": 4},
    ),
    "lighton_ocr": lighton_ocr,
    "gemma4_unified": partial(
        gemma4,
        Gemma4UnifiedConfig,
        Gemma4UnifiedForConditionalGeneration,
        Gemma4UnifiedProcessor,
        (Gemma4UnifiedImageProcessor, Gemma4UnifiedVideoProcessor, Gemma4UnifiedAudioFeatureExtractor),
        {"mm_embed_dim": 32, "output_proj_dims": 32, "mm_posemb_size": 80},
        {},
    ),
    "llama4": llama4,
    "t5gemma2": t5gemma2,
    "muse_glimmer": partial(
        muse, MuseGlimmerConfig, MuseGlimmerForConditionalGeneration, MuseGlimmerProcessor, {}, {}, {}
    ),
    "muse_spark": partial(
        muse,
        MuseSparkConfig,
        MuseSparkForConditionalGeneration,
        MuseSparkProcessor,
        {**EXPERTS, "num_local_experts": 4, "moe_hidden_size": 32, "mlp_layer_types": ["dense", "sparse"]},
        {"feature_extractor": MuseSparkFeatureExtractor},
        {
            "audio_config": {
                "patch_sizes": [4],
                "hidden_sizes": [8],
                "depths": [1],
                "num_hidden_layers": 1,
                "out_hidden_size": 32,
            }
        },
    ),
    "mistral_large4": partial(
        pixtral,
        MistralLarge4Config,
        MistralLarge4ForConditionalGeneration,
        {
            **LATENT,
            **EXPERTS,
            "n_routed_experts": 4,
            "index_topk": 64,
            "index_head_dim": 16,
            "index_n_heads": 2,
            "no_rope_layer_interval": 2,
        },
    ),
}
