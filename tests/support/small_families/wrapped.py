"""Families whose vision encoder is timm's, wrapped by transformers: FastVLM, Perception LM and Gemma 3n."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn
from transformers import (
    CLIPImageProcessor,
    FastVlmConfig,
    FastVlmForConditionalGeneration,
    Gemma3nAudioFeatureExtractor,
    Gemma3nConfig,
    Gemma3nForConditionalGeneration,
    Gemma3nProcessor,
    LlavaProcessor,
    PerceptionLMConfig,
    PerceptionLMForConditionalGeneration,
    PerceptionLMImageProcessor,
    PerceptionLMProcessor,
    PerceptionLMVideoProcessor,
    PreTrainedTokenizerFast,
    SiglipImageProcessor,
)

from tests.support.small_families.tokens import build_tokenizer, chat, text_config

# The convolutional encoders halve an image five or six times, so that 32 pixels would leave nothing.
SIDE = 128
# timm starts the branches of their blocks at a weight of 0.00001: untrained, the attention would have no effect.
SCALE = 0.25
TILE = 32


def fast_vlm() -> tuple[Any, Any]:
    """FastVLM: an image becomes two by two tokens; the last two of five stages have attention, of heads 32 wide."""
    tokenizer = build_tokenizer(image_token="<image>")
    processor = LlavaProcessor(
        CLIPImageProcessor(
            size={"shortest_edge": SIDE},
            crop_size={"height": SIDE, "width": SIDE},
            image_mean=[0.0, 0.0, 0.0],
            image_std=[1.0, 1.0, 1.0],
        ),
        tokenizer,
        patch_size=64,
        chat_template=chat("<image>"),
    )
    config = FastVlmConfig(
        vision_config={
            "model_type": "timm_wrapper",
            "architecture": "fastvit_mci3",
            "hidden_size": 128,
            "model_args": {
                "inference_mode": True,
                "layers": [1, 1, 1, 2, 1],
                "embed_dims": [8, 16, 32, 64, 64],
                "layer_scale_init_value": SCALE,
            },
        },
        text_config={"model_type": "qwen2", **text_config(tokenizer)},
        image_token_index=tokenizer.image_token_id,
        image_seq_length=4,
    )
    network = FastVlmForConditionalGeneration(config)
    for module in network.model.vision_tower.modules():  # few norms here: the usual small weights would dim the image
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=0.35 / module.weight[0].numel() ** 0.5)
    return network, processor


def perception_lm(architecture: str, class_token: bool) -> tuple[Any, Any]:
    """Perception LM: tiles with an overview; its larger vision encoder has no class token."""
    tokenizer = build_tokenizer(image_token="<|image|>", video_token="<|video|>")
    processor = PerceptionLMProcessor(
        PerceptionLMVideoProcessor(size={"height": TILE, "width": TILE}),
        PerceptionLMImageProcessor(tile_size=TILE, max_num_tiles=4),
        tokenizer,
        patch_size=8,
        chat_template=chat("<|image|>"),
        pooling_ratio=2,
    )
    config = PerceptionLMConfig(
        vision_config={
            "model_type": "timm_wrapper",
            "architecture": architecture,
            "do_pooling": False,
            "model_args": {
                "embed_dim": 32,
                "depth": 3,
                "num_heads": 2,
                "mlp_ratio": 2.0,
                "patch_size": 8,
                "img_size": [TILE, TILE],
                "ref_feat_shape": [4, 4],
                "global_pool": "",
                "use_post_transformer_norm": False,
                "init_values": 1.0,
            },
        },
        text_config={"model_type": "llama", **text_config(tokenizer)},
        vision_use_cls_token=class_token,
        projector_pooling_ratio=2,
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
    )
    return PerceptionLMForConditionalGeneration(config), processor


# In this order they end the vocabulary, because the model looks up those from `eoi_token` on in tables of its own.
GEMMA_TOKENS = {
    "boi_token": "<start_of_image>",
    "boa_token": "<start_of_audio>",
    "eoi_token": "<end_of_image>",
    "image_token": "<image_soft_token>",
    "eoa_token": "<end_of_audio>",
    "audio_token": "<audio_soft_token>",
}


def gemma3n() -> tuple[Any, Any]:
    """Gemma 3n: all blocks of its MobileNet with 8 or 16 channels, and its output of 2048; tiny audio."""
    plain = build_tokenizer()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain.backend_tokenizer,
        **plain.special_tokens_map,
        extra_special_tokens=GEMMA_TOKENS,
        padding_side="left",
        model_max_length=2048,
    )
    ids = {f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in GEMMA_TOKENS.items()}
    processor = Gemma3nProcessor(
        Gemma3nAudioFeatureExtractor(),
        SiglipImageProcessor(size={"height": SIDE, "width": SIDE}, do_normalize=False),
        tokenizer,
        chat_template=chat("<image_soft_token>"),
        audio_seq_length=4,
        image_seq_length=16,
    )
    config = Gemma3nConfig(
        vision_config={
            "architecture": "mobilenetv5_300m_enc",
            "model_args": {
                "channel_multiplier": 0.0125,
                "stem_size": 8,
                "msfa_output_resolution": 4,
                "layer_scale_init_value": SCALE,
            },
            "vocab_size": 2,
            "vocab_offset": ids["eoi_token_id"],
        },
        audio_config={
            "hidden_size": 32,
            "vocab_size": 2,
            "vocab_offset": ids["eoa_token_id"],
            "conf_num_attention_heads": 2,
            "conf_num_hidden_layers": 1,
            "sscp_conv_channel_size": [4, 4],
        },
        # Half of the layers use the keys and values of earlier ones, of either kind.
        text_config=text_config(
            tokenizer,
            num_hidden_layers=4,
            num_kv_shared_layers=2,
            layer_types=["sliding_attention", "full_attention"] * 2,
            activation_sparsity_pattern=[0.95, 0.0, 0.0, 0.0],
            head_dim=16,
            sliding_window=64,
            laurel_rank=8,
            hidden_size_per_layer_input=8,
            vocab_size_per_layer_input=ids["eoi_token_id"],
        ),
        vision_soft_tokens_per_image=16,
        audio_soft_tokens_per_image=4,
        tie_word_embeddings=False,  # tied random weights would repeat one word whatever the image
        **ids,
    )
    return Gemma3nForConditionalGeneration(config), processor


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "fast_vlm": fast_vlm,
    "perception_lm": partial(perception_lm, "vit_pe_core_large_patch14_336", True),
    "perception_lm/gigantic": partial(perception_lm, "vit_pe_core_gigantic_patch14_448", False),
    "gemma3n": gemma3n,
}
