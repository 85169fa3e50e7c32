"""Families of 2026: MiniCPM-V, Molmo 2, readers of documents, Inkling, and others whose processors are their own."""

from collections.abc import Callable
from functools import partial
from typing import Any

from transformers import (
    Apertus1p5Config,
    Apertus1p5ForConditionalGeneration,
    Apertus1p5ImageProcessor,
    Apertus1p5Processor,
    CohereCompassConfig,
    CohereCompassForConditionalGeneration,
    CohereCompassImageProcessor,
    CohereCompassProcessor,
    CohereCompassVideoProcessor,
    DeepseekOcr2Config,
    DeepseekOcr2ForConditionalGeneration,
    DeepseekOcr2ImageProcessor,
    DeepseekOcr2Processor,
    GraniteDoclingConfig,
    GraniteDoclingForConditionalGeneration,
    GraniteDoclingImageProcessor,
    GraniteDoclingProcessor,
    Inkling2Config,
    Inkling2ForConditionalGeneration,
    Inkling2ImageProcessor,
    Inkling2LoopConfig,
    Inkling2LoopForConditionalGeneration,
    Inkling2Processor,
    InklingConfig,
    InklingFeatureExtractor,
    InklingForConditionalGeneration,
    InklingImageProcessor,
    InklingProcessor,
    MiniCPMOcrConfig,
    MiniCPMOcrForConditionalGeneration,
    MiniCPMOcrImageProcessor,
    MiniCPMOcrProcessor,
    MiniCPMOcrVideoProcessor,
    MiniCPMV4_6Config,
    MiniCPMV4_6ForConditionalGeneration,
    MiniCPMV4_6ImageProcessor,
    MiniCPMV4_6Processor,
    MiniCPMV4_6VideoProcessor,
    MiniCPMV4_7Config,
    MiniCPMV4_7ForConditionalGeneration,
    MiniCPMV4_7Processor,
    Molmo2Config,
    Molmo2ForConditionalGeneration,
    Molmo2ImageProcessor,
    Molmo2Processor,
    Molmo2VideoProcessor,
    NemotronH_Omni_Reasoning_V3,
    NemotronH_Omni_Reasoning_V3_Config,
    NemotronH_Omni_Reasoning_V3ImageProcessor,
    NemotronH_Omni_Reasoning_V3Processor,
    NemotronH_Omni_Reasoning_V3VideoProcessor,
    ParakeetFeatureExtractor,
    Step3p7Config,
    Step3p7ForConditionalGeneration,
    Step3p7ImageProcessor,
    Step3p7Processor,
    UnlimitedOcrConfig,
    UnlimitedOcrForConditionalGeneration,
    UnlimitedOcrImageProcessor,
    UnlimitedOcrProcessor,
    WavTokenizerFeatureExtractor,
)

from tests.support.small_families.flat import SIDE, VISION
from tests.support.small_families.tokens import build_tokenizer, chat, text_config

HEADS = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
SAM = {
    **HEADS,
    "output_channels": 32,
    "patch_size": 4,
    "window_size": 5,
    "global_attn_indexes": [2],
    "mlp_dim": 64,
    "downsample_channels": [32, 32],
    "initializer_range": 0.02,
}
EXPERTS = {
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "mlp_layer_types": ["dense", "sparse"],
}


def minicpm(
    config: Any, network: Any, images: Any, videos: Any, processor: Any, patch: int, **more: object
) -> tuple[Any, Any]:
    """MiniCPM-V 4.6 and 4.7, MiniCPM-OCR."""
    marks = {
        "image_start": "<image>",
        "image_end": "</image>",
        "slice_start": "<slice>",
        "slice_end": "</slice>",
    }
    tokenizer = build_tokenizer(
        "\n",
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        image_id_start_token="<image_id>",
        image_id_end_token="</image_id>",
        **{f"{name}_token": mark for name, mark in marks.items()},
    )
    built = processor(
        image_processor=images(scale_resolution=SIDE, patch_size=patch, max_slice_nums=4),
        video_processor=videos(scale_resolution=SIDE, patch_size=patch),
        tokenizer=tokenizer,
        chat_template=chat("<|image_pad|>"),
    )
    ids = {f"{name}_id": tokenizer.convert_tokens_to_ids(mark) for name, mark in marks.items()}
    ids["newline_id"] = tokenizer.convert_tokens_to_ids("\n")
    text = text_config(
        tokenizer,
        head_dim=32,
        layer_types=["linear_attention", "full_attention"],
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        linear_num_key_heads=2,
        linear_num_value_heads=2,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.5,
            "mrope_section": [3, 3, 2],
            "mrope_interleaved": True,
        },
    )
    made = config(
        vision_config={**VISION, "patch_size": patch},
        text_config={"model_type": "qwen3_5_text", **text},
        insert_layer_id=1,
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
        **(ids if config is MiniCPMV4_7Config else {}),
        **more,
    )
    return network(made), built


def molmo2() -> tuple[Any, Any]:
    """Molmo 2: an overview and overlapping crops, pooled two by two."""
    marks = ("<im_patch>", "<im_col>", "<im_start>", "<low_res_im_start>", "<im_end>", "<im_low>")
    frames = ("<frame_start>", "<frame_end>")
    tokenizer = build_tokenizer(*marks, *frames, image_token="<|image|>", video_token="<|video|>")
    size = {"height": SIDE, "width": SIDE}
    processor = Molmo2Processor(
        image_processor=Molmo2ImageProcessor(size=size, patch_size=8, max_crops=4, overlap_margins=[1, 1]),
        video_processor=Molmo2VideoProcessor(size=size, patch_size=8),
        tokenizer=tokenizer,
        chat_template=chat("<|image|>"),
    )
    attention = {"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
    ids = {
        "image_patch_id": "<im_patch>",
        "image_start_token_id": "<im_start>",
        "low_res_image_start_token_id": "<low_res_im_start>",
        "image_end_token_id": "<im_end>",
        "frame_start_token_id": "<frame_start>",
        "frame_end_token_id": "<frame_end>",
    }
    config = Molmo2Config(
        vision_config={
            **attention,
            "intermediate_size": 64,
            "num_hidden_layers": 3,
            "image_size": [SIDE, SIDE],
            "patch_size": 8,
        },
        adapter_config={
            **attention,
            "vision_feature_layer": [2, 1],
            "intermediate_size": 64,
            "text_hidden_size": 32,
            "initializer_range": 0.1,
        },
        text_config=text_config(tokenizer, head_dim=16, additional_vocab_size=8),
        **{name: tokenizer.convert_tokens_to_ids(token) for name, token in ids.items()},
    )
    return Molmo2ForConditionalGeneration(config), processor


def granite_docling() -> tuple[Any, Any]:
    """Granite Docling."""
    tags = [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
    tokenizer = build_tokenizer("<fake_token_around_image>", "<global-img>", *tags, image_token="<image>")
    processor = GraniteDoclingProcessor(
        GraniteDoclingImageProcessor(size={"height": SIDE, "width": SIDE}, max_patches=4),
        tokenizer,
        image_seq_len=4,
        chat_template=chat("<image>"),
    )
    config = GraniteDoclingConfig(
        vision_config={**VISION, "patch_size": 4, "out_hidden_size": 32, "deepstack_visual_indexes": [0, 1]},
        text_config=text_config(
            tokenizer,
            attention_multiplier=0.25,
            embedding_multiplier=1.0,
            logits_scaling=1.0,
            tie_word_embeddings=False,
        ),
        image_token_id=tokenizer.image_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,  # tied, a random model repeats one word whatever the image
    )
    return GraniteDoclingForConditionalGeneration(config), processor


def deepseek_ocr2() -> tuple[Any, Any]:
    """DeepSeek-OCR 2: every tile gives 144 tokens, a number fixed in the network."""
    tokenizer = build_tokenizer(image_token="<image>")
    side = 48
    processor = DeepseekOcr2Processor(
        DeepseekOcr2ImageProcessor(size={"height": side, "width": side}, tile_size=side),
        tokenizer,
        patch_size=4,
        downsample_ratio=1,  # 12 x 12 tokens of a tile of 48 pixels; with the real 4 a tile would have 192
        chat_template=chat("<image>"),
    )
    config = DeepseekOcr2Config(
        vision_config={
            "sam_config": {**SAM, "image_size": side},
            "encoder_config": {**HEADS, "num_hidden_layers": 2, "num_key_value_heads": 2, "intermediate_size": 64},
        },
        text_config=text_config(tokenizer, **EXPERTS),
        image_token_id=tokenizer.image_token_id,
    )
    return DeepseekOcr2ForConditionalGeneration(config), processor


def unlimited_ocr() -> tuple[Any, Any]:
    """Unlimited-OCR: SAM and then CLIP, over an overview and tiles."""
    tokenizer = build_tokenizer(image_token="<image>")
    processor = UnlimitedOcrProcessor(
        UnlimitedOcrImageProcessor(
            size={"height": 64, "width": 64}, tile_size=SIDE, max_patches=4, maximum_pad_value=SIDE
        ),
        tokenizer,
        patch_size=4,
        chat_template=chat("<image>"),
    )
    config = UnlimitedOcrConfig(
        vision_config={
            "sam_config": {**SAM, "image_size": 64},
            "encoder_config": {**HEADS, "intermediate_size": 64, "image_size": 16, "patch_size": 4},
        },
        text_config=text_config(tokenizer, **EXPERTS),
        image_token_id=tokenizer.image_token_id,
    )
    return UnlimitedOcrForConditionalGeneration(config), processor


def step3p7() -> tuple[Any, Any]:
    """Step 3.7: an overview larger than the tiles."""
    tokenizer = build_tokenizer(
        "<patch_start>", "<patch_end>", "<patch_newline>", "<im_start>", "<im_end>", "<im_patch>"
    )
    processor = Step3p7Processor(
        Step3p7ImageProcessor(size={"height": 48, "width": 48}, patch_size=SIDE, vision_patch_size=4),
        tokenizer,
        chat_template=chat("<im_patch>"),
    )
    config = Step3p7Config(
        vision_config={**HEADS, "mlp_ratio": 2.0, "image_size": 48, "patch_size": 4, "max_position_embeddings": 144},
        text_config=text_config(
            tokenizer,
            head_dim=16,
            layer_types=["sliding_attention", "full_attention"],
            sliding_window=64,
            n_routed_experts=4,
            num_experts_per_tok=2,
            moe_intermediate_size=32,
            share_expert_dim=32,
            mlp_layer_types=["dense", "sparse"],
        ),
        image_token_id=processor.image_token_id,
    )
    return Step3p7ForConditionalGeneration(config), processor


def nemotron_h_omni() -> tuple[Any, Any]:
    """Nemotron 3 Omni, without sound."""
    tokenizer = build_tokenizer(
        "<so_start>",
        "<so_end>",
        image_token="<image>",
        video_token="<video>",
        audio_token="<so_embedding>",
        image_start_token="<img>",
        image_end_token="</img>",
    )
    processor = NemotronH_Omni_Reasoning_V3Processor(
        NemotronH_Omni_Reasoning_V3ImageProcessor(patch_size=8, min_num_patches=16, max_num_patches=64),
        NemotronH_Omni_Reasoning_V3VideoProcessor(patch_size=8),
        tokenizer,
        ParakeetFeatureExtractor(feature_size=8),
        chat_template=chat("<image>"),
    )
    text = text_config(
        tokenizer,
        head_dim=16,
        layers_block_type=["linear_attention", "full_attention", "moe"],
        initializer_range=0.05,
        ssm_state_size=8,
        mamba_num_heads=4,
        mamba_head_dim=16,
        n_groups=1,
        chunk_size=16,
        n_routed_experts=4,
        moe_intermediate_size=32,
        moe_shared_expert_intermediate_size=32,
    )
    config = NemotronH_Omni_Reasoning_V3_Config(
        vision_config={
            "model_type": "radio",
            **HEADS,
            "mlp_ratio": 2.0,
            "patch_size": 8,
            "image_size": SIDE,
            "max_img_size": 64,
            "video_temporal_patch_size": 2,
        },
        text_config={"model_type": "nemotron_h", **{k: v for k, v in text.items() if k != "num_hidden_layers"}},
        projector_hidden_size=64,
        vision_hidden_size=32,
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
        audio_token_id=tokenizer.audio_token_id,
    )
    return NemotronH_Omni_Reasoning_V3(config), processor


def _inkling_text(tokenizer: Any, **more: object) -> dict:
    """The language model that the Inklings share."""
    return text_config(
        tokenizer,
        unpadded_vocab_size=len(tokenizer),
        head_dim=16,
        swa_num_attention_heads=2,
        swa_num_key_value_heads=2,
        swa_head_dim=16,
        sliding_window_size=64,
        d_rel=4,
        rel_extent=64,
        layer_types=["hybrid_sliding", "hybrid"],
        moe_intermediate_size=32,
        n_routed_experts=4,
        num_experts_per_tok=2,
        **more,
    )


def inkling2(config: Any, network: Any, **more: object) -> tuple[Any, Any]:
    """Inkling 2 and its looped kind."""
    tokenizer = build_tokenizer(image_token="<|unused_200054|>")
    processor = Inkling2Processor(
        Inkling2ImageProcessor(size={"height": 16, "width": 16}), tokenizer, chat_template=chat("<|unused_200054|>")
    )
    text = _inkling_text(tokenizer, n_layers_per_attn_res_block=1, **more)
    built = config(
        vision_config={
            "model_type": "inkling2_vision",
            **HEADS,
            "mlp_ratio": 2.0,
            "patch_size": 8,
            "posemb_grid_size": 8,
            "projection_hidden_dim": 64,
            "text_hidden_size": 32,
        },
        text_config={k: v for k, v in text.items() if k != "intermediate_size"},  # there, another name for the experts'
        image_token_id=tokenizer.image_token_id,
    )
    return network(built), processor


def inkling() -> tuple[Any, Any]:
    """Inkling: patches go through a small network each, without attention between them."""
    tokenizer = build_tokenizer(
        "<|content_image|>",
        "<|content_audio_input|>",
        image_token="<|unused_200054|>",
        audio_token="<|unused_200053|>",
    )
    processor = InklingProcessor(
        InklingFeatureExtractor(feature_size=8),
        InklingImageProcessor(size={"height": 12, "width": 12}),
        tokenizer,
        num_dmel_bins=4,
        chat_template=chat("<|content_image|><|unused_200054|>"),
    )
    config = InklingConfig(
        vision_config={"patch_size": 12, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2},
        audio_config={"n_mel_bins": 8, "mel_vocab_size": 4},
        text_config=_inkling_text(
            tokenizer,
            n_shared_experts=1,
            mlp_layer_types=["dense", "sparse"],
            logits_mup_width_multiplier=1.0,
            initializer_range=0.05,
        ),
        image_token_id=tokenizer.image_token_id,
        audio_token_id=tokenizer.audio_token_id,
        image_bos_token_id=tokenizer.convert_tokens_to_ids("<|content_image|>"),
        audio_bos_token_id=tokenizer.convert_tokens_to_ids("<|content_audio_input|>"),
    )
    return InklingForConditionalGeneration(config), processor


def cohere_compass() -> tuple[Any, Any]:
    """Cohere's North Vision: packed as in Qwen3-VL."""
    tokens = {
        "image_token": "<|IMAGE_PAD|>",
        "video_token": "<|VIDEO_PAD|>",
        "vision_start_token": "<|VISION_START|>",
        "vision_end_token": "<|VISION_END|>",
    }
    tokenizer = build_tokenizer(**tokens)
    processor = CohereCompassProcessor(
        CohereCompassImageProcessor(patch_size=8, size={"shortest_edge": 32 * 32, "longest_edge": 64 * 64}),
        tokenizer,
        CohereCompassVideoProcessor(patch_size=8),
        chat_template=chat("<|VISION_START|><|IMAGE_PAD|><|VISION_END|>"),
    )
    rope = {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [3, 3, 2],
        "mrope_interleaved": True,
    }
    config = CohereCompassConfig(
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 8,
            "out_hidden_size": 32,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1],
        },
        text_config=text_config(tokenizer, rope_parameters={"full_attention": rope}, logit_scale=1.0),
        **{f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in tokens.items()},
    )
    return CohereCompassForConditionalGeneration(config), processor


def apertus1p5() -> tuple[Any, Any]:
    """Apertus 1.5: an image becomes words of a picture vocabulary, so that no gradient reaches the pixels."""
    tokens = {
        "image_token": "<|image|>",
        "audio_token": "<|audio|>",
        "boi_token": "<|img_start|>",
        "eoi_token": "<|img_end|>",
        "image_wrapper_token": "<|img_token_start|>",
        "eol_token": "<|img_end_of_row|>",
        "boa_token": "<|audio_start|>",
        "eoa_token": "<|audio_end|>",
    }
    tokenizer = build_tokenizer(**tokens)
    processor = Apertus1p5Processor(
        Apertus1p5ImageProcessor(size={"min_pixels": 32 * 32, "max_pixels": 64 * 64}, spatial_factor=8),
        WavTokenizerFeatureExtractor(hop_length=4),
        tokenizer,
        chat_template=chat("<|image|>"),
    )
    words, codes, sounds = len(tokenizer), 64, 8
    config = Apertus1p5Config(
        vision_config={
            "codebook_size": codes,
            "embed_dim": 32,
            "latent_channels": 32,
            "base_channels": 32,
            "channel_multiplier": [1, 1, 1, 1],
            "num_res_blocks": 1,
            "attn_resolutions": [8],
            "resolution": 64,
        },
        audio_config={
            "model_type": "wavtokenizer_encoder",
            "num_filters": 4,
            "upsampling_ratios": [2, 2],
            "num_lstm_layers": 1,
            "hidden_size": 16,
            "codebook_size": sounds,
            "codebook_dim": 16,
        },
        text_config={**text_config(tokenizer, output_vocab_size=words), "vocab_size": words + codes + sounds},
        image_token_id=tokenizer.image_token_id,
        audio_token_id=tokenizer.audio_token_id,
        image_token_offset=words,
        audio_token_offset=words + codes,
    )
    return Apertus1p5ForConditionalGeneration(config), processor


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "minicpmv4_6": partial(
        minicpm,
        MiniCPMV4_6Config,
        MiniCPMV4_6ForConditionalGeneration,
        MiniCPMV4_6ImageProcessor,
        MiniCPMV4_6VideoProcessor,
        MiniCPMV4_6Processor,
        4,
        image_size=SIDE,
    ),
    "molmo2": molmo2,
    "minicpmv4_7": partial(
        minicpm,
        MiniCPMV4_7Config,
        MiniCPMV4_7ForConditionalGeneration,
        MiniCPMV4_6ImageProcessor,
        MiniCPMV4_6VideoProcessor,
        MiniCPMV4_7Processor,
        4,
        image_size=SIDE,
    ),
    "granite_docling": granite_docling,
    "deepseek_ocr2": deepseek_ocr2,
    "step3p7": step3p7,
    "nemotron_h_omni": nemotron_h_omni,
    "inkling2": partial(inkling2, Inkling2Config, Inkling2ForConditionalGeneration),
    "inkling_mm_model": inkling,
    "inkling2_loop": partial(
        inkling2,
        Inkling2LoopConfig,
        Inkling2LoopForConditionalGeneration,
        loop_layer_index_start=1,
        loop_layer_index_end=2,
        loop_num_passes=2,
        loop_gate_rank=4,
    ),
    "cohere_compass": cohere_compass,
    "unlimited_ocr": unlimited_ocr,
    "minicpm_ocr": partial(
        minicpm,
        MiniCPMOcrConfig,
        MiniCPMOcrForConditionalGeneration,
        MiniCPMOcrImageProcessor,
        MiniCPMOcrVideoProcessor,
        MiniCPMOcrProcessor,
        8,
        tie_word_embeddings=False,
    ),
    "apertus1p5": apertus1p5,
}
