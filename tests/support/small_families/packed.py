"""Families that pack the patches of all images into one sequence, as qwen.py does: later Qwens, EXAONE 4.5, GLM-V."""

from collections.abc import Callable
from functools import partial
from string import ascii_uppercase
from typing import Any

from transformers import (
    Exaone4_5_Config,
    Exaone4_5_ForConditionalGeneration,
    Exaone4_5_Processor,
    Glm4vConfig,
    Glm4vForConditionalGeneration,
    Glm4vImageProcessor,
    Glm4vMoeConfig,
    Glm4vMoeForConditionalGeneration,
    Glm4vProcessor,
    Glm4vVideoProcessor,
    Glm5NextConfig,
    Glm5NextForConditionalGeneration,
    Glm5NextImageProcessor,
    Glm5NextProcessor,
    Glm5NextVideoProcessor,
    Glm46VConfig,
    Glm46VForConditionalGeneration,
    Glm46VImageProcessor,
    Glm46VProcessor,
    Glm46VVideoProcessor,
    GlmgaConfig,
    GlmgaImageProcessor,
    GlmgaVideoProcessor,
    GlmOcrConfig,
    GlmOcrForConditionalGeneration,
    Qwen2_5OmniProcessor,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
    Qwen3_5MoeConfig,
    Qwen3_5MoeForConditionalGeneration,
    Qwen3_5Tokenizer,
    Qwen3OmniMoeProcessor,
    Qwen3OmniMoeThinkerConfig,
    Qwen3OmniMoeThinkerForConditionalGeneration,
    Qwen3VLMoeConfig,
    Qwen3VLMoeForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
    Qwen4ExpConfig,
    Qwen4ExpForConditionalGeneration,
    WhisperFeatureExtractor,
)

from tests.support.small_families.qwen import PATCH, TOKENS
from tests.support.small_families.tokens import CHARACTERS, build_tokenizer, chat, text_config
from tests.support.small_models import WORDS

OMNI_TOKENS = {
    "image_token": "<|IMAGE|>",
    "video_token": "<|VIDEO|>",
    "audio_token": "<|AUDIO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}
GLM_TOKENS = {
    "image_token": "<|image|>",
    "video_token": "<|video|>",
    "image_start_token": "<|begin_of_image|>",
    "image_end_token": "<|end_of_image|>",
    "video_start_token": "<|begin_of_video|>",
    "video_end_token": "<|end_of_video|>",
}
VISION = {"depth": 3, "num_heads": 2, "patch_size": PATCH, "spatial_merge_size": 2, "temporal_patch_size": 2}
VISION |= {"hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 32}
WINDOWS = {"window_size": 32, "fullatt_block_indexes": [2]}
LEARNED = {"num_position_embeddings": 64}
DEEPSTACK = {**LEARNED, "deepstack_visual_indexes": [0, 1]}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
GLM_EXPERTS = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}


def packed(
    config: Any,
    network: Any,
    processor: Any,
    images: Any,
    tokens: dict[str, str],
    marker: str,
    vision: dict,
    text: dict,
    more: dict | None = None,
    tokenizer: Any = None,
    **parts: Any,
) -> tuple[Any, Any]:
    """One type. `parts` are further parts of the processor, `more` further settings of the configuration."""
    tokenizer = tokenizer or build_tokenizer(**tokens)
    built = processor(image_processor=images, tokenizer=tokenizer, **parts, chat_template=chat(marker))
    names = {name: name.replace("bos", "start").replace("eos", "end") for name in tokens}
    ids = {f"{names[name]}_id": tokenizer.convert_tokens_to_ids(token) for name, token in tokens.items()}
    sizes = {"vision_config": {**VISION, **vision}, "text_config": text_config(tokenizer, **text)}
    return network(config(**sizes, **ids, **(more or {}))), built


def qwen3_5_tokenizer(**special: str) -> Qwen3_5Tokenizer:
    """The class that transformers loads for Qwen3.5 and Qwen4 whatever was saved, with a small vocabulary."""
    own = ["<pad>", "<s>", "</s>", "<unk>", *special.values()]
    letters = ["\u0120", *CHARACTERS, *ascii_uppercase]  # the first stands for a space
    words = [f"\u0120{word}" for word in WORDS.split()]
    merges = dict.fromkeys((word[:i], word[i]) for word in words for i in range(1, len(word)))
    pieces = [*own, *letters, *map("".join, merges)]
    return Qwen3_5Tokenizer(
        vocab={piece: i for i, piece in enumerate(pieces)},
        merges=list(merges),
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens=special,
        padding_side="left",
        model_max_length=2048,
    )


def qwen(
    config: Any,
    network: Any,
    vision: dict,
    text: dict,
    processor: Any = Qwen3VLProcessor,
    tokenizer: Callable[..., Any] = build_tokenizer,
) -> tuple[Any, Any]:
    """Qwen3-VL with experts, Qwen3.5, Qwen4, and EXAONE 4.5, which has the same image and text layout."""
    videos = Qwen3VLVideoProcessor if processor is Qwen3VLProcessor else Qwen2VLVideoProcessor
    images = Qwen2VLImageProcessor(patch_size=PATCH, size={"shortest_edge": 32 * 32, "longest_edge": 64 * 64})
    marker = "<|vision_start|><|image_pad|><|vision_end|>"
    video = videos(patch_size=PATCH)
    parts = {"video_processor": video, "tokenizer": tokenizer(**TOKENS)}
    return packed(config, network, processor, images, TOKENS, marker, vision, text, **parts)


def omni(config: Any, network: Any, processor: Any, vision: dict, text: dict, audio: dict) -> tuple[Any, Any]:
    """The part of a Qwen Omni that reads and writes text."""
    images = Qwen2VLImageProcessor(patch_size=PATCH, size={"shortest_edge": 32 * 32, "longest_edge": 64 * 64})
    hearing = {"num_mel_bins": 8, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
    hearing |= {"d_model": 32, "output_dim": 32, "max_source_positions": 100, **audio}
    return packed(
        config,
        network,
        processor,
        images,
        OMNI_TOKENS,
        "<|vision_bos|><|IMAGE|><|vision_eos|>",
        vision,
        text,
        {"audio_config": hearing},
        video_processor=Qwen2VLVideoProcessor(patch_size=PATCH),
        feature_extractor=WhisperFeatureExtractor(feature_size=8, chunk_length=2),
    )


def glm(
    config: Any, network: Any, processor: Any, images: Any, videos: Any, vision: dict, text: dict, pixels: dict
) -> tuple[Any, Any]:
    """One GLM-V; each differs from the others in its classes."""
    marker = "<|begin_of_image|><|image|><|end_of_image|>"
    seeing = images(patch_size=PATCH, **pixels)
    video = videos(patch_size=PATCH)
    sizes = {"image_size": 64, **vision}
    return packed(config, network, processor, seeing, GLM_TOKENS, marker, sizes, text, video_processor=video)


def _rope(*sections: int, **more: object) -> dict:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [*sections], **more}}


_QWEN3 = {"head_dim": 16, **_rope(2, 3, 3, mrope_interleaved=True)}
_HYBRID = {
    "head_dim": 32,
    "layer_types": ["linear_attention", "full_attention"],
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    **_rope(2, 1, 1, mrope_interleaved=True, partial_rotary_factor=0.25),
}
_QWEN4 = {
    "hc_count": 2,
    "hc_lowrank": 8,
    "indexer_n_heads": 2,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 16,
    "indexer_budget": 256,
    "indexer_compress_ratio": 4,
    "ple_layer_ids": [1],
    "heads_per_ngram": 2,
    "ngram_vocab_size_base": 64,
    "split_ngram_parts": 2,
}
_GLM = {"head_dim": 16, **_rope(1, 1, 2, partial_rotary_factor=0.5)}
_GLM5 = {
    "layer_types": ["linear_attention", "indexed_attention"],
    "mlp_layer_types": ["dense", "sparse"],
    "linear_head_dim": 16,
    "linear_num_heads": 2,
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "v_head_dim": 16,
    "qk_nope_head_dim": 16,
    "index_topk": 256,
    "index_head_dim": 16,
    "index_n_heads": 2,
    "index_kpool": 4,
    "hc_mult": 2,
    **GLM_EXPERTS,
}
_AREA = {"size": {"shortest_edge": 2 * 32 * 32, "longest_edge": 2 * 64 * 64}}  # two frames of each image
_GLM46V = partial(glm, network=Glm46VForConditionalGeneration, processor=Glm46VProcessor, pixels=_AREA)
_GLM4V_PARTS = {
    "vision": {"model_type": "glm4v_vision"},
    "text": {"model_type": "glm4v_text", **_GLM},
}

BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "qwen3_5": partial(
        qwen, Qwen3_5Config, Qwen3_5ForConditionalGeneration, LEARNED, _HYBRID, tokenizer=qwen3_5_tokenizer
    ),
    "qwen3_vl_moe": partial(
        qwen, Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration, DEEPSTACK, {**EXPERTS, **_QWEN3}
    ),
    "qwen3_5_moe": partial(
        qwen,
        Qwen3_5MoeConfig,
        Qwen3_5MoeForConditionalGeneration,
        LEARNED,
        {**EXPERTS, "shared_expert_intermediate_size": 16, **_HYBRID},
        tokenizer=qwen3_5_tokenizer,
    ),
    "qwen4_exp": partial(
        qwen,
        Qwen4ExpConfig,
        Qwen4ExpForConditionalGeneration,
        LEARNED,
        {**EXPERTS, "shared_expert_intermediate_size": 16, **_HYBRID, **_QWEN4},
        tokenizer=qwen3_5_tokenizer,
    ),
    "qwen2_5_omni_thinker": partial(
        omni,
        Qwen2_5OmniThinkerConfig,
        Qwen2_5OmniThinkerForConditionalGeneration,
        Qwen2_5OmniProcessor,
        WINDOWS,
        _rope(2, 3, 3),
        {"n_window": 10},
    ),
    "qwen3_omni_moe_thinker": partial(
        omni,
        Qwen3OmniMoeThinkerConfig,
        Qwen3OmniMoeThinkerForConditionalGeneration,
        Qwen3OmniMoeProcessor,
        DEEPSTACK,
        {**EXPERTS, **_QWEN3},
        {"n_window": 10, "downsample_hidden_size": 8},
    ),
    "exaone4_5": partial(
        qwen,
        Exaone4_5_Config,
        Exaone4_5_ForConditionalGeneration,
        {**WINDOWS, "num_key_value_heads": 1},
        {"model_type": "exaone4", "head_dim": 16, "sliding_window": 64, "sliding_window_pattern": 2},
        Exaone4_5_Processor,
    ),
    "glm4v": partial(
        glm,
        Glm4vConfig,
        Glm4vForConditionalGeneration,
        Glm4vProcessor,
        Glm4vImageProcessor,
        Glm4vVideoProcessor,
        {},
        _GLM,
        _AREA,
    ),
    "glm4v_moe": partial(
        glm,
        Glm4vMoeConfig,
        Glm4vMoeForConditionalGeneration,
        Glm4vProcessor,
        Glm4vImageProcessor,
        Glm4vVideoProcessor,
        {},
        {**GLM_EXPERTS, **_GLM},
        _AREA,
    ),
    "glm46v": partial(_GLM46V, Glm46VConfig, images=Glm46VImageProcessor, videos=Glm46VVideoProcessor, **_GLM4V_PARTS),
    "glmga": partial(_GLM46V, GlmgaConfig, images=GlmgaImageProcessor, videos=GlmgaVideoProcessor, **_GLM4V_PARTS),
    "glm_ocr": partial(
        glm,
        GlmOcrConfig,
        GlmOcrForConditionalGeneration,
        Glm46VProcessor,
        Glm46VImageProcessor,
        Glm46VVideoProcessor,
        {},
        {"head_dim": 16, **_rope(2, 3, 3)},
        _AREA,
    ),
    "glm5_next": partial(
        glm,
        Glm5NextConfig,
        Glm5NextForConditionalGeneration,
        Glm5NextProcessor,
        Glm5NextImageProcessor,
        Glm5NextVideoProcessor,
        {"projection_intermediate_size": 64},
        _GLM5,
        {"min_image_tokens": 4, "max_image_tokens": 16},
    ),
}
